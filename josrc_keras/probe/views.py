"""The views of a photo that a backbone sees, always the same ones."""

from typing import Any, NamedTuple

import numpy as np

from josrc_keras.data.photos import decoding
from josrc_keras.probe import duplicates, quality

VERSION = 1  # It is raised where the same photos give other views.
# The share of the photo's width and height that a view shows: all, or None for the
# square in the middle.
PARTS = (1.0, None)
COUNT = 2 * len(PARTS)  # Each part is also mirrored.


class Seen(NamedTuple):
    """What is seen of a photo.

    Attributes:
        pixels: `(COUNT, size, size, 3)` uint8: the views.
        hashes: Two integers, see `duplicates.hashes_of`.
        measured: A `quality.Measurement`.
    """

    pixels: Any
    hashes: tuple
    measured: Any


def of_photo(path, size):
    """All views of a photo.

    They are the whole photo, squeezed into a square, its mirror image, the square in
    its middle, and its mirror image. So two of them always show everything.

    Args:
        path: The file: a path, or an open binary file.
        size: Height and width of a view, in pixels.

    Returns:
        A `Seen`.

    Raises:
        OSError, ValueError and others: As `decoding.decode`.
    """
    from PIL import Image, ImageOps

    made = []
    with decoding.opened(path, size) as (image, upright, full):
        for part in PARTS:
            view = image.resize(
                (size, size), Image.Resampling.BICUBIC, _box(image, part)
            )
            view = upright(view)
            made += [view, ImageOps.mirror(view)]
        small = upright(_reduced(image))
        return Seen(
            np.stack([np.asarray(view) for view in made]),
            duplicates.hashes_of(small),
            quality.measure(small, full),
        )


def _reduced(image):
    small = image.copy()
    small.thumbnail((quality.SIDE, quality.SIDE), reducing_gap=2.0)
    return small


def _box(image, part):
    if part is not None:
        return (0.0, 0.0, *image.size)
    side = min(image.size)
    left, upper = ((length - side) / 2 for length in image.size)
    return left, upper, left + side, upper + side
