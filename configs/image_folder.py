"""Jo-SRC on a folder of photos of your own, one sub-folder a class: PHOTOS/CLASS/*.jpg.

    josrc-train --config=image_folder --config.data.dir=PHOTOS --workdir=runs/photos
    josrc-audit --run=runs/photos

The first trains, the second lists the photos whose labels it does not believe. Photos
are scaled and cropped to `image_size`, once. How many labels are wrong need not be
known, nor which: a tenth of each class is set aside to report on, with its labels as
they are, unless `--config.data.validation_dir` names a folder for that.

With the recipe `paper` (`--config=image_folder:paper`), `smoothing` follows the number
of classes, and `alpha` is 0.3, not the paper's 0.5, as for the digits, for the same
reason: see configs/digits8n_o.py.
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
    config.model.smoothing = None  # by the number of classes
    config.model.alpha = 0.3
    config.learning_rate_decay.start_epoch = 20
    return config
