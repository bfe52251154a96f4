import math

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from josrc_keras import divergence
from tests.support import oracle

TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}


def random_probs(rows, classes, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(classes), rows).astype(dtype)


def random_logits(rows, classes, dtype="float64", seed=0):
    return (3 * np.random.default_rng(seed).normal(size=(rows, classes))).astype(dtype)


@pytest.mark.parametrize("base", [2.0, math.e])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("classes", [2, 8, 80, 1000])
def test_equals_oracle(classes, dtype, base):
    p = random_probs(16, classes, dtype, seed=1)
    q = random_probs(16, classes, dtype, seed=2)
    for ours, expected in [
        (divergence.kl_divergence, oracle.kl),
        (divergence.js_divergence, oracle.js),
    ]:
        result = ours(p, q, base=base)
        assert result.dtype == "float32"
        np.testing.assert_allclose(result, expected(p, q, base), **TOLERANCE)

    a = random_logits(16, classes, dtype, seed=1)
    b = random_logits(16, classes, dtype, seed=2)
    expected = oracle.consistency(a, b, np.zeros(16, bool), base)
    result = divergence.symmetric_kl_divergence(a, b, base=base)
    np.testing.assert_allclose(result, expected, **TOLERANCE)


def test_default_base_is_2():
    """Log2 8 = 3 bits for a certain prediction against a uniform one of 8."""
    certain, uniform = np.eye(8), np.full((8, 8), 1 / 8)
    kl = divergence.kl_divergence(certain, uniform)
    np.testing.assert_allclose(kl, np.full(8, 3.0), **TOLERANCE)
    disjoint = divergence.js_divergence(certain[:1], certain[1:2])
    np.testing.assert_allclose(disjoint, [1.0], **TOLERANCE)
    # Logits (1, 0) and (0, 1): 2 (p1 - p2) with p1 - p2 = (e - 1) / (e + 1), in nats.
    bits = 2 * (math.e - 1) / (math.e + 1) / math.log(2)
    result = divergence.symmetric_kl_divergence([[1.0, 0.0]], [[0.0, 1.0]])
    np.testing.assert_allclose(result, [bits], **TOLERANCE)


@pytest.mark.parametrize("classes", [2, 8, 80, 1000])
def test_js_is_symmetric_bounded_and_zero_only_for_equal_rows(classes):
    p = random_probs(64, classes, "float32", seed=1)
    q = random_probs(64, classes, "float32", seed=2)
    forth = np.asarray(divergence.js_divergence(p, q))
    np.testing.assert_allclose(forth, divergence.js_divergence(q, p), **TOLERANCE)
    assert forth.min() >= 0 and forth.max() <= 1
    np.testing.assert_array_equal(divergence.js_divergence(p, p), np.zeros(64))
    np.testing.assert_array_equal(divergence.kl_divergence(p, p), np.zeros(64))
    # A hundredth moved from one class to another shows.
    moved = p.astype("float64")
    moved[:, 0] = 0.99 * p[:, 0]
    moved[:, 1] += 0.01 * p[:, 0]
    expected = oracle.js(p[:, :2], moved[:, :2])
    result = divergence.js_divergence(p[:, :2], moved[:, :2])
    np.testing.assert_allclose(result, expected, atol=2e-7)
    assert np.all(np.asarray(divergence.js_divergence(p, np.roll(p, 1, axis=1))) > 0)


@pytest.mark.parametrize("classes", [4, 80, 1000])
def test_js_of_disjoint_supports_is_1(classes):
    p, q = random_probs(2, classes, seed=1)
    half = classes // 2
    p[half:], q[:half] = 0, 0
    result = divergence.js_divergence([p / p.sum()], [q / q.sum()])
    np.testing.assert_allclose(result, [1.0], **TOLERANCE)
    assert result[0] <= 1


def test_exact_at_0_and_1():
    """By hand, in bits, against y = (3/4, 1/4).

    KL((1, 0) || y) = log2(4/3). JS((1, 0), y): m = (7/8, 1/8), so
    1/2 log2(8/7) + 1/2 (3/4 log2(6/7) + 1/4 log2 2).
    """
    certain, impossible, label = [[1.0, 0.0]], [[0.0, 1.0]], [[0.75, 0.25]]
    kl = divergence.kl_divergence
    np.testing.assert_allclose(kl(certain, label), [math.log2(4 / 3)], **TOLERANCE)
    np.testing.assert_array_equal(kl(certain, certain), [0.0])
    np.testing.assert_array_equal(kl(certain, impossible), [np.inf])
    np.testing.assert_array_equal(kl(label, certain), [np.inf])
    js = 0.5 * math.log2(8 / 7) + 0.5 * (0.75 * math.log2(6 / 7) + 0.25)
    result = divergence.js_divergence(certain, label)
    np.testing.assert_allclose(result, [js], **TOLERANCE)


@pytest.mark.parametrize("tiny", [0.0, 1e-45, 1e-40, 1e-38, 1e-30])
def test_value_and_gradient_are_finite_where_a_probability_underflows(tiny):
    p = tf.constant([[1.0, tiny, tiny], [tiny, 0.5, 0.5]])
    q = tf.constant([[0.4, 0.3, 0.3], [tiny, 1.0, tiny]])
    with tf.GradientTape() as tape:
        tape.watch([p, q])
        js = divergence.js_divergence(p, q)
    np.testing.assert_allclose(js, oracle.js(p.numpy(), q.numpy()), **TOLERANCE)
    for gradient in tape.gradient(js, [p, q]):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("dtype", "size"), [("float32", 100), ("float16", 20)])
def test_symmetric_kl_of_opposite_certainties(dtype, size):
    """Log-softmax of (s, -s) is (0, -2s), so each direction is 2s nats: 4s in all."""
    a = tf.constant([[size, -size]], dtype)
    with tf.GradientTape() as tape:
        tape.watch(a)
        value = divergence.symmetric_kl_divergence(a, -a)
    np.testing.assert_allclose(value, [4 * size / math.log(2)], rtol=1e-6)
    gradient = tape.gradient(value, a)
    assert gradient.dtype == dtype
    assert np.isfinite(gradient).all()
    # Both views follow a, and p is flat there: the value is 2 (a1 - a2) / ln 2.
    expected = [[2 / math.log(2), -2 / math.log(2)]]
    np.testing.assert_allclose(gradient, expected, rtol=1e-3)


@pytest.mark.parametrize("base", [0, -2.0, 1, "2", 0.5, float("nan")])
@pytest.mark.parametrize(
    "function",
    [
        divergence.kl_divergence,
        divergence.js_divergence,
        divergence.symmetric_kl_divergence,
    ],
)
def test_bad_base_is_refused(function, base):
    message = r"number above 1\. Received: base=.*Use base=2\.0"
    with pytest.raises(ValueError, match=message):
        function(ops.ones((1, 2)), ops.ones((1, 2)), base=base)
