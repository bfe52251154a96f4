"""Jo-SRC on a folder of your own photos, one sub-folder a class: PHOTOS/CLASS/*.jpg.

    josrc-train --config=image_folder --config.data.dir=PHOTOS --workdir=runs/photos
    josrc-audit --run=runs/photos

The first command trains, the second lists the photos whose labels are doubted. Photos
are scaled and cropped to `image_size` once. Nobody has to know how many labels are
wrong, or which. A tenth of each class is set aside to report on, with its labels as
they are, unless `--config.data.validation_dir` names a folder for that.

With the recipe `paper` (`--config=image_folder:paper`), `smoothing` follows the number
of classes. `alpha` is 0.3, not the paper's 0.5, for the reason that
configs/digits8n_o.py gives.
"""

from josrc_keras.configs import base


def get_config(recipe="adaptive"):
    config = base.get_config(recipe)

    config.data.name = "image_folder"
    config.data.image_size = 64
    config.data.validation_share = 0.1
    config.batch_size = 32
    config.epochs = 40

    config.network.name = "cnn7"
    config.model.smoothing = None  # The number of classes decides.
    config.model.alpha = 0.3
    config.learning_rate_decay.start_epoch = 20
    return config
