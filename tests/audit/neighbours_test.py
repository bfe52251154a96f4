"""Neighbours, and the features that they are found in."""

import keras
import numpy as np
import pytest

from josrc_keras import networks
from josrc_keras.audit import neighbours, scores
from josrc_keras.networks.features import with_last_inputs


def test_belief_is_the_mean_score_of_the_nearest():
    """Against a loop in float64; length does not count, nor the sample itself."""
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 5)) * random.uniform(0.1, 9, (60, 1))
    score = random.uniform(size=60)
    found = neighbours.belief(features, score, neighbours=4)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for row in range(60):
        likeness = unit @ unit[row]
        likeness[row] = -9
        expected = score[np.argsort(-likeness)[:4]].mean()
        assert found[row] == pytest.approx(expected, abs=1e-9)


def test_neighbours_are_at_most_a_tenth():
    features = np.random.default_rng(0).normal(size=(20, 3))
    score = np.linspace(0, 1, 20)
    found = neighbours.belief(features, score)
    np.testing.assert_array_equal(
        found, neighbours.belief(features, score, neighbours=2)
    )
    np.testing.assert_array_equal(neighbours.belief(features[:1], score[:1]), [0])


def test_many_samples_are_compared_with_some_of_them():
    """Two directions, of which one is believed: its neighbours are its like."""
    side = np.arange(5000) % 2
    features = np.eye(2)[side] + np.random.default_rng(1).normal(0, 0.05, (5000, 2))
    found = neighbours.belief(features, side.astype(float), references=300)
    np.testing.assert_array_equal(found, side)


def test_features_of_nothing_are_no_error():
    found = neighbours.belief(np.zeros((30, 4), "float16"), np.full(30, 0.5))
    np.testing.assert_array_equal(found, 0.5)


def test_belief_moves_the_ood_score_halfway():
    """Between the distances by logits and by neighbours, 0.5 and 1 or 0."""
    given, other = np.array([10.0, 10, 10, 6]), np.array([2.0, 2, 2, 6])
    score = np.array([1.0, 1, 1, 0])
    by_logits = scores.ood_score(given, other, score)
    assert by_logits[3] == pytest.approx(0.5)
    around = np.array([0.9, 0.9, 0.9, 0.1])
    least = np.quantile(around, 0.02)
    distance = (0.5 + (0.9 - 0.1) / (0.9 - least)) / 2
    expected = 1 / (1 + np.exp(4 * (0.5 - distance)))
    found = scores.ood_score(given, other, score, around)
    assert found[3] == pytest.approx(expected) and found[3] > 0.7
    equal = scores.ood_score(given, other, score, np.full(4, 0.5))
    np.testing.assert_array_equal(equal, by_logits)


def test_features_are_what_the_last_weights_get():
    network = networks.cnn7(3, width=0.1)
    made, width = with_last_inputs(network)
    assert width == 512
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    features, logits = made(images, training=False)
    np.testing.assert_allclose(logits, network(images, training=False), atol=1e-5)
    last = network.get_layer("logits")
    expected = np.asarray(features) @ np.asarray(last.kernel) + np.asarray(last.bias)
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_a_sequential_network_has_features_before_its_first_call():
    layers = [keras.layers.Dense(5, activation="relu"), keras.layers.Dense(3)]
    network = keras.Sequential([keras.Input((4,)), *layers])
    made, width = with_last_inputs(network)
    assert width == 5
    images = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    found, logits = made(images)
    np.testing.assert_allclose(found, layers[0](images), atol=1e-6)
    np.testing.assert_allclose(logits, network(images), atol=1e-6)


def test_features_of_any_other_network_are_its_logits():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, images, training=False):
            return self.dense(keras.ops.reshape(images, (-1, 4)))

    network = Own()
    network(np.zeros((1, 2, 2, 1)))
    made, width = with_last_inputs(network)
    features, logits = made(np.ones((5, 2, 2, 1)))
    assert width == 0 and features.shape == (5, 3)
    np.testing.assert_array_equal(features, logits)
