"""Jo-SRC on a few classes of CIFAR-100 or of the digits, with noise of any kind.

    josrc-train --config=partial --workdir=runs/image \
        --config.data.noise=image --config.data.rate=0.3
    josrc-train --config=partial --workdir=runs/rare \
        --config.data.partial.images_per_class=250 --config.data.partial.imbalance=20

The robustness suite (`josrc-reproduce --suite=robustness`) has such datasets, and
`josrc_keras.reproduction.robustness` lists them. The images are real, and few enough
for two CPU cores.
"""

from josrc_keras.configs import _compared, base


def get_config(recipe="adaptive"):
    config = base.get_config(recipe)
    config.data.name = "partial"
    config.data.partial.images_per_class = 125
    config.data.rate = 0.5
    config.network.width = 0.25
    config.batch_size = 32
    config.epochs = 40
    config.learning_rate_decay.start_epoch = 16
    _compared.make_small(config)
    return config
