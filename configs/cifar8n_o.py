"""A reduced CIFAR80N-O for two CPU cores: real images, ten classes, two of them OOD.

    josrc-train --config=cifar8n_o --workdir=runs/cifar8n_o
    josrc-reproduce --table=2 --protocol=reduced --seeds=3 --workdir=runs/reduced

CIFAR-100's classes 0 to 9, 125 training images of each; 8 and 9 are out of distribution
(`data.cifar8n_o`). `cnn7` with a quarter of its filters. What is chosen for the subset,
and not the paper's: `smoothing` and `alpha` as for the digits, with as many classes;
batch and epochs such that ordinary training memorises wrong labels within the run. Its
results are never to be set beside the paper's.
"""

from josrc_keras.configs import base


def get_config(recipe="adaptive"):
    config = base.get_config(recipe)
    config.data.name = "cifar8n_o"
    config.data.rate = 0.5
    config.network.width = 0.25
    config.batch_size = 32
    config.epochs = 60

    config.model.smoothing = 0.3
    config.model.alpha = 0.3
    config.learning_rate_decay.start_epoch = (
        24  # two fifths of the epochs, as in the paper
    )
    return config
