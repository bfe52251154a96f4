"""Jo-SRC on Clothing1M with ResNet-18.

    josrc-train --config=clothing1m_resnet18 --workdir=runs/clothing1m \
        --config.data.manual_dir=DOWNLOADS

All else is as in `clothing1m_resnet50`.
"""

from josrc_keras.configs import clothing1m_resnet50


def get_config(recipe="adaptive"):
    config = clothing1m_resnet50.get_config(recipe)
    config.network.name = "resnet18"
    return config
