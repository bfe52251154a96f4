"""Prototypes of five unit vectors, at 0, 10, 20, 90 and 95 degrees."""

import numpy as np
import pytest

from josrc_keras.samples import prototypes


def vectors(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


S = prototypes.cosines(vectors(0, 10, 20, 90, 95))
EQUAL = np.ones((4, 4))


def test_cosines():
    upper = [0.9848, 0.9397, 0, -0.0872, 0.9848, 0.1736, 0.0872, 0.3420, 0.2588, 0.9962]
    np.testing.assert_allclose(S[np.triu_indices(5, 1)], upper, atol=5e-5)
    np.testing.assert_allclose(S.diagonal(), 1)
    assert (prototypes.cosines(np.zeros((2, 3))) == 0).all()


@pytest.mark.parametrize(
    ("threshold", "dense", "close"),
    [
        (0.95, (-1, 1, -1, -1, -1), (0.9848, 0.0872, 0.9848, 0.1736, 0.0872)),
        (0.5, (1, 1, 1, -1, -1), (-0.0872, 0.0872, 0.2588, 0.3420, 0.2588)),
        # Between neighbouring entries, for the entries that reports of the paper take.
        (0.3, (1, 1, 3, 1, -1), (0.9397, 0.9848, 0.2588, 0.3420, 0.9962)),
    ],
)
def test_density_and_closeness(threshold, dense, close):
    found = prototypes.density(S, threshold)
    np.testing.assert_array_equal(found, dense)
    np.testing.assert_allclose(prototypes.closeness(S, found), close, atol=5e-5)


@pytest.mark.parametrize(
    ("threshold", "count", "expected"),
    [
        (0.95, 2, [1, 3]),
        (0.95, 3, [1, 3, 4]),
        (0.95, 4, [1, 3, 4, 0]),  # Only three are not alike: the densest other follows.
        (0.5, 3, [0, 1, 2]),
        (0.5, 9, [0, 1, 2, 3, 4]),
        (0.3, 3, [2, 0, 3]),  # 10 degrees is too close to 20.
    ],
)
def test_choose(threshold, count, expected):
    assert prototypes.choose(S, count, threshold).tolist() == expected


def test_the_threshold_is_an_entry():
    """Of ten pairs six are below the seventh, 0.939693."""
    pairs = np.sort(S[np.triu_indices(5, 1)])
    found = prototypes.threshold_of(S, 0.6)
    assert found == pytest.approx(pairs[6]) == pytest.approx(0.939693, abs=1e-6)
    assert prototypes.threshold_of(S, 0.4) == pytest.approx(0.258819, abs=1e-6)
    assert prototypes.threshold_of(np.ones((1, 1))) == 0.0


def test_equal_features():
    """All densities are equal, so each row has its least similarity, 1."""
    dense = prototypes.density(EQUAL, 1.0)
    np.testing.assert_array_equal(dense, 0)
    np.testing.assert_array_equal(prototypes.closeness(EQUAL, dense), 1)
    assert prototypes.choose(EQUAL, 2, 1.0).tolist() == [0, 1]
    rows = prototypes.of_class(np.ones((3, 2)), 8)
    assert rows.shape == (3, 2)  # Fewer images than prototypes.


def test_similarity_to_classes():
    """An image at 50 degrees; a class without prototypes is never the closest."""
    classes = [vectors(0, 20), vectors(90, 70), np.zeros((0, 2))]
    found = prototypes.class_similarity(vectors(50), classes)
    np.testing.assert_allclose(found[0, :2], [0.754407, 0.852869], atol=1e-6)
    assert found[0, 2] == -np.inf and found.argmax() == 1
