"""How labels came about: a known matrix, calibration, and what is of no class."""

import numpy as np
import pytest

from josrc_keras.probe import confusion, head, outside, verdicts

COUNT = 6000
MATRIX = np.array([[0.7, 0.3, 0.0], [0.0, 0.9, 0.1], [0.2, 0.0, 0.8]])


@pytest.fixture(scope="module")
def drawn():
    """True probabilities, their classes, and labels by `MATRIX`."""
    random = np.random.default_rng(0)
    probs = head.softmax(random.normal(0, 3, (COUNT, 3)))
    uniform = random.random((COUNT, 1))
    truth = (probs.cumsum(1) < uniform).sum(1)
    labels = (MATRIX[truth].cumsum(1) < random.random((COUNT, 1))).sum(1)
    return probs, truth, labels


def test_the_matrix_and_the_temperature_are_found(drawn):
    """Predictions that are twice too sure get the temperature 2."""
    probs, truth, labels = drawn
    sharp = probs**2 / (probs**2).sum(1, keepdims=True)
    found = confusion.fit(sharp, labels)
    assert found.temperature == pytest.approx(2.0, rel=0.2)
    np.testing.assert_allclose(found.matrix[:3], MATRIX, atol=0.05)
    wrong = labels != truth
    assert (1 - found.right).mean() == pytest.approx(wrong.mean(), abs=0.02)


def test_the_probability_of_being_right_is_calibrated(drawn):
    probs, truth, labels = drawn
    found = confusion.fit(probs, labels)
    right = labels == truth
    for low in np.arange(0, 1, 0.2):
        rows = (found.right >= low) & (found.right <= low + 0.2)
        assert rows.sum() > 50
        assert right[rows].mean() == pytest.approx(found.right[rows].mean(), abs=0.07)


def test_the_posterior_by_hand():
    """Bayes' rule with a prior of 0.8 and 0.2, and a label that is one in ten wrong."""
    known = np.array([[0.8, 0.2, 0.0]])
    matrix = np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])
    posterior, likelihood = confusion._posterior(known, np.array([1]), matrix)
    np.testing.assert_allclose(posterior, [[0.08 / 0.26, 0.18 / 0.26, 0]], rtol=1e-9)
    assert likelihood == pytest.approx(np.log(0.26))


def test_the_interval_covers_and_narrows(drawn):
    """With four times as many samples it is half as wide."""
    probs, truth, labels = drawn
    widths = []
    for rows in (slice(0, 1500), slice(0, 6000)):
        found = confusion.fit(probs[rows], labels[rows])
        prior = confusion.prior_of(
            probs[rows], found.temperature, np.zeros(len(labels[rows]))
        )
        (low, high), by_class, none = confusion.interval(
            prior, labels[rows], found.matrix
        )
        assert low <= (1 - found.right).mean() <= high
        assert low - 0.02 < (labels != truth)[rows].mean() < high + 0.02
        assert by_class[0].shape == (3,) and none[1] == pytest.approx(0, abs=1e-9)
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 2, rel=0.4)


@pytest.fixture(scope="module")
def with_strangers():
    """Features around four centres; a tenth lie between all of them, of no class."""
    random = np.random.default_rng(1)
    truth = np.arange(1500) % 4
    centres = 3 * np.eye(4, 8)
    features = centres[truth] + random.normal(0, 1, (1500, 8))
    strange = random.random(1500) < 0.1
    features[strange] = centres.mean(0) + random.normal(0, 1, (strange.sum(), 8))
    logits = 1.5 * features @ centres.T / 3
    labels = np.where(strange, random.integers(0, 4, 1500), truth)
    flipped = (random.random(1500) < 0.2) & ~strange
    labels = np.where(flipped, (truth + random.integers(1, 4, 1500)) % 4, labels)
    return logits, labels, features, strange


def test_what_is_of_no_class_stands_out(with_strangers):
    logits, labels, features, strange = with_strangers
    right = confusion.fit(head.softmax(logits), labels).right
    even, share = outside.shares(logits, labels, right, features)
    order = np.argsort(-even)
    assert strange[order[:100]].mean() > 0.4  # Of all it is a tenth.
    assert 0.03 < share.mean() < 0.25
    alone = outside.shares(logits, labels, right)[0]
    assert not np.allclose(alone, even)


def test_two_classes_can_not_tell(caplog):
    logits = np.random.default_rng(0).normal(0, 2, (200, 2))
    labels = logits.argmax(1)
    assert outside.shares(logits, labels, np.ones(200))[1] is None
    assert "takes 3 classes" in caplog.text


def test_labels_of_neighbours_by_hand():
    """Four samples on a line of directions; the nearest other one counts."""
    angles = np.radians([0, 10, 30, 90])
    features = np.stack([np.cos(angles), np.sin(angles)], 1)
    around, others = outside.neighbour_labels(
        features, np.array([0, 0, 1, 2]), np.array([0, 0, 1, 2]), 3
    )
    np.testing.assert_array_equal(around.argmax(1), [0, 0, 0, 1])
    np.testing.assert_array_equal(others.argmax(1), [1, 1, 0, 1])
    np.testing.assert_allclose(around.sum(1), 1)


def test_how_many_to_check_by_hand():
    """Of 1.6 expected wrong labels the first two hold 1.5, which is 90%."""
    right = np.array([0.9, 0.2, 0.3, 1.0])
    assert verdicts.to_check(right, 0.9) == {"photos": 2, "share": 0.9}
    assert verdicts.to_check(right, 0.95)["photos"] == 3
    assert verdicts.to_check(np.ones(4))["photos"] == 0


def test_an_open_verdict_is_said_to_be_open():
    """Wrong labels by the share that is of no class: none, half, nearly all."""
    right, ood = np.full(5, 0.1), np.array([0.0, 0.45, 0.8, 0.6, 0.2])
    agrees = np.array([False, False, False, True, True])
    found = verdicts._verdicts(right, ood, agrees, True, None)
    expected = ["in_distribution_noise", "undecided", "out_of_distribution"]
    assert found.tolist() == [*expected, "out_of_distribution", "undecided"]
    untold = verdicts._verdicts(right, np.zeros(5), agrees, False, None)
    assert untold.tolist()[:3] == ["in_distribution_noise"] * 3
    kept = verdicts._verdicts(right, ood, agrees, True, np.zeros(5, bool))
    assert set(kept) == {"clean"}
