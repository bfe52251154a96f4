"""Jo-SRC on CIFAR-100N: CIFAR-100 with labels that people gave.

    josrc-train --config=cifar100n --workdir=runs/cifar100n \
        --config.data.manual_dir=DOWNLOADS

All else is as in `cifar10n`.
"""

from josrc_keras.configs import base


def get_config(recipe="adaptive"):
    config = base.get_config(recipe)
    config.data.name = "cifar100n"
    return config
