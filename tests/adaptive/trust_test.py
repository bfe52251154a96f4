"""How far labels are trusted: the rule, by hand."""

import numpy as np
import pytest

from josrc_keras.adaptive import TrustRule, trust

RULE = TrustRule()


def label_trust(given, other, rate, flip, classes, sharpness=1, least=0.0):
    """With an exponent of 1, by which trust is the plain probability."""
    rule = TrustRule(sharpness=sharpness)
    return trust.label_trust(given, other, rate, flip, classes, least, rule)


@pytest.mark.parametrize(
    ("given", "other", "sure"),
    [
        ([0.9, 0.1, 0.3, 0.2], [0.05, 0.8, 0.6, 0.3], [1, 1, 0, 0]),  # From 0.65 on.
        # All are as sure as the average, which rounding may put above them.
        ([0.1] * 9 + [0.0], [0.0] * 9 + [0.1], [1] * 10),
        ([0.2], [0.6], [1]),
        ([], [], []),
    ],
)
def test_sure_is_what_is_as_confident_as_the_average(given, other, sure):
    found = trust.sure_samples(np.array(given), np.array(other))
    np.testing.assert_array_equal(found, np.array(sure, bool))


# Of the sure ones, the first four, a quarter agrees, as do all the others.
GIVEN = [0.9, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2]
OTHER = [0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1]


@pytest.mark.parametrize(
    ("stable", "consistent", "rate"),
    [
        ([1] * 8, [1] * 8, 1 - 0.25),
        # Whether unsure ones are stable is nothing to it.
        ([1, 1, 1, 1, 0, 0, 0, 0], [1] * 8, 1 - 0.25),
        # Half of the contradictions may be the network's own.
        ([1, 1, 0, 0, 1, 1, 1, 1], [1] * 8, 1 - 0.25 / 0.5),
        # All of them, or more.
        ([0, 1, 0, 0, 1, 1, 1, 1], [1] * 8, 0.0),
        ([0] * 8, [1] * 8, 0.0),
        # Of all samples half are predicted alike in both views; or none.
        ([1] * 8, [0, 0, 0, 0, 1, 1, 1, 1], 0.5 * (1 - 0.25)),
        ([1] * 8, [0] * 8, 0.0),
    ],
)
def test_the_noise_rate_is_what_inconsistency_does_not_explain(
    stable, consistent, rate
):
    """`v (1 - a / s)`, for lists and arrays, of numbers and of booleans."""
    for kind in (list, np.float32, np.float64):
        found = trust.noise_rate(kind(GIVEN), kind(OTHER), stable, consistent)
        assert isinstance(found, float)
        assert found == pytest.approx(rate)
    flags = np.array(stable, bool), np.array(consistent, bool)
    assert trust.noise_rate(GIVEN, OTHER, *flags) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("given", "other", "rate"),
    [
        ([0.1, 0.2], [0.9, 0.9], 1.0),  # All are contradicted.
        ([0.9, 0.9], [0.1, 0.2], 0.0),
        ([0.7, 0.7], [0.7, 0.7], 0.0),  # A tie contradicts nothing.
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([0.2], [0.6], 1.0),
        ([], [], 0.0),
    ],
)
def test_the_ends_of_the_noise_rate(given, other, rate):
    flags = np.ones(len(given), bool)
    assert trust.noise_rate(given, other, flags, flags) == rate


def test_a_reliable_networks_rate_is_the_share_of_wrong_labels():
    """Which knows the truth of labels of which three tenths are wrong."""
    draw, flags = np.random.default_rng(0), np.ones(1000, bool)
    wrong = draw.permutation(1000) < 300
    sure = draw.uniform(0.8, 1.0, 1000)
    given, other = np.where(wrong, 1 - sure, sure), np.where(wrong, sure, 1 - sure)
    assert trust.noise_rate(given, other, flags, flags) == pytest.approx(0.3, abs=0.03)
    # Of a network that guesses what it is unsure of, no label is contradicted.
    unsure = np.r_[np.full(300, 0.9), np.full(700, 0.2)]
    assert trust.noise_rate(unsure, np.full(1000, 0.25), flags, flags) == 0.0


def test_transitions_are_counted_where_the_network_is_sure_of_another_class():
    """Beside uniform noise that counts for so many labels of each class."""
    given = np.array([0.1, 0.1, 0.0, 0.9, 0.1, 0.2])
    other = np.array([0.9, 0.9, 0.9, 0.1, 0.9, 0.3])  # But of the last one.
    others = np.array([1, 1, 1, 1, 2, 1])
    labels = np.array([0, 0, 2, 0, 0, 2])
    found = trust.transitions(given, other, others, labels, 4)
    prior = RULE.strength / 3
    expected = np.full((4, 4), prior)
    expected[1] += [2, 0, 1, 0]
    expected[2] += [1, 0, 0, 0]
    np.fill_diagonal(expected, 0)
    expected /= [[3 * prior], [3 * prior + 3], [3 * prior + 1], [3 * prior]]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(found.sum(axis=1), np.ones(4))


def test_many_wrong_labels_outweigh_uniform_noise():
    """Each class is taken for the next; and without a sample any for any."""
    truth = np.arange(4000) % 4
    wrong = np.full(4000, 0.9)
    found = trust.transitions(1 - wrong, wrong, truth, (truth + 1) % 4, 4)
    np.testing.assert_allclose(found, np.roll(np.eye(4), 1, axis=1), atol=0.01)
    nothing, none = np.zeros(0), np.zeros(0, int)
    found = trust.transitions(nothing, nothing, none, none, 4)
    np.testing.assert_allclose(found, (1 - np.eye(4)) / 3)
    two = trust.transitions(nothing, nothing, none, none, 2)
    np.testing.assert_array_equal(two, [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("given", "other", "rate", "flip", "classes", "sharpness", "expected"),
    [
        # Of two classes `w` is the other's probability.
        (0.6, 0.4, 0.25, 1.0, 2, 1, 0.45 / (0.45 + 0.1)),
        (0.6, 0.4, 0.25, 1.0, 2, 2, 0.27 / (0.27 + 0.04)),
        (0.64, 0.36, 0.5, 1.0, 2, 0.5, 0.8 / (0.8 + 0.6)),
        # Of five: 0.2 of 0.5 and a fourth of what is left.
        (0.3, 0.5, 0.2, 0.2, 5, 1, 0.24 / (0.24 + 0.2 * 0.15)),
        (0.3, 0.5, 0.2, 0.2, 5, 3, 0.0216 / (0.0216 + 0.2 * 0.003375)),
        # An image of no class, and one whose mistake is never made.
        (0.2, 0.2, 0.5, 0.25, 5, 1, 0.1 / (0.1 + 0.5 * 0.2)),
        (0.1, 0.9, 0.5, 0.0, 5, 1, 1.0),
        (1.0, 0.0, 0.5, 1.0, 2, 1, 1.0),
        (0.0, 1.0, 0.5, 1.0, 2, 1, 0.0),
        (0.0, 0.0, 0.5, 0.0, 2, 1, 0.0),
        # Averages of maxima may sum to more than 1.
        (0.6, 0.6, 0.5, 1.0, 2, 1, 0.5),
    ],
)
def test_trust_is_the_probability_that_a_label_is_right(
    given, other, rate, flip, classes, sharpness, expected
):
    found = label_trust([given], [other], rate, flip, classes, sharpness)
    assert found.dtype == np.float32 and found.shape == (1,)
    np.testing.assert_allclose(found, [expected], rtol=1e-6, atol=1e-9)
    if sharpness == 2:  # The default.
        flips = np.array([flip])
        again = trust.label_trust([given], [other], rate, flips, classes)
        np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize(
    ("rate", "limit"), [(0.0, RULE.least_rate), (1.0, RULE.most_rate), (0.5, 0.5)]
)
def test_no_label_is_beyond_doubt_and_none_beyond_hope(rate, limit):
    for sharpness in (1, 2):
        half = label_trust([0.5], [0.5], rate, 1.0, 2, sharpness)
        assert half == pytest.approx([1 - limit])
    found = label_trust([0.6], [0.4], rate, 1.0, 2)
    right, wrong = (1 - limit) * 0.6, limit * 0.4
    assert found == pytest.approx([right / (right + wrong)])
    assert label_trust([], [], rate, 1.0, 2).shape == (0,)


def test_typical_is_what_believed_labels_of_a_class_get():
    """By hand: (0.81 + 0.01) / (0.9 + 0.1), 0.3, none, and of a class that gets 0."""
    found = trust.typical([0.9, 0.3, 0.1, 0.3, 0.0], [0, 1, 0, 1, 3], 4)
    np.testing.assert_allclose(found, [0.82, 0.3, 0.0, 0.0])
    np.testing.assert_array_equal(trust.typical([], np.zeros(0, int), 2), [0, 0])


def test_half_of_the_labels_being_wrong_hardly_lowers_what_is_typical():
    """Right ones get 0.8, wrong ones 0.05: by hand 0.6425 / 0.85, the mean is 0.425."""
    found = trust.typical([0.8, 0.05] * 50, np.zeros(100, int), 1)
    np.testing.assert_allclose(found, [0.6425 / 0.85])


def test_a_wrong_label_may_get_so_much_without_being_believed():
    """By hand, of five classes: `w` is 0.2 * 0.5 + 0.2 / 4 = 0.15, or at least 0.2."""
    for least, mistaken in ((0.0, 0.15), (0.1, 0.15), (0.2, 0.2), (0.6, 0.6)):
        found = label_trust([0.3], [0.5], 0.4, 0.2, 5, 2, least)
        right, wrong = 0.6 * 0.3**2, 0.4 * mistaken**2
        assert found == pytest.approx([right / (right + wrong)])
    each = label_trust([0.3] * 2, [0.5] * 2, 0.4, 0.2, 5, 2, np.array([0.2, 0.6]))
    np.testing.assert_allclose(each, [0.054 / (0.054 + 0.016), 0.054 / (0.054 + 0.144)])


@pytest.mark.parametrize(
    ("epochs", "expected"), [(200, 50), (40, 10), (30, 8), (8, 2), (4, 2), (1, 2)]
)
def test_the_noise_rate_is_held_after_a_quarter_of_the_epochs(epochs, expected):
    assert RULE.hold_after(epochs) == expected


def test_what_is_learnt_is_a_share_of_the_labels_that_are_right():
    """Two of five are predicted, of 4 that are right by a rate of 0.2."""
    given, other = [0.5, 0.2, 0.4, 0.1, 0.0], [0.3, 0.2, 0.5, 0.3, 0.9]
    assert trust.learnt(given, other, 0.2) == pytest.approx(0.5)
    assert trust.learnt(given, other, 0.0) == pytest.approx(0.4)
    assert trust.learnt(given, other, 0.7) == trust.learnt(given, other, 1.0) == 1
    assert trust.learnt(given[2:], other[2:], 0.3) == 0
    assert trust.learnt([], [], 0.3) == 0


def test_trust_grows_with_the_given_class_and_falls_with_rate_other_and_flip():
    probs = np.linspace(0, 1, 101)
    half = np.full(101, 0.5)
    for sharpness in (0.5, 1, 4):
        grown = label_trust(probs, 1 - probs, 0.3, 1.0, 2, sharpness)
        assert np.all(np.diff(grown[1:-1]) > 0)
        flips = label_trust(half, half, 0.3, probs, 5, sharpness)
        assert np.all(np.diff(flips) <= 0) and flips[-1] < flips[50] < flips[0]
        rates = [
            label_trust([0.5], [0.4], rate, 0.7, 5, sharpness)[0]
            for rate in np.linspace(RULE.least_rate, RULE.most_rate, 20)
        ]
        assert np.all(np.diff(rates) < 0)
    # The sharper, the nearer to yes or no.
    blunt, sharp = (label_trust(probs, 1 - probs, 0.5, 1.0, 2, s) for s in (1, 4))
    assert np.all(np.abs(sharp - 0.5) >= np.abs(blunt - 0.5) - 1e-6)


def test_balanced_trust_has_the_same_mean_in_each_class_by_hand():
    """Log-odds shifted by class; half of the shift halves the gap in log-odds."""
    found = np.array([0.8, 0.8, 0.2, 0.2], "float32")
    labels = np.array([0, 0, 1, 1])
    np.testing.assert_allclose(trust.balanced(found, labels, 3, 1.0), 0.5, rtol=1e-6)
    half = trust.balanced(found, labels, 3, 0.5)
    np.testing.assert_allclose(half, [2 / 3, 2 / 3, 1 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_array_equal(trust.balanced(found, labels, 3, 0.0), found)


def test_balanced_trust_keeps_the_order_within_a_class():
    random = np.random.default_rng(0)
    found, labels = random.random(200), random.integers(0, 3, 200)
    found[labels == 1] **= 4
    moved = trust.balanced(found, labels, 3, 1.0)
    means = [moved[labels == c].mean() for c in range(3)]
    assert np.ptp(means) < np.ptp([found[labels == c].mean() for c in range(3)]) / 2
    for c in range(3):
        order = np.argsort(found[labels == c])
        assert (np.diff(moved[labels == c][order]) >= 0).all()
    certain = trust.balanced(np.array([0.0, 1.0]), np.array([0, 1]), 2, 1.0)
    assert np.isfinite(certain).all()


def test_the_least_that_a_wrong_label_gets():
    """A share of what is typical of its class, as far as the network has learnt."""
    given, other = np.array([0.8, 0.4, 0.1, 0.2]), np.array([0.1, 0.3, 0.8, 0.6])
    labels = np.array([0, 1, 1, 0])
    found = trust.least_of_class(given, other, labels, 0.2, 3, TrustRule(allowance=0.4))
    # Of the 80% that are right, the network predicts 50 / 80.
    expected = 0.4 * 0.625 * np.array([0.68 / 1.0, 0.17 / 0.5, 0.0])
    np.testing.assert_allclose(found, expected)
    none = trust.least_of_class(given, other, labels, 0.2, 3, TrustRule(allowance=0.0))
    np.testing.assert_array_equal(none, [0, 0, 0])
