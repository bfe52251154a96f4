"""Batch normalisation computes what Keras's own layer does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras.networks.normalization import BatchNormalization, as_keras

SHAPE = (6, 5, 4, 3)


def layer_pair(policy="float32", shape=SHAPE, **arguments):
    """Keras's layer and ours with the same, not trivial, weights."""
    random = np.random.default_rng(1)
    weights = None
    pair = []
    for kind in (keras.layers.BatchNormalization, BatchNormalization):
        layer = kind(momentum=0.8, epsilon=1e-4, dtype=policy, **arguments)
        layer.build(shape)
        if weights is None:
            weights = [random.uniform(0.5, 2, w.shape) for w in layer.get_weights()]
        layer.set_weights(weights)
        pair.append(layer)
    return pair


def inputs_of(shape=SHAPE):
    return np.random.default_rng(2).normal(1.5, 3.0, shape).astype("float32")


def run(layer, x, training=True):
    """Output, gradients of a sum that is not symmetric, and the weights afterwards."""
    x = tf.constant(x)
    factors = tf.constant(np.linspace(-1, 2, x.shape.num_elements()), "float32")

    @tf.function
    def compute():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
            flat = tf.reshape(tf.cast(y, "float32"), (-1,))
            total = tf.reduce_sum(flat**2 * factors)
        return y, tape.gradient(total, [x, *layer.trainable_variables])

    y, gradients = compute()
    return y.numpy(), [g.numpy() for g in gradients], layer.get_weights()


def scaled(value):
    """Largest absolute value, to compare relative to it."""
    return max(1e-9, float(np.abs(value).max()))


def assert_same(ours, theirs, tolerance):
    (y, gradients, weights), (y0, gradients0, weights0) = ours, theirs
    assert y.dtype == y0.dtype
    pairs = zip([y, *gradients, *weights], [y0, *gradients0, *weights0], strict=True)
    for value, expected in pairs:
        value, expected = value.astype("float32"), expected.astype("float32")
        np.testing.assert_allclose(value, expected, atol=tolerance * scaled(expected))


@pytest.mark.parametrize("arguments", [{}, {"scale": False}, {"center": False}])
def test_fused_training_equals_keras(arguments):
    """Outputs, gradients, and moving statistics, of the biased variance as Keras's."""
    theirs, ours = layer_pair(**arguments)
    assert ours._can_fuse(tf.zeros(SHAPE), None)
    x = inputs_of()
    assert_same(run(ours, x), run(theirs, x), 1e-5)
    moved = ours.moving_variance.numpy()
    start = layer_pair(**arguments)[1].moving_variance.numpy()
    expected = 0.8 * start + 0.2 * x.reshape(-1, 3).var(axis=0)
    np.testing.assert_allclose(moved, expected, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_width_equals_keras(policy):
    """To the rounding of the output; statistics are of float32 sums in both."""
    theirs, ours = layer_pair(policy)
    x = inputs_of()
    tolerance = 0.02 if policy == "mixed_bfloat16" else 3e-3
    assert_same(run(ours, x), run(theirs, x), tolerance)


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((12, 3), {}),  # After a dense layer.
        ((6, 3, 4, 5), {"axis": 1}),
        (SHAPE, {"renorm": True}),
    ],
)
def test_what_can_not_be_fused_is_keras(shape, arguments):
    if "renorm" in arguments and not hasattr(layer_pair()[0], "renorm"):
        pytest.skip("Keras before 3.14 has no renorm")
    theirs, ours = layer_pair(shape=shape, **arguments)
    assert not ours._can_fuse(tf.zeros(shape), None)
    x = inputs_of(shape)
    assert_same(run(ours, x), run(theirs, x), 1e-6)


@pytest.mark.parametrize("frozen", [False, True])
def test_inference_uses_the_moving_statistics(frozen):
    theirs, ours = layer_pair()
    if frozen:
        theirs.trainable = ours.trainable = False
    x = inputs_of()
    before = ours.get_weights()
    found = run(ours, x, training=frozen)
    assert_same(found, run(theirs, x, training=frozen), 1e-6)
    for value, expected in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_other_widths_are_not_fused(dtype):
    """The operation has none of double precision, and no parameters of half."""
    ours, theirs = (
        made(dtype=dtype)
        for made in (BatchNormalization, keras.layers.BatchNormalization)
    )
    x = inputs_of().astype(dtype)
    found, expected = (layer(x, training=True) for layer in (ours, theirs))
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found, expected, rtol=1e-2 if dtype == "float16" else 1e-9
    )


def test_a_tiny_epsilon_is_not_fused():
    """Below 1e-5 cuDNN would use another one."""
    layer = BatchNormalization(epsilon=1e-7)
    layer.build(SHAPE)
    assert not layer._can_fuse(tf.zeros(SHAPE), None)


def test_config_round_trip():
    layer = BatchNormalization(momentum=0.7, synchronized=False, name="norm")
    copy = BatchNormalization.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert (copy.synchronized, BatchNormalization().synchronized) == (False, True)


def test_as_keras():
    """For files that open without this package."""
    plain = as_keras(BatchNormalization(momentum=0.7, epsilon=1e-5, name="norm"))
    assert type(plain) is keras.layers.BatchNormalization
    assert (plain.momentum, plain.epsilon, plain.name) == (0.7, 1e-5, "norm")
    assert not plain.synchronized
