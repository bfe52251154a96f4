"""Pictures that were drawn."""

import numpy as np


def check_picture(path):
    """A PNG of some size with more than one colour."""
    from matplotlib import image

    assert path.read_bytes().startswith(b"\x89PNG")
    pixels = image.imread(path)
    assert min(pixels.shape[:2]) > 200
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 10
