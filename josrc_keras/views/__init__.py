"""Views of an image: weak ones on the device, strong ones in tf.data."""

from josrc_keras.views.weak import CropAndFlip, crop_and_flip, two_views

__all__ = ["CropAndFlip", "crop_and_flip", "two_views"]
