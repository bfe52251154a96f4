"""Which crop of an image a view is."""

import numpy as np


def random_images(rows, height=6, width=5, channels=2, seed=0):
    """Pixels from 1 on, so that a padded zero can't be mistaken for one."""
    size = (rows, height, width, channels)
    return np.random.default_rng(seed).integers(1, 256, size).astype("uint8")


def crops(images, padding):
    """Every `(top, left, mirrored)` and what it makes of the images."""
    height, width = images.shape[1:3]
    sides = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    padded = np.pad(images, sides)
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = padded[:, top : top + height, left : left + width]
            yield (top, left, False), crop
            yield (top, left, True), crop[:, :, ::-1]


def found(outputs, images, padding):
    """`(N, 3)`: the one `(top, left, mirrored)` that made each output."""
    matches = np.array(
        [(crop == outputs).all(axis=(1, 2, 3)) for _, crop in crops(images, padding)]
    )
    np.testing.assert_array_equal(matches.sum(axis=0), np.ones(len(images)))
    draws = np.array([draw for draw, _ in crops(images[:1], padding)])
    return draws[matches.argmax(axis=0)]
