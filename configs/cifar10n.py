"""Jo-SRC on CIFAR-10N: CIFAR-10 with labels that people gave.

    josrc-train --config=cifar10n --workdir=runs/cifar10n \
        --config.data.manual_dir=DOWNLOADS --config.data.noise=worst

TensorFlow Datasets downloads the images. The labels are downloaded by hand
(`tfds.builder("cifar10_n")` says from where). Network and schedules are those of the
paper's CIFAR experiments, although CIFAR-10N is not among them. `smoothing` follows the
number of classes.
"""

from josrc_keras.configs import base


def get_config(recipe="adaptive"):
    config = base.get_config(recipe)
    config.data.name = "cifar10n"
    config.data.noise = "worst"
    config.model.smoothing = None
    return config
