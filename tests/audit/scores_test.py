"""Scores and verdicts: derived values."""

import numpy as np
import pytest

from josrc_keras import labels, selection
from josrc_keras.audit import scores

AGREES = np.array([True, True, True, False])


def test_label_score_by_hand():
    """The median of the three that agree is 0.8: x is 1/4, 1, 5/4 and 1/2.

    x^2 / (x^2 + 1/4): (1/16) / (5/16), 1 / (5/4), (25/16) / (29/16), 1/2.
    """
    found = scores.label_score(np.array([0.2, 0.8, 1.0, 0.4]), AGREES)
    np.testing.assert_allclose(found, [0.2, 0.8, 25 / 29, 0.5], rtol=1e-12)


def test_a_confident_right_prediction_is_never_called_wrong():
    """Eq. 3 calls it unclean, with the labels smoothed as the digits' are.

    The others' probability is modest, as smoothed labels teach it.
    """
    random = np.random.default_rng(0)
    prob = np.append(random.uniform(0.4, 0.9, 99), 0.99999)
    agrees = np.ones(100, bool)
    score = scores.label_score(prob, agrees)
    assert np.argmax(score) == 99 and score[99] > 0.8
    found = scores.verdicts(score, np.full(100, 0.99), agrees)
    assert found[99] == scores.CLEAN
    assert np.all(np.diff(score[np.argsort(prob)]) >= 0)

    probs = np.full((1, 8), (1 - 0.99999) / 7, "float32")
    probs[0, 0] = 0.99999
    smooth = labels.smooth_labels(np.array([0]), 8, 0.3)
    assert float(selection.clean_likelihood(probs, smooth)[0]) < 0.95  # tau_m.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_label_score_where_the_typical_probability_is_next_to_nothing(dtype):
    """No sample agrees, and most probabilities are 0 or tiny: finite, in [0, 1]."""
    for tiny in (0.0, 1e-37, 1e-22):
        prob = np.array([tiny, tiny, tiny, 0.9], dtype)
        found = scores.label_score(prob, np.zeros(4, bool))
        assert found.dtype == "float64"
        assert np.all(np.isfinite(found)) and found.min() >= 0 and found.max() <= 1
        assert found[3] > 0.999


def test_ood_score_by_hand():
    """Believed samples fit with 10, and other classes fit them with 2.

    The rows: one that fits as they do (distance 0); one whose best fit is as bad as
    that of a foreign class (1); a disbelieved label whose given class fits well but
    does not count, half-way (1/2); the same, if half believed, a quarter more of 10.
    """
    believed = np.full(5, 10.0), np.full(5, 2.0), np.ones(5)
    rows = np.array([[10, 2, 1], [2, 2, 0.4], [10, 6, 0], [10, 6, 0.5]], float).T
    given, other, score = (np.append(a, b) for a, b in zip(believed, rows, strict=True))
    found = scores.ood_score(given, other, score)[5:]
    distance = np.array([0, 1, 0.5, 0.25])
    np.testing.assert_allclose(found, 1 / (1 + np.exp(2 - 4 * distance)), rtol=1e-12)


def test_ood_score_of_nothing_to_tell_apart():
    """Logits that are all equal, or whose given class fits worse than the others."""
    flat = scores.ood_score(np.ones(4), np.ones(4), np.ones(4))
    np.testing.assert_array_equal(flat, np.full(4, 0.5))
    worse = scores.ood_score(np.zeros(4), np.ones(4), np.ones(4))
    np.testing.assert_array_equal(worse, np.full(4, 0.5))


def test_ood_score_of_extreme_logits():
    """No overflow on the way; the worst fit has the largest score."""
    given, other = np.array([1.0, 1.0, 1.0, 0]), np.array([0.999, 0.999, 0.999, -1e9])
    with np.errstate(all="raise"):
        found = scores.ood_score(given, other, np.array([1.0, 1, 1, 0]))
    assert np.all(np.isfinite(found)) and np.argmax(found) == 3


def test_verdicts_by_hand():
    score = np.array([0.5, 0.49, 0.49, 0.49, 0.9])
    ood = np.array([0.9, 0.5, 0.51, 0.1, 0.99])
    agrees = np.array([False, False, False, True, True])
    clean, noisy, foreign = scores.VERDICTS[:3]
    expected = [clean, noisy, foreign, foreign, clean]
    assert scores.verdicts(score, ood, agrees).tolist() == expected
