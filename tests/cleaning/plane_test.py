"""Places on the map of the features."""

import numpy as np

from josrc_keras.cleaning import plane


def test_places_are_those_along_the_directions_between_classes():
    """Means at (4, 0), (-4, 0), (0, 2), (0, -2): x, then y; z does not count."""
    means = np.array([[4, 0], [-4, 0], [0, 2], [0, -2]])
    labels = np.repeat(np.arange(4), 50)
    noise = np.random.default_rng(0).normal(0, 0.1, (200, 2))
    noise -= np.repeat(noise.reshape(4, 50, 2).mean(1), 50, axis=0)
    far = np.random.default_rng(1).choice([-90.0, 90.0], 200)
    far -= np.repeat(far.reshape(4, 50).mean(1), 50)
    features = np.c_[means[labels] + noise, far]
    placed = plane.places(features, labels)
    assert placed.shape == (200, 2) and placed.min() == 0 and placed.max() == 1000
    for axis in range(2):
        low, high = np.percentile(features[:, axis], (0.5, 99.5))
        expected = 1000 * np.clip((features[:, axis] - low) / (high - low), 0, 1)
        np.testing.assert_allclose(placed[:, axis], expected, atol=25)


def test_two_classes_lie_apart_and_one_class_spreads():
    noise = np.random.default_rng(0).normal(0, (0.1, 3, 0.1), (200, 3))
    features = np.repeat(noise, 2, axis=0)
    labels = np.arange(400) % 2
    features[:, 0] += 2 * labels
    first, second = plane.places(features, labels).T
    assert first[labels == 1].min() > first[labels == 0].max()
    assert abs(np.corrcoef(second, features[:, 1])[0, 1]) > 0.99
    alone = plane.places(features, np.zeros(400, int))[:, 0]
    assert abs(np.corrcoef(alone, features[:, 1])[0, 1]) > 0.99


def test_equal_features_have_one_place():
    assert (plane.places(np.ones((5, 3)), np.arange(5)) == 0).all()
