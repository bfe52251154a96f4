"""Temperature scaling, on logits whose right temperature is known."""

import numpy as np
import pytest

from josrc_keras.export import calibration
from josrc_keras.export.calibration import (
    expected_calibration_error,
    fit_temperature,
)

CLASSES = 6
SAMPLES = 4_000
TRUE = 2.5  # The network's logits are so many times too large.


def softmax(logits):
    """Probabilities, class by class: an oracle that can't overflow here."""
    powers = np.exp(logits)
    return powers / powers.sum(axis=1)[:, None]


def draw(probs, generator):
    """A class from each row of probabilities."""
    below = np.cumsum(probs, axis=1) < generator.random(len(probs))[:, None]
    return below.sum(axis=1)


@pytest.fixture(scope="module")
def sure():
    """Logits of a sure network, and labels from `softmax(logits / TRUE)`."""
    generator = np.random.default_rng(0)
    logits = TRUE * 2.0 * generator.standard_normal((SAMPLES, CLASSES))
    return logits, draw(softmax(logits / TRUE), generator)


def with_noise(labels, rate, classes=CLASSES, seed=1):
    """Labels of which a share is moved to any of the other classes."""
    generator = np.random.default_rng(seed)
    moved = generator.random(len(labels)) < rate
    others = (labels + generator.integers(1, classes, len(labels))) % classes
    return np.where(moved, others, labels)


# Confidence and whether it is right; in five bins these are bins 4, 4, 3, 3 and 2.
FIVE = (
    [[0.9, 0.1], [0.1, 0.9], [0.7, 0.3], [0.3, 0.7], [0.55, 0.45]],
    [0, 0, 0, 1, 1],
)
# The first is sure and wrong, the second nearly sure and right.
SURE = ([[1.0, 0.0], [0.04, 0.96]], [1, 1])


@pytest.mark.parametrize(
    ("case", "bins", "expected"),
    [
        (FIVE, 5, 0.39),
        (FIVE, 1, 0.15),
        (SURE, 15, 0.48),
        (SURE, 100, 0.52),
        (([[0.0, 1.0], [1.0, 0.0]], [1, 0]), 15, 0.0),
        (([[0.0, 1.0], [1.0, 0.0]], [0, 1]), 15, 1.0),
        (([[0.25, 0.25, 0.25, 0.25]] * 4, [0, 1, 2, 3]), 15, 0.0),
    ],
)
def test_calibration_error_by_hand(case, bins, expected):
    """Sums of (right - confidence) in a bin, without sign, over all N.

    FIVE in five bins: .9 right and .9 wrong give 1 - 1.8 = -.8; .7 and .7, both right,
    2 - 1.4 = .6; .55 wrong -.55. (.8 + .6 + .55) / 5 = .39. In one bin they cancel:
    |3 - 3.75| / 5 = .15.
    SURE: a confidence of 1 belongs to the last of 15 bins, with .96 (from 14/15 on):
    |(0 - 1) + (1 - .96)| / 2 = .48. With 100 bins they are apart: (1 + .04) / 2 = .52.
    Then: sure and right, sure and wrong, and a quarter right at a confidence of .25.
    """
    probs, labels = (np.asarray(part) for part in case)
    error = expected_calibration_error(probs, labels, bins)
    assert error == pytest.approx(expected, abs=1e-12)


def test_calibration_error_has_fifteen_bins_by_default():
    """.61 and .65 share the bin from 9/15 to 10/15; .61 and .68 don't."""
    labels = np.array([0, 1])
    together = np.array([[0.61, 0.39], [0.65, 0.35]])
    apart = np.array([[0.61, 0.39], [0.68, 0.32]])
    expected = abs(0.39 - 0.65) / 2
    error = expected_calibration_error(together, labels)
    assert error == pytest.approx(expected, abs=1e-12)
    error = expected_calibration_error(apart, labels)
    assert error == pytest.approx((0.39 + 0.68) / 2, abs=1e-12)


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5, 8.0])
def test_right_labels_recover_the_temperature(true):
    """Labels drawn from softmax(z / T): T to 3%, overconfident or modest alike."""
    generator = np.random.default_rng(2)
    scores = 2.0 * generator.standard_normal((SAMPLES, CLASSES))
    labels = draw(softmax(scores), generator)
    temperature, noise = fit_temperature(true * scores, labels)
    assert temperature == pytest.approx(true, rel=0.03)
    assert noise == 0.0
    assert type(temperature) is float and type(noise) is float  # For JSON.


def test_it_has_the_greatest_likelihood(sure):
    """No temperature within 20% has a lower cross-entropy, by NumPy."""
    logits, labels = sure
    labels = labels[:500]

    def cost(temperature):
        probs = softmax(logits[:500] / temperature)
        return -np.log(probs[np.arange(500), labels]).mean()

    best, _ = fit_temperature(logits[:500], labels)
    others = best * np.linspace(0.8, 1.2, 41)
    assert cost(best) <= min(cost(other) for other in others) + 1e-4
    assert cost(best) < cost(0.8 * best) - 1e-3
    assert cost(best) < cost(1.2 * best) - 1e-3


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.6])
def test_noise_of_known_rate(sure, rate):
    """T to 12% from noisy labels; as if they were right, it would be far off."""
    logits, labels = sure
    noisy = with_noise(labels, rate)
    temperature, noise = fit_temperature(logits, noisy, label_noise=rate)
    assert temperature == pytest.approx(TRUE, rel=0.12)
    assert noise == rate
    naive, _ = fit_temperature(logits, noisy)
    assert naive > 1.4 * TRUE


def accurate(seed=3):
    """Logits of a network that is nearly always right, and the labels."""
    generator = np.random.default_rng(seed)
    logits = generator.standard_normal((SAMPLES, CLASSES))
    labels = generator.integers(0, CLASSES, SAMPLES)
    logits[np.arange(SAMPLES), labels] += 5.0
    assert np.mean(logits.argmax(axis=1) == labels) > 0.98
    return logits, labels


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.8])
def test_noise_is_estimated(rate):
    """Within 0.07 of the share of wrong labels, if the network is accurate."""
    logits, labels = accurate()
    noisy = with_noise(labels, rate)
    found = calibration.estimate_noise(logits, noisy)
    assert found == pytest.approx(rate, abs=0.07)
    assert 0 <= found <= 0.95


def test_noise_is_estimated_on_the_most_certain_fifth():
    """By hand: of ten, the two surest count; one of them disagrees: 0.5.

    The other eight all disagree, which would give more than the 0.95 it is cut to.
    """
    logits = np.zeros((10, 4))
    logits[:, 1] = [1, 9, 2, 1, 8, 1, 2, 1, 1, 2]
    labels = np.full(10, 0)
    labels[4] = 1
    assert calibration.estimate_noise(logits, labels) == 0.5
    assert calibration.estimate_noise(logits, np.zeros(10, int)) == 0.95
    assert calibration.estimate_noise(logits, np.ones(10, int)) == 0.0


def test_unknown_noise():
    """None: the estimate is used and returned; the labels as right would be far off."""
    generator = np.random.default_rng(6)
    scores = 5.0 * generator.standard_normal((SAMPLES, CLASSES))
    noisy = with_noise(draw(softmax(scores), generator), 0.5)
    temperature, noise = fit_temperature(TRUE * scores, noisy, label_noise=None)
    assert noise == calibration.estimate_noise(TRUE * scores, noisy)
    assert noise == pytest.approx(0.5, abs=0.07)
    assert temperature == pytest.approx(TRUE, rel=0.3)
    assert temperature == fit_temperature(TRUE * scores, noisy, label_noise=noise)[0]
    assert fit_temperature(TRUE * scores, noisy)[0] > 3 * TRUE


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_probabilities_become_right(sure, rate):
    """The error on right labels falls to under 0.04; no prediction changes."""
    logits, labels = sure
    fitted = SAMPLES // 2  # The others judge.
    noisy = with_noise(labels[:fitted], rate)
    temperature, _ = fit_temperature(logits[:fitted], noisy, label_noise=rate)
    logits, labels = logits[fitted:], labels[fitted:]
    before, after = softmax(logits), softmax(logits / temperature)
    assert expected_calibration_error(before, labels) > 0.15
    assert expected_calibration_error(after, labels) < 0.04
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))


@pytest.mark.parametrize("label_noise", [0.0, 0.4, None])
def test_extreme_logits_stay_finite(label_noise):
    """Logits of 10,000 overflow `exp`; half precision and wrong labels included."""
    generator = np.random.default_rng(4)
    logits = 1e4 * generator.choice([-1.0, 1.0], (200, 4))
    labels = generator.integers(0, 4, 200)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        temperature, noise = fit_temperature(logits, labels, label_noise)
        probs = calibration.softmax(logits)
    assert 0.02 <= temperature <= 50 + 1e-9
    assert 0 <= noise < 1
    assert np.isfinite(probs).all()
    half = fit_temperature(logits.astype("float16"), labels, label_noise)
    assert half == (temperature, noise)


def test_softmax_rows_sum_to_one():
    """Of any size, and as by hand for [0, ln 3]: a quarter and three."""
    generator = np.random.default_rng(5)
    for scale in (1e-3, 1.0, 1e4):
        logits = scale * generator.standard_normal((50, 7))
        probs = calibration.softmax(logits)
        np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-12)
        assert (probs >= 0).all()
    probs = calibration.softmax(np.array([[0.0, np.log(3)], [1e4, 1e4]]))
    np.testing.assert_allclose(probs, [[0.25, 0.75], [0.5, 0.5]], atol=1e-12)


@pytest.mark.parametrize(
    ("labels", "label_noise", "text"),
    [
        ([], 0.0, r"labels as logits, at least one\. Received: 0 and 3\."),
        ([0, 1], 0.0, r"labels as logits, at least one\. Received: 2 and 3\."),
        ([0, 1, 0], 1.0, r"label_noise in \[0, 1\), or None\. Received: 1\.0\."),
        ([0, 1, 0], -0.1, r"label_noise in \[0, 1\), or None\. Received: -0\.1\."),
    ],
)
def test_bad_arguments(labels, label_noise, text):
    with pytest.raises(ValueError, match=text):
        fit_temperature(np.eye(3)[:, :2], labels, label_noise)


def test_no_labels_and_no_logits():
    with pytest.raises(ValueError, match=r"at least one\. Received: 0 and 0\."):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, int))


def test_all_right_is_not_certain():
    """With 200 of 200 right the confidence is near 201 / 202, and not 1."""
    labels = np.arange(200) % 4
    logits = 8.0 * np.eye(4)[labels]
    temperature, _ = fit_temperature(logits, labels)
    assert softmax(logits / temperature).max(axis=1) == pytest.approx(
        np.full(200, 201 / 202), abs=1e-4
    )
    noisy, _ = fit_temperature(logits, labels, label_noise=1e-9)
    assert noisy == pytest.approx(temperature, rel=0.01)
