"""Configurations of runs on photos."""

from josrc_keras.configs import image_folder
from tests.support import photos

EPOCHS = 4


def make_config(folder, **fields):
    """A configuration for a folder of such photos, small enough for a test."""
    config = image_folder.get_config("paper")
    config.data.dir = str(folder)
    config.data.image_size = photos.SIZE
    config.network.name = "digits_cnn"
    config.augmentation.padding = 1
    config.batch_size = 8
    config.epochs = EPOCHS
    config.checkpoint_every = 1
    config.deterministic = "always"
    config.learning_rate_decay.start_epoch = 2
    config.threshold.warmup_epochs = 1
    config.update_from_flattened_dict(fields)
    return config
