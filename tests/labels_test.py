import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import labels as labelling
from josrc_keras.adaptive import targets
from josrc_keras.selection import Selection
from tests.support import oracle

TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}
CLASSES = [2, 8, 80, 1000]


def random_probs(rows, classes, dtype="float64"):
    return np.random.default_rng(0).dirichlet(np.ones(classes), rows).astype(dtype)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint16"])
@pytest.mark.parametrize("classes", CLASSES)
def test_smooth_labels_equals_oracle(classes, dtype):
    labels = np.random.default_rng(0).integers(classes, size=32).astype(dtype)
    expected = oracle.smooth(labels, classes, 0.45)
    one_hot = np.eye(classes)[labels]
    for given in (labels, tf.constant(labels), one_hot, tf.constant(one_hot)):
        result = labelling.smooth_labels(given, classes, 0.45)
        assert result.dtype == "float32"
        np.testing.assert_allclose(result, expected, **TOLERANCE)
        np.testing.assert_allclose(np.sum(result, axis=1), np.ones(32), **TOLERANCE)


def test_soft_rows_are_smoothed_as_a_mixture():
    """Of 0.75 and 0.25 over C = 3: the mean of both classes' rows by their shares."""
    both = labelling.smooth_labels(np.array([0, 2]), 3, 0.4)
    soft = labelling.smooth_labels(np.array([[0.75, 0.0, 0.25]]), 3, 0.4)
    np.testing.assert_allclose(both, [[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]], rtol=1e-6)
    np.testing.assert_allclose(soft, [[0.5, 0.2, 0.3]], rtol=1e-6)


def test_smoothing_leaves_the_given_class_out():
    """0.6 over C = 4: 0.4 and three times 0.2. Keras's would give 0.55 and 0.15."""
    np.testing.assert_allclose(
        labelling.smooth_labels(np.array([2]), 4, 0.6),
        [[0.2, 0.2, 0.4, 0.2]],
        rtol=1e-6,
    )
    np.testing.assert_array_equal(
        labelling.smooth_labels(np.array([1, 0]), 2, 0.0), [[0.0, 1.0], [1.0, 0.0]]
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("classes", CLASSES)
def test_flatten_and_reassign_equal_oracle(classes, dtype):
    q = random_probs(30, classes, dtype)
    q[0] = np.eye(classes)[0]  # Exact at 0 and 1.
    y = oracle.smooth(np.arange(30) % classes, classes, 0.3).astype(dtype)
    result = labelling.flatten_labels(q)
    assert result.dtype == "float32"
    np.testing.assert_allclose(result, oracle.flatten(q, 10), **TOLERANCE)
    np.testing.assert_allclose(np.sum(result, axis=1), np.ones(30), **TOLERANCE)

    kind = np.arange(30) % 3
    partition = Selection(kind == 0, kind == 1, kind == 2)
    for scale in (0.5, 10.0):
        result = labelling.reassign(partition, y, q, scale)
        assert result.dtype == "float32"
        expected = oracle.reassign(kind == 0, kind == 2, y, q, scale)
        np.testing.assert_allclose(result, expected, **TOLERANCE)
    # A float16 row of 1000 sums to 1 only up to its own rounding.
    rounding = {"float16": 1e-2 if classes == 1000 else 2e-3}.get(dtype, 1e-6)
    np.testing.assert_allclose(np.sum(result, axis=1), np.ones(30), atol=rounding)


def test_flatten_by_hand():
    """softmax((1, 0) / 10) = 1 / (1 + e^-0.1) = 0.5249792, nearly uniform."""
    np.testing.assert_allclose(
        labelling.flatten_labels([[1.0, 0.0]]), [[0.5249792, 0.4750208]], rtol=1e-6
    )


def test_label_out_of_range_is_nan_in_a_compiled_step():
    compiled = tf.function(lambda labels: labelling.smooth_labels(labels, 3, 0.3))
    result = compiled(tf.constant([-1, 0, 2, 3])).numpy()
    np.testing.assert_array_equal(np.isnan(result).all(axis=1), [1, 0, 0, 1])
    np.testing.assert_array_equal(np.isnan(result).any(axis=1), [1, 0, 0, 1])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 3]), r"in \[0, 2\]\. Received values from 0 to 3\. Re-number"),
        (np.array([-1, 2]), r"in \[0, 2\]\. Received values from -1 to 2"),
        (np.array([0.0, 1.0]), r"must be integers.*Received: shape \(2,\), dtype floa"),
        (np.zeros((2, 4), int), r"one-hot rows of shape \(N, 3\).*shape \(2, 4\)"),
        ([[0], [1]], r"Received: shape \(2, 1\), dtype int64"),
        (["cat"], r"Received: shape \(1,\), dtype <U3"),
    ],
)
def test_bad_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        labelling.smooth_labels(labels, 3, 0.3)


@pytest.mark.parametrize(
    ("classes", "smoothing", "message"),
    [
        (1, 0.0, r"at least two classes\. Received: num_classes=1\. Pass the"),
        (4, 0.75, r"below \(C - 1\) / C = 0\.75 .*Received: smoothing=0\.75\. Try"),
        (
            2,
            0.6,
            r"= 0\.5 for 2 classes.*Received: smoothing=0\.6\..*smoothing=0\.25\.",
        ),
        (4, -0.1, r"at least 0 .*Received: smoothing=-0\.1\."),
        (4, float("nan"), r"at least 0 .*Received: smoothing=nan\."),
    ],
)
def test_bad_smoothing_is_refused(classes, smoothing, message):
    with pytest.raises(ValueError, match=message):
        labelling.smooth_labels(np.zeros(2, int), classes, smoothing)


def test_largest_allowed_smoothing_keeps_the_given_class_likeliest():
    """C = 4: below 3/4 the given class has more than 1/4, each other less."""
    row = labelling.smooth_labels(np.array([1]), 4, 0.7499)
    assert keras.ops.argmax(row, axis=-1)[0] == 1


@pytest.mark.parametrize("scale", [0, -1.0])
def test_bad_scale_is_refused(scale):
    message = rf"must be positive\. Received: scale={scale}\. The paper uses 10"
    q, nobody = np.full((1, 2), 0.5), np.array([False])
    with pytest.raises(ValueError, match=message):
        labelling.flatten_labels(q, scale)
    with pytest.raises(ValueError, match=message):
        labelling.reassign(Selection(nobody, nobody, ~nobody), q, q, scale)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("classes", CLASSES)
def test_temper_equals_powers(classes, dtype):
    """Rows sum to 1; a class without probability stays without; the first is first."""
    probs = random_probs(20, classes, dtype)
    probs[0] = np.eye(classes)[0]
    for temperature in (0.25, 0.5, 2.0, 10):
        result = np.asarray(targets.temper(probs, temperature))
        assert result.dtype == "float32"
        powers = oracle.float64(probs) ** (1 / temperature)
        expected = powers / powers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(result.sum(axis=1), np.ones(20), rtol=1e-5)
        np.testing.assert_array_equal(result[0], np.eye(classes)[0])


def test_a_temperature_of_1_changes_nothing():
    probs = random_probs(20, 8, "float32") * 1.7  # Not even the sum.
    np.testing.assert_array_equal(targets.temper(probs, 1), probs)
    np.testing.assert_array_equal(targets.temper(probs, 1.0), probs)


def test_temper_by_hand():
    """(0.8, 0.2) squared is (0.64, 0.04), of which the sum is 0.68."""
    result = targets.temper(np.float32([[0.8, 0.2]]), 0.5)
    np.testing.assert_allclose(result, [[16 / 17, 1 / 17]], rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temper_has_a_finite_gradient_of_probabilities_above_0(temperature):
    probs = tf.constant(random_probs(8, 5, "float32"))
    with tf.GradientTape() as tape:
        tape.watch(probs)
        total = tf.reduce_sum(targets.temper(probs, temperature)[:, 0])
    assert np.isfinite(tape.gradient(total, probs)).all()


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_bad_temperature_is_refused(temperature):
    message = rf"must be positive\. Received: temperature={temperature}\. 1 leaves"
    with pytest.raises(ValueError, match=message):
        targets.temper(np.eye(2), temperature)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_trusted_targets_are_between_label_and_teacher(dtype):
    """`trust * label + (1 - trust) * weight * teacher`, and so are the rows' sums."""
    draw = np.random.default_rng(1)
    q = random_probs(30, 8, dtype)
    y = oracle.smooth(np.arange(30) % 8, 8, 0.3).astype(dtype)
    trust, weight = draw.random((2, 30)).astype(dtype)
    trust[:2], weight[:2] = (0, 1), (1, 0)
    result = targets.trusted(y, q, trust, weight)
    assert result.dtype == "float32"
    t, w = oracle.float64(trust)[:, None], oracle.float64(weight)[:, None]
    expected = t * oracle.float64(y) + (1 - t) * w * oracle.float64(q)
    np.testing.assert_allclose(result, expected, **TOLERANCE)
    sums = (t + (1 - t) * w)[:, 0]
    rounding = 2e-3 if dtype == "float16" else 1e-6
    np.testing.assert_allclose(np.sum(result, axis=1), sums, atol=rounding)


@pytest.mark.parametrize(
    ("trust", "weight", "expected"),
    [
        (1.0, 0.3, [0.9, 0.1]),
        (0.0, 1.0, [0.2, 0.8]),
        (0.0, 0.0, [0.0, 0.0]),
        (0.5, 0.5, [0.45 + 0.05, 0.05 + 0.2]),
    ],
)
def test_trusted_targets_by_hand(trust, weight, expected):
    result = targets.trusted([[0.9, 0.1]], [[0.2, 0.8]], [trust], [weight])
    np.testing.assert_allclose(result, [expected], rtol=1e-6)
