"""Jo-SRC on a reduced CIFAR80N-O, small enough for two CPU cores.

    josrc-train --config=cifar8n_o --workdir=runs/cifar8n_o
    josrc-reproduce --table=2 --protocol=reduced --seeds=3 --workdir=runs/reduced

The data are CIFAR-100's classes 0 to 9, with 125 training images of each. Classes 8 and
9 are out-of-distribution (`data.cifar8n_o`). The network is `cnn7` with a quarter of
its filters. Some values are not the paper's: `smoothing` and `alpha` are those of the
digits, which have as many classes, and with this batch and these epochs ordinary
training memorises wrong labels within the run. Never set its results beside the
paper's.
"""

from josrc_keras.configs import _compared, base


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
    _compared.make_small(config)
    return config
