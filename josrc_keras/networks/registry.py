"""Networks by the name that a configuration gives."""

import functools
from collections.abc import Callable

import keras

from josrc_keras.networks import backbones
from josrc_keras.networks.classifiers import cnn7, digits_cnn
from josrc_keras.networks.resnet9 import fast
from josrc_keras.networks.resnets import of_backbone, resnet18, resnet50


def by_name(name: str) -> Callable[..., keras.Model]:
    """The function that makes a network, by the name that a configuration gives.

    Args:
        name: One of `NETWORKS`, or a backbone's name as for `of_backbone`.

    Raises:
        ValueError: If there is no network of this name.
    """
    if backbones.is_backbone(name):
        return functools.partial(of_backbone, name)
    if name not in NETWORKS:
        raise ValueError(
            "Expected config.network.name as one of "
            f"{(*NETWORKS, *backbones.efficientnet_lite.VARIANTS)}, "
            f"{backbones.HUB}PRESET, {backbones.APPLICATIONS}MODEL or the path of a "
            f".keras file. Received: {name!r}."
        )
    return NETWORKS[name]


NETWORKS = {
    "cnn7": cnn7,
    "digits_cnn": digits_cnn,
    "fast": fast,
    "resnet18": resnet18,
    "resnet50": resnet50,
}


WITHOUT_WEIGHTS = ("cnn7", "digits_cnn", "fast")
