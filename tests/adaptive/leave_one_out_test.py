"""Labels predicted by those of the other samples: against a fit without each sample."""

import numpy as np
import pytest

from josrc_keras.adaptive import leave_one_out, trust
from josrc_keras.adaptive.rule import TrustRule

RULE = TrustRule(strength=1.0)


def clusters(count=600, classes=3, rate=0.3, seed=0):
    """Features around a point for each class, and labels of which some are wrong."""
    random = np.random.default_rng(seed)
    true = random.integers(0, classes, count)
    centres = 4 * np.eye(classes, 5)
    features = centres[true] + random.normal(size=(count, 5))
    wrong = random.random(count) < rate
    labels = np.where(wrong, (true + 1) % classes, true)
    return features, labels, true


@pytest.mark.parametrize("block", [7, 16_384])
def test_scores_are_those_of_a_fit_without_the_sample(block, monkeypatch):
    monkeypatch.setattr(leave_one_out, "BLOCK", block)
    features, labels, _ = clusters(40)
    weights = np.random.default_rng(1).uniform(0, 1, 40)
    found = leave_one_out.scores(features, labels, weights, 3)
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    rows = np.hstack([rows - rows.mean(axis=0), np.ones((40, 1))])
    for row in range(40):
        rest = np.arange(40) != row
        weighted = rows[rest] * weights[rest, None]
        gram = weighted.T @ rows[rest] + leave_one_out.RIDGE * 40 * np.eye(6)
        fitted = np.linalg.solve(gram, weighted.T @ np.eye(3)[labels[rest]])
        np.testing.assert_allclose(found[row], rows[row] @ fitted, atol=1e-6)


@pytest.mark.parametrize("width", [60, 200, 512])
def test_a_wrong_label_is_not_learnt_by_heart(width):
    """With as many features as samples, a plain fit would predict every label.

    A label then decides nearly all of its own prediction, and none of this one.
    """
    random = np.random.default_rng(0)
    features = random.normal(size=(100, width))
    labels = random.integers(0, 2, 100)
    found = leave_one_out.scores(features, labels, np.ones(100), 2)
    right = found.argmax(axis=1) == labels
    assert 0.3 < right.mean() < 0.6
    again = leave_one_out.scores(features, 1 - labels, np.ones(100), 2)
    np.testing.assert_allclose(again, found[:, ::-1], atol=1e-3)


def test_probabilities_are_as_sure_as_the_labels_bear_out():
    """A third of the labels are wrong, so a label gets two thirds."""
    features, labels, true = clusters(3000, rate=1 / 3)
    found = leave_one_out.predictions(features, labels, np.ones(3000), 3)
    assert (found.predicted == true).mean() > 0.9
    most = np.maximum(found.given, found.other)
    assert most.mean() == pytest.approx(2 / 3, abs=0.06)
    # The best other class is the predicted one wherever that is not the given one.
    differs = found.predicted != labels
    assert 0.3 < differs.mean() < 0.4
    np.testing.assert_array_equal(found.other_class[differs], found.predicted[differs])
    assert (found.other_class != labels).all()


def test_probabilities_are_a_softmax_of_the_scores(monkeypatch):
    """At the temperature at which the weighted labels are most likely, by hand."""
    monkeypatch.setattr(leave_one_out, "BLOCK", 7)
    features, labels, _ = clusters(40)
    weights = np.random.default_rng(1).uniform(0, 1, 40)
    found = leave_one_out.scores(features, labels, weights, 3).astype("float64")
    every, likely = np.arange(40), {}
    for temperature in leave_one_out.TEMPERATURES:
        powers = np.exp(found / temperature)
        probs = powers / powers.sum(axis=1, keepdims=True)
        likely[weights @ np.log(probs[every, labels])] = probs
    probs = likely[max(likely)]
    given, other, other_class, predicted = leave_one_out.predictions(
        features, labels, weights, 3
    )
    np.testing.assert_allclose(given, probs[every, labels], rtol=1e-5)
    np.testing.assert_array_equal(predicted, probs.argmax(axis=1))
    np.testing.assert_allclose(other, probs[every, other_class], rtol=1e-5)
    rest = np.where(np.eye(3)[labels] > 0, 0.0, probs)
    np.testing.assert_allclose(other, rest.max(axis=1), rtol=1e-5)


def test_a_class_without_labels_and_two_classes():
    features, labels, _ = clusters(60, classes=2)
    for classes in (2, 4):
        others = leave_one_out.OtherSamples(60)
        others.add(np.ones(60, bool), features, labels, np.ones(60), classes, 0.5)
        found = others.evidence(labels, classes, RULE)
        assert np.isfinite(found).all() and np.ptp(found) > 0.5


def test_features_that_say_nothing_leave_a_sample_out():
    """Zeros, of samples that must not be learnt, and numbers that are not finite."""
    features, labels, _ = clusters(200)
    given, expected = (leave_one_out.OtherSamples(200) for _ in range(2))
    without = np.arange(200) >= 20
    expected.add(without, features, labels, np.ones(200), 3, 0.5)
    features[:10], features[10], features[11:20, 2] = 0.0, np.inf, np.nan
    given.add(np.ones(200, bool), features, labels, np.ones(200), 3, 0.5)
    assert given.memory.seen.tolist() == without.tolist()
    for name, array in expected.arrays().items():
        np.testing.assert_array_equal(given.arrays()[name], array)


def test_a_known_rate_takes_the_place_of_the_estimated_one():
    features, labels, _ = clusters(600)
    others = leave_one_out.OtherSamples(600)
    others.add(np.ones(600, bool), features, labels, np.ones(600), 3, 0.5)
    own = others.evidence(labels, 3, RULE)
    rate = others.noise_rate()
    np.testing.assert_array_equal(others.evidence(labels, 3, RULE, rate), own)
    assert not np.array_equal(others.evidence(labels, 3, RULE, 0.9), own)


def test_a_label_counts_by_its_weight():
    """Labels of no weight change no other sample's prediction."""
    features, labels, _ = clusters(60)
    weights = np.where(np.arange(60) < 40, 1.0, 0.0)
    found = leave_one_out.scores(features, labels, weights, 3)
    changed = np.where(weights > 0, labels, (labels + 1) % 3)
    again = leave_one_out.scores(features, changed, weights, 3)
    np.testing.assert_allclose(again, found, atol=1e-6)


def test_what_the_other_samples_say():
    """The noise rate, and which labels are wrong, in clusters that overlap little."""
    features, labels, true = clusters(2000, rate=0.3)
    others = leave_one_out.OtherSamples(2000)
    seen = np.ones(2000, bool)
    for _ in range(2):
        others.add(seen, features, labels, np.ones(2000), 3, 0.5)
    assert others.noise_rate() == pytest.approx(0.3, abs=0.05)
    found = others.evidence(labels, 3, RULE)
    wrong = labels != true
    assert (found[~wrong] > 0).mean() > 0.85 and (found[wrong] > 0).mean() < 0.15
    # By the formula of trust, from the averages that it keeps.
    given, other = others.memory.mean("given"), others.memory.mean("other")
    matrix = trust.transitions(given, other, others.other_class, labels, 3, RULE)
    flip = matrix[others.other_class, labels]
    mistaken = other * flip + (1 - given - other) / 2
    rate = others.noise_rate()
    # A wrong label gets at least half of what is typical of its class.
    typical = trust.typical(given, labels, 3)[labels]
    least = 0.5 * trust.learnt(given, other, rate) * typical
    assert 0.1 < (mistaken < least).mean() < 0.9
    expected = np.log(given / np.maximum(mistaken, least))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # Where the noise matrix is not counted, all wrong labels are equally likely.
    found = others.evidence(labels, 3, TrustRule(transitions=False, allowance=0.0))
    np.testing.assert_allclose(found, np.log(given / ((1 - given) / 2)), atol=1e-6)


def test_samples_that_were_not_seen_keep_what_they_have():
    features, labels, _ = clusters(200)
    others = leave_one_out.OtherSamples(200)
    assert not others.evidence(labels, 3, RULE).any()
    assert others.noise_rate() == 0
    first = np.arange(200) < 100
    others.add(first, features, labels, np.ones(200), 3, 0.5)
    found = others.evidence(labels, 3, RULE)
    assert found[:100].all() and not found[100:].any()
    before = {name: array.copy() for name, array in others.arrays().items()}
    others.add(~first, features, labels, np.ones(200), 3, 0.5)
    after = others.arrays()
    for name, array in before.items():
        np.testing.assert_array_equal(after[name][:100], array[:100])
    assert not np.array_equal(after["given"][100:], before["given"][100:])
    others.add(np.zeros(200, bool), features, labels, np.ones(200), 3, 0.5)
    assert others.memory.seen.all()


def test_the_state_goes_on(equal_arrays):
    features, labels, _ = clusters(200)
    whole, part = (leave_one_out.OtherSamples(200) for _ in range(2))
    seen = np.ones(200, bool)
    whole.add(seen, features, labels, np.ones(200), 3, 0.5)
    part.set_arrays(whole.arrays())
    for each in (whole, part):
        each.add(seen, features + 0.5, labels, np.ones(200), 3, 0.5)
    assert part.stable.any() and part.memory.seen.all()
    equal_arrays(list(part.arrays().values()), list(whole.arrays().values()))
