"""Features of a network and how alike they are, redone in NumPy."""

import keras
import numpy as np
import pytest

from josrc_keras import networks
from josrc_keras.networks import features
from tests.support.models import SHAPE, linear_network


def test_features_are_those_of_the_layer_of_that_name():
    network = networks.digits_cnn(4)
    both = features.with_features(network)
    images = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 1)).astype("float32")
    found, logits = both(images)
    np.testing.assert_allclose(logits, network(images), atol=1e-5)
    assert found.shape[1] == network.get_layer("features").output.shape[1]
    head = network.layers[-1]
    if isinstance(head, keras.layers.Dense):
        np.testing.assert_allclose(head(found), logits, atol=1e-4)


def test_else_they_are_what_the_last_layer_sees():
    images = np.random.default_rng(0).uniform(0, 255, (3, *SHAPE)).astype("float32")
    found, _ = features.with_features(linear_network())(images)
    np.testing.assert_allclose(found, images.reshape(3, -1) / 255, atol=1e-6)


def test_a_network_of_unknown_layers_is_refused():
    class Own(keras.Model):
        def call(self, images):
            return images

    with pytest.raises(ValueError, match=r"functional network.*Received: 'own"):
        features.with_features(Own(name="own"))


def test_directions_and_distances():
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    found = features.directions(rows)
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0], [1, 0]], atol=1e-6)
    expected = [[0, 25, 20], [25, 0, 1], [20, 1, 0]]
    np.testing.assert_allclose(features.squared_distances(rows), expected, atol=1e-4)
