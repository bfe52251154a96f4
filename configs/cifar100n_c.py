"""Jo-SRC on CIFAR100N-C: CIFAR-100 with label noise within its 100 classes.

    josrc-train --config=cifar100n_c:paper --workdir=runs/cifar100n_c
    josrc-train --config=cifar100n_c:paper --workdir=runs/s50 --config.data.rate=0.5

The paper reports (Table 1, mean test accuracy of the last 10 of 200 epochs, Jo-SRC):
symmetric 20% 58.15, 50% 51.26, 80% 23.80, asymmetric 40% 38.52. The full run needs a
GPU. For a short run add --config.epochs=3 --config.data.train_size=8000
"""

from josrc_keras.configs import base


def get_config(recipe="adaptive"):
    config = base.get_config(recipe)
    config.data.name = "cifar100n_c"
    config.data.rate = 0.2
    return config
