"""Jo-SRC on CIFAR80N-O: CIFAR-100 with its last 20 classes out-of-distribution.

    josrc-train --config=cifar80n_o:paper --workdir=runs/cifar80n_o
    josrc-train --config=cifar80n_o:paper --workdir=runs/s80 --config.data.rate=0.8
    josrc-train --config=cifar80n_o:paper --workdir=runs/a40 \
        --config.data.noise=pairflip --config.data.rate=0.4

The paper reports (Table 2, mean test accuracy of the last 10 of 200 epochs, Jo-SRC):
symmetric 20% 65.83, 50% 58.51, 80% 29.76, asymmetric 40% 53.03. The full run needs a
GPU. For a short run add --config.epochs=3 --config.data.train_size=8000
"""

from josrc_keras.configs import base


def get_config(recipe="adaptive"):
    config = base.get_config(recipe)
    config.data.name = "cifar80n_o"
    config.data.rate = 0.2
    return config
