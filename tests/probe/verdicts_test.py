"""From predictions to the audit's table: the order of label scores."""

import numpy as np

from josrc_keras.probe import verdicts


def test_labels_are_ordered_by_the_mean_of_both_by_hand():
    """Geometric means 0.6, 0.3, 0.42 and 0.1 get the probabilities in that order."""
    right = np.array([0.4, 0.9, 0.2, 0.05])
    given = np.array([0.9, 0.1, 0.882, 0.2])
    found = verdicts.reordered(right, given)
    np.testing.assert_array_equal(found, [0.9, 0.2, 0.4, 0.05])


def test_how_many_labels_are_right_stays():
    random = np.random.default_rng(0)
    right, given = random.random((2, 500))
    found = verdicts.reordered(right, given)
    np.testing.assert_array_equal(np.sort(found), np.sort(right))
    order = np.argsort(right * given)
    assert (np.diff(found[order]) >= 0).all()
    np.testing.assert_array_equal(verdicts.reordered(right, right), right)
