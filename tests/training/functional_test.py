"""Gradients through a step of gradient descent, worked out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from josrc_keras import losses
from josrc_keras.baselines.mlnt import divergence_from
from josrc_keras.training import functional


def one_weight():
    """P(class 1) = sigmoid(w x), with w = 0."""
    image = keras.Input((1,))
    logit = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(image)
    return keras.Model(image, keras.layers.Concatenate()([0.0 * logit, logit]))


TEACHER = np.log(np.array([[0.2, 0.8]], "float32"))


@pytest.mark.parametrize(
    ("labels", "first_order", "divergence", "gradient"),
    [
        ([0], False, 0.223994, -0.308730),
        ([0], True, 0.223994, -0.324979),
        ([1], False, 0.163994, -0.261270),
        ([1], True, 0.163994, -0.275021),
        ([0, 1], False, 0.193994, -0.285000),
        ([0, 1], True, 0.193994, -0.300000),
    ],
)
def test_a_virtual_step_of_one_weight(labels, first_order, divergence, gradient):
    """With rate 0.2 and x = 1: w is -0.1 after label 0, and 0.1 after label 1."""
    network, image = one_weight(), np.ones((1, 1), "float32")
    with tf.GradientTape() as tape:
        weights = functional.values_of(network.trainable_variables)
        found = []
        for label in labels:

            def loss_of(values, label=label):
                logits = functional.call_with(network, values, image)
                return ops.mean(losses.cross_entropy(np.array([label]), logits))

            fast = functional.fast_weights(
                network, weights, loss_of, 0.2, first_order=first_order
            )
            assert float(fast[0][0, 0]) == pytest.approx(-0.1 if label == 0 else 0.1)
            logits = functional.call_with(network, fast, image)
            found.append(divergence_from(TEACHER, logits)[0])
        mean = sum(found) / len(found)
    (slope,) = tape.gradient(mean, network.trainable_variables)
    assert float(mean) == pytest.approx(divergence, abs=1e-6)
    assert float(slope[0, 0]) == pytest.approx(gradient, abs=1e-6)


def test_nothing_of_the_network_changes():
    """Nor its moving statistics."""
    image = keras.Input((2,))
    x = keras.layers.BatchNormalization()(image)
    network = keras.Model(image, keras.layers.Dense(2)(x))
    before = network.get_weights()
    weights = [v + 1.0 for v in functional.values_of(network.trainable_variables)]
    batch = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    functional.call_with(network, weights, batch)
    for ours, theirs in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_weight_without_a_gradient_is_named():
    network = one_weight()
    weights = functional.values_of(network.trainable_variables)
    with pytest.raises(ValueError, match=r"depends on every trained weight"):
        functional.fast_weights(network, weights, lambda _: ops.zeros(()), 0.1)
