"""Jo-SRC on Food-101N: 310,000 web photos of 101 dishes, ResNet-50.

    josrc-train --config=food101n_resnet50 --workdir=runs/food101n \
        --config.data.manual_dir=DOWNLOADS

Food-101N and, for its test images, Food-101 have to be unpacked into DOWNLOADS
(`data/benchmarks/food101n.py` says how). Settings are those of the paper's published
code, but the batch size is ours. All else is as in `clothing1m_resnet50`.
"""

from josrc_keras.configs import clothing1m_resnet50


def get_config(recipe="adaptive"):
    config = clothing1m_resnet50.get_config(recipe)
    config.data.name = "food101n"
    config.data.use_clean_train = False
    config.epochs = 50

    config.forget.rate = 0.2  # About 20% are wrong (Lee et al., CVPR 2018).
    config.model.smoothing = 0.65
    config.model.alpha = 0.5
    config.threshold.tau_c = 0.75

    config.optimizer.arguments.learning_rate = 0.001
    config.optimizer.arguments.weight_decay = 5e-3
    return config
