"""The two views of an image: on the device, or in tf.data."""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from josrc_keras import _checks
from josrc_keras.devices import replicas

DATA_FORMATS = ("channels_last", "channels_first")
MOST_CHANNELS = 4  # An axis of more is taken for rows or columns.


@keras.saving.register_keras_serializable(package="josrc_keras")
class CropAndFlip(keras.layers.Layer):
    """Pads, crops at a random offset, and mirrors half the images.

    The crop has the image's own size, or a smaller `size`. Every image gets its own
    offset and flip (`keras.layers.RandomCrop` draws one offset for a batch), and both
    are applied in one gather. The layer is random only with `training=True`. Otherwise
    it crops to `size` in the middle, if that is given.

    Args:
        padding: Zero pixels added on every side before the crop.
        flip: Whether to mirror an image left to right with probability 1/2.
        size: Height and width of the crop in pixels; None takes the image's own.
        seed: Seed of the draws; None takes one from Keras's global generator.
        data_format: `"channels_last"`, `"channels_first"`, or None for that of Keras's
            configuration, which is the first unless it was changed.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        images: `(N, H, W, channels)`, or `(N, channels, H, W)` with channels first, of
            any numeric dtype, which is kept.
        training: Whether to augment.

    Raises:
        ValueError: If `padding` is negative or `size` is not positive. A call raises it
            if the images are smaller than `size`, or have their channels elsewhere.
    """

    def __init__(
        self,
        padding: int = 4,
        flip: bool = True,
        seed: int | None = None,
        size: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        if padding < 0:
            raise ValueError(
                f"`padding` must be at least 0 pixels. Received: padding={padding}."
            )
        if size is not None and size < 1:
            raise ValueError(
                f"`size` must be at least 1 pixel, or None. Received: size={size}."
            )
        if data_format is not None:
            _checks.check_choice("data_format", data_format, DATA_FORMATS)
        self.data_format = data_format or keras.config.image_data_format()
        self.padding = padding
        self.flip = flip
        self.size = size
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Returns the images, augmented if `training`, in their own dtype."""
        self._check_axes(images.shape)
        if self.data_format == "channels_first":
            last = ops.transpose(images, (0, 2, 3, 1))
            return ops.transpose(self._seen(last, training), (0, 3, 1, 2))
        return self._seen(images, training)

    def _check_axes(self, shape):
        """Refuses images whose channels are known to be along another axis."""
        few = [isinstance(side, int) and side <= MOST_CHANNELS for side in shape[1:]]
        first = self.data_format == "channels_first"
        other = [False, False, True] if first else [True, False, False]
        if few == other:
            expected = "(N, channels, H, W)" if first else "(N, H, W, channels)"
            fix = "channels_last" if first else "channels_first"
            raise ValueError(
                f"Expected images of shape {expected}. Received: {tuple(shape)}, whose "
                "channels seem to be along another axis: a crop would mix them. Pass "
                f'data_format="{fix}", or transpose the images.'
            )

    def _seen(self, images, training):
        if not training:
            return self._middle(images)
        count, full_height, full_width, channels = ops.shape(images)
        height, width = self._cropped(full_height, full_width)
        pad = self.padding
        padded = ops.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        padded_height, padded_width = full_height + 2 * pad, full_width + 2 * pad

        # Each image draws three integers: offset down, to the right, and mirror or not.
        top = self._draw(count, padded_height - height + 1)
        left = self._draw(count, padded_width - width + 1)
        columns = ops.broadcast_to(ops.arange(width, dtype="int32"), (count, width))
        if self.flip:
            mirror = self._draw(count, 2) == 1
            columns = ops.where(mirror, width - 1 - columns, columns)

        rows = top + ops.expand_dims(ops.arange(height, dtype="int32"), 0)
        start = ops.expand_dims(ops.arange(count, dtype="int32"), -1)
        rows = (start * padded_height + rows) * padded_width  # (N, H)
        source = ops.expand_dims(rows, 2) + ops.expand_dims(left + columns, 1)
        return ops.take(ops.reshape(padded, (-1, channels)), source, axis=0)

    def _cropped(self, height, width):
        """The height and width of the crop."""
        if self.size is None:
            return height, width
        sides = [side for side in (height, width) if isinstance(side, int)]
        if any(side < self.size for side in sides):
            raise ValueError(
                f"Expected images of at least {self.size}x{self.size} pixels, the size "
                f"of the crop. Received: {height}x{width}. Give larger images, or a "
                "smaller `size`."
            )
        return self.size, self.size

    def _middle(self, images):
        """The crop in the middle; the image itself where there is no size."""
        if self.size is None:
            return images
        _, full_height, full_width, _ = ops.shape(images)
        height, width = self._cropped(full_height, full_width)
        top, left = (full_height - height) // 2, (full_width - width) // 2
        return images[:, top : top + height, left : left + width]

    def _draw(self, count, stop):
        """`(N, 1)` integers in `[0, stop)`, different on each replica."""

        def draw(rows):
            return keras.random.randint(
                (rows, 1), 0, stop, dtype="int32", seed=self.seed_generator
            )

        return replicas.own_rows(draw, count)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """The shape of the cropped images."""
        self._check_axes(input_shape)
        if self.size is None:
            return input_shape
        if self.data_format == "channels_first":
            count, channels, height, width = input_shape
            return (count, channels, *self._cropped(height, width))
        count, height, width, channels = input_shape
        return (count, *self._cropped(height, width), channels)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        return config | {
            "padding": self.padding,
            "flip": self.flip,
            "size": self.size,
            "seed": self.seed,
            "data_format": self.data_format,
        }


def crop_and_flip(
    padding: int = 4,
    flip: bool = True,
    seed: int | None = None,
    size: int | None = None,
    data_format: str | None = None,
) -> CropAndFlip:
    """The augmentation of the paper's experiments: a `CropAndFlip` layer.

    It pads with zeros in pixel space, like the published code, which pads before it
    normalises. For large images the paper crops to `size=224` with `padding=0`.

    Args:
        padding: As for `CropAndFlip`.
        flip: As for `CropAndFlip`.
        seed: As for `CropAndFlip`.
        size: As for `CropAndFlip`.
        data_format: As for `CropAndFlip`.
    """
    return CropAndFlip(padding, flip, seed, size, data_format)


def two_views(augment: Callable[..., Any]) -> Callable[..., tuple]:
    """Makes both views in tf.data: `dataset.map(two_views(augment))`.

    Args:
        augment: Function or layer from a batch of images to the augmented images, with
            a new random draw at each call. A layer is called with `training=True`.

    Returns:
        A function `(image, label, ...) -> ({"view_a", "view_b"}, label, ...)`.
    """
    if isinstance(augment, keras.Layer):
        augment = functools.partial(augment, training=True)

    def make_views(image, *rest):
        return ({"view_a": augment(image), "view_b": augment(image)}, *rest)

    return make_views
