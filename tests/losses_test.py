import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import labels as labelling
from josrc_keras import losses, selection
from tests.support import oracle

TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}
EXTREMES = [("float32", 100), ("float16", 20)]


def batch(rows, classes, dtype):
    """Logits of two views, targets, and which samples are out of distribution."""
    rng = np.random.default_rng(classes)
    a, b = (3 * rng.normal(size=(2, rows, classes))).astype(dtype)
    targets = rng.dirichlet(np.ones(classes), rows).astype(dtype)
    return a, b, targets, rng.random(rows) < 0.5


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("classes", [2, 8, 80, 1000])
def test_losses_equal_oracle(classes, dtype):
    a, b, targets, outside = batch(32, classes, dtype)
    l_c = losses.classification_loss(a, b, targets)
    np.testing.assert_allclose(l_c, oracle.classification(a, b, targets), **TOLERANCE)
    for base in (2.0, math.e):
        l_o = losses.consistency_loss(a, b, outside, base=base)
        expected = oracle.consistency(a, b, outside, base)
        np.testing.assert_allclose(l_o, expected, **TOLERANCE)
    l_o = losses.consistency_loss(a, b, outside)
    for alpha in (0.0, 0.3, 1.0, tf.constant(0.3)):
        result = losses.joint_loss(l_c, l_o, alpha)
        assert result.dtype == "float32"
        expected = oracle.joint(
            oracle.classification(a, b, targets),
            oracle.consistency(a, b, outside),
            float(alpha),
        )
        np.testing.assert_allclose(result, expected, **TOLERANCE)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_cross_entropy_equals_oracle(dtype):
    a, _, _, _ = batch(16, 8, dtype)
    labels = np.arange(16) % 8
    expected = oracle.classification(a, np.zeros((16, 8)), np.eye(8)[labels])
    result = losses.cross_entropy(labels, a)
    np.testing.assert_allclose(result, expected - math.log(8), **TOLERANCE)


def test_joint_loss_ends_in_either_term():
    l_c, l_o = np.float32([1.0, 2.0]), np.float32([-3.0, 4.0])
    np.testing.assert_array_equal(losses.joint_loss(l_c, l_o, 0), l_c)
    np.testing.assert_array_equal(losses.joint_loss(l_c, l_o, 1), l_o)
    np.testing.assert_array_equal(losses.joint_loss(l_c, l_o, 0.5), [-1.0, 3.0])


def test_sign_of_the_consistency_loss():
    """Equal views give 0; unequal ones cost, but reward an OOD sample as much."""
    a, b, _, _ = batch(8, 5, "float32")
    inside = losses.consistency_loss(a, b, np.zeros(8, bool))
    outside = losses.consistency_loss(a, b, np.ones(8, bool))
    assert np.min(inside) > 0
    np.testing.assert_array_equal(outside, -np.asarray(inside))
    np.testing.assert_array_equal(
        losses.consistency_loss(a, a, np.arange(8) % 2 == 0), np.zeros(8)
    )


@pytest.mark.parametrize(("dtype", "size"), EXTREMES)
def test_extreme_logits_by_hand(dtype, size):
    """Views sure of opposite classes: log-softmax (0, -2s) and (-2s, 0).

    Classification towards class 0: 0 + 2s nats, with the gradients p - y, so 0 for
    the view that is right and (-1, 1) for the other. Consistency: 4s nats; both
    directions have 2s.
    """
    a = tf.constant([[size, -size]], dtype)
    b = tf.constant([[-size, size]], dtype)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([a, b])
        l_c = losses.classification_loss(a, b, [[1.0, 0.0]])
        l_o = losses.consistency_loss(a, b, [False])
    np.testing.assert_allclose(l_c, [2 * size], rtol=1e-6)
    np.testing.assert_allclose(l_o, [4 * size / math.log(2)], rtol=1e-6)
    right, wrong = tape.gradient(l_c, [a, b])
    assert right.dtype == dtype
    np.testing.assert_allclose(right, [[0.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(wrong, [[-1.0, 1.0]], atol=1e-6)
    for gradient in tape.gradient(l_o, [a, b]):
        assert np.isfinite(gradient).all()


def chain(a, b, teacher, labels, *, tau_clean, only_clean):
    """A step of Algorithm 1 from logits to the summed loss."""
    classes = a.shape[-1]
    y = labelling.smooth_labels(labels, classes, 0.3)
    p, p_prime = keras.ops.softmax(a), keras.ops.softmax(b)
    verdict = selection.select(
        selection.clean_likelihood(p, y),
        selection.ood_likelihood(p, p_prime),
        tau_clean=tau_clean,
    )
    targets = labelling.reassign(verdict, y, keras.ops.softmax(teacher))
    l_c = losses.classification_loss(a, b, targets)
    if only_clean:
        return verdict, losses.masked_sum(l_c, verdict.clean)
    l_o = losses.consistency_loss(a, b, verdict.out_of_distribution)
    joint = losses.joint_loss(l_c, l_o, 0.5)
    return verdict, losses.masked_sum(joint, [True] * len(labels))


def extreme_logits(rows, classes, dtype, size):
    """Each of +-size, one class clearly first."""
    rng = np.random.default_rng(1)
    logits = rng.choice([-1.0, -0.5], size=(3, rows, classes))
    first = rng.integers(classes, size=(3, rows, 1))
    first[1, ::2] = first[0, ::2]  # Half of the views agree.
    np.put_along_axis(logits, first, 1.0, axis=-1)
    return [tf.constant(size * view, dtype) for view in logits], first[0, :, 0]


@pytest.mark.parametrize("only_clean", [True, False])
@pytest.mark.parametrize(("dtype", "size"), EXTREMES)
def test_chain_on_extreme_logits(dtype, size, only_clean):
    (a, b, teacher), predicted = extreme_logits(32, 8, dtype, size)
    labels = np.where(np.arange(32) % 3, (predicted + 1) % 8, predicted)
    with tf.GradientTape() as tape:
        tape.watch([a, b, teacher])
        verdict, total = chain(
            a, b, teacher, labels, tau_clean=0.5, only_clean=only_clean
        )
    y = oracle.smooth(labels, 8, 0.3)
    p, p_prime = oracle.softmax(a), oracle.softmax(b)
    clean = oracle.clean_likelihood(p, y) > 0.5
    outside = ~clean & (oracle.ood_likelihood(p, p_prime) > 0.5)
    assert min(clean.sum(), outside.sum(), (~clean & ~outside).sum()) > 0
    np.testing.assert_array_equal(verdict.clean, clean)
    np.testing.assert_array_equal(verdict.out_of_distribution, outside)
    targets = oracle.reassign(clean, outside, y, oracle.softmax(teacher), 10)
    expected = oracle.classification(a, b, targets)
    if only_clean:
        expected = expected[clean]
    else:
        expected = oracle.joint(expected, oracle.consistency(a, b, outside), 0.5)
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-5)
    for variable, gradient in zip(
        (a, b, teacher), tape.gradient(total, [a, b, teacher]), strict=True
    ):
        assert gradient.dtype == variable.dtype
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("dtype", "size"), EXTREMES)
def test_empty_clean_mask_gives_exactly_0(dtype, size):
    """At tau = 1 nothing passes: not the mean of an empty set, but 0."""
    (a, b, teacher), labels = extreme_logits(32, 8, dtype, size)
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        verdict, total = chain(a, b, teacher, labels, tau_clean=1.0, only_clean=True)
    assert not np.any(verdict.clean)
    assert float(total) == 0.0
    for gradient in tape.gradient(total, [a, b]):
        np.testing.assert_array_equal(gradient, np.zeros((32, 8)))


@pytest.mark.parametrize("broken", [np.inf, np.nan])
def test_masked_sum_ignores_what_is_outside(broken):
    """2 + 3 within the mask; weighted 2 * 0.5 + 3 * 4 = 13; gradient = the weights."""
    values = tf.constant([2.0, broken, 3.0])
    mask, weight = [True, False, True], np.array([0.5, 9.0, 4.0], "float64")
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = losses.masked_sum(values, mask, weight)
    assert float(losses.masked_sum(values, mask)) == 5.0
    assert float(total) == 13.0
    np.testing.assert_array_equal(tape.gradient(total, values), [0.5, 0.0, 4.0])


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_bad_alpha_is_refused(alpha):
    message = rf"must be in \[0, 1\]\. Received: alpha={alpha}\. The paper uses 0\.5"
    with pytest.raises(ValueError, match=message):
        losses.joint_loss(np.zeros(1), np.zeros(1), alpha)


def test_bad_base_is_refused():
    with pytest.raises(ValueError, match=r"Received: base=1\. Use base=2\.0"):
        losses.consistency_loss(np.eye(2), np.eye(2), [False, True], base=1)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_soft_cross_entropy_equals_oracle(dtype):
    """Of one view: both are what eq. 11 sums. A row's sum is its weight."""
    a, b, targets, _ = batch(16, 8, dtype)
    first = losses.soft_cross_entropy(a, targets)
    assert first.dtype == "float32" and first.shape == (16,)
    expected = -(oracle.float64(targets) * oracle.log_softmax(a)).sum(axis=1)
    np.testing.assert_allclose(first, expected, **TOLERANCE)
    both = first + losses.soft_cross_entropy(b, targets)
    np.testing.assert_allclose(
        both, losses.classification_loss(a, b, targets), **TOLERANCE
    )
    half = losses.soft_cross_entropy(a, 0.5 * targets)
    np.testing.assert_allclose(half, expected / 2, **TOLERANCE)
    nothing = losses.soft_cross_entropy(a, 0 * targets)
    np.testing.assert_array_equal(nothing, np.zeros(16))


@pytest.mark.parametrize(("dtype", "size"), EXTREMES)
def test_soft_cross_entropy_of_extreme_logits(dtype, size):
    """2s nats towards the wrong class, where the gradient is p - y."""
    logits = tf.constant([[size, -size]], dtype)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = losses.soft_cross_entropy(logits, [[0.0, 1.0]])
    np.testing.assert_allclose(found, [2 * size], rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(found, logits), [[1, -1]], atol=1e-6)


@pytest.mark.parametrize("base", [2.0, math.e])
@pytest.mark.parametrize("classes", [2, 8, 80])
def test_bounded_consistency_is_the_jensen_shannon_divergence(classes, base):
    a, b, _, outside = batch(32, classes, "float32")
    result = losses.consistency_loss(a, b, outside, base, bounded=True)
    assert result.dtype == "float32"
    divergence = oracle.js(oracle.softmax(a), oracle.softmax(b), base)
    np.testing.assert_allclose(
        result, np.where(outside, -divergence, divergence), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(("dtype", "size"), [*EXTREMES, ("float32", 1e30)])
def test_bounded_consistency_can_not_run_away(dtype, size):
    """Views sure of opposite classes are a bit apart, with a finite gradient."""
    a = tf.constant([[size, -size]] * 3, dtype)
    b = tf.constant([[-size, size], [-size, size], [size, -size]], dtype)
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        found = losses.consistency_loss(a, b, [False, True, True], bounded=True)
    np.testing.assert_allclose(found, [1, -1, 0], atol=1e-6)
    for gradient in tape.gradient(found, [a, b]):
        assert np.isfinite(gradient).all()


def test_bounded_consistency_stays_within_a_bit():
    a, b = (tf.constant(view) for view in batch(200, 8, "float32")[:2])
    for scale in (0.0, 0.1, 1.0, 10.0, 1000.0):
        for outside in (True, False):
            with tf.GradientTape() as tape:
                tape.watch([a, b])
                found = losses.consistency_loss(
                    scale * a, scale * b, np.full(200, outside), bounded=True
                )
            sign = -1 if outside else 1
            assert np.all(sign * found >= 0) and np.all(sign * found <= 1)
            for gradient in tape.gradient(found, [a, b]):
                assert np.isfinite(gradient).all()


def test_complementary_cross_entropy_by_hand():
    """`-log(1 - p)` of each class that it is learnt not to be, by its weight."""
    logits = np.log([[0.5, 0.25, 0.25], [0.9, 0.05, 0.05]])
    targets = [[1.0, 0.0, 0.0], [0.5, 2.0, 0.0]]
    found = losses.complementary_cross_entropy(logits, targets)
    expected = [-np.log(0.5), -0.5 * np.log(0.1) - 2 * np.log(0.95)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    sure = losses.complementary_cross_entropy([[200.0, 0.0]], [[1.0, 0.0]])
    np.testing.assert_allclose(sure, [-np.log(1e-6)], rtol=1e-4)
