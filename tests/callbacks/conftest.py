"""Data that tests of several callbacks share."""

import numpy as np
import pytest

from tests.support import models
from tests.support.label_trust import COUNT


@pytest.fixture
def pairs():
    """Two views of 24 images in which a row is lit by class; labels, some wrong."""
    images, given = models.pair_batch(COUNT)
    draw = np.random.default_rng(0)
    truth = np.where(draw.random(COUNT) < 0.7, given, draw.integers(0, 4, COUNT))
    for view in images.values():
        view /= 4
        view[np.arange(COUNT), truth] += 150
    return images, given
