"""Jo-SRC on CIFAR-10N: CIFAR-10 with the labels that people gave it.

    josrc-train --config=cifar10n --workdir=runs/cifar10n \
        --config.data.manual_dir=DOWNLOADS --config.data.noise=worst

TensorFlow Datasets downloads the images; the labels are downloaded by hand
(`tfds.builder("cifar10_n")` says from where). Network and plans are those of the
paper's CIFAR experiments, which this set is none of; smoothing is by the number of
classes.
"""

from josrc_keras.configs import base


def get_config(recipe="adaptive"):
    config = base.get_config(recipe)
    config.data.name = "cifar10n"
    config.data.noise = "worst"
    config.model.smoothing = None
    return config
