"""Evidence about a given label, against NumPy in float64."""

import keras
import numpy as np
import pytest

from josrc_keras.samples import evidence


def softmax(logits):
    shifted = logits.astype("float64") - logits.max(axis=1, keepdims=True)
    return np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)


def expected(logits, labels):
    rows, logits = np.arange(len(labels)), logits.astype("float64")
    others = logits.copy()
    others[rows, labels] = -np.inf
    return {
        "given_prob": softmax(logits)[rows, labels],
        "other_prob": np.where(others > -np.inf, softmax(logits), 0).max(axis=1),
        "given_logit": logits[rows, labels],
        "other_logit": others.max(axis=1),
    }


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("scale", [1, 30, 2e4])
@pytest.mark.parametrize("classes", [2, 3, 1000])
def test_findings_equal_the_oracle(classes, scale, dtype):
    """Also of logits near the end of float16, and in its precision, for they are cast.

    All but the given class may be far below 0: a masked class must not show through.
    """
    random = np.random.default_rng(classes)
    logits = (random.uniform(-3, 3, (50, classes)) * scale).astype(dtype)
    logits[:10] -= np.asarray(abs(logits).max() * 0.05, dtype)
    labels = random.integers(0, classes, 50)
    oracle = expected(logits, labels)
    assert set(oracle) == set(evidence.FINDINGS)
    for name, find in evidence.FINDINGS.items():
        found = keras.ops.convert_to_numpy(find(keras.ops.array(logits), labels))
        assert found.shape == (50,) and found.dtype == "float32", name
        np.testing.assert_allclose(found, oracle[name], rtol=2e-5, atol=1e-6)


def test_the_other_logit_leaves_the_given_class_out():
    """A given class with the largest logit, with the smallest, and among equals."""
    logits = np.array([[9, 1, 2], [-9, 1, 2], [3, 3, 3]], "float32")
    np.testing.assert_array_equal(evidence.other_logit(logits, [0, 0, 0]), [2, 2, 3])


def test_a_more_confident_right_prediction_is_never_lower():
    """Unlike the clean likelihood, which falls again; up to certainty."""
    logits = np.zeros((60, 5), "float32")
    logits[:, 2] = np.linspace(-5, 60, 60)
    found = np.asarray(evidence.given_prob(logits, np.full(60, 2)))
    assert np.all(np.diff(found) >= 0)
    assert found[0] < 0.01 and found[-1] == 1.0


def test_of_views_is_the_mean_of_both():
    first, second = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")
    labels = np.array([0, 1, 2, 3, 0, 1])
    found = evidence.of_views(first, second, labels)
    one, two = expected(first, labels), expected(second, labels)
    assert set(one) == set(evidence.FINDINGS) < set(found)
    for name in one:
        np.testing.assert_allclose(found[name], (one[name] + two[name]) / 2, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_labels_of_any_integer_type(dtype):
    logits = np.eye(3, dtype="float32")
    found = evidence.given_logit(logits, np.array([0, 1, 0], dtype))
    np.testing.assert_array_equal(found, [1, 1, 0])


def test_what_both_views_together_are_predicted_as():
    """By the mean of their probabilities, of all classes and of all but the given."""
    probs = np.array(
        [
            [[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]],
            [[0.1, 0.8, 0.1], [0.7, 0.1, 0.2], [0.2, 0.5, 0.3], [0.4, 0.3, 0.3]],
        ]
    )
    given = np.array([0, 0, 1, 2])
    found = evidence.of_views(*np.log(probs).astype("float32"), given)
    assert set(found) == {*evidence.FINDINGS, *evidence.PREDICTIONS}
    expected = {
        "predicted": [1, 0, 1, 0],
        "other_class": [1, 1, 2, 0],
        "consistent": [0, 1, 1, 0],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(np.asarray(found[name]), values, err_msg=name)
