"""The mixture of two Gaussians against numbers worked out by hand."""

import numpy as np
import pytest

from josrc_keras.samples import gaussian_mixture as mixtures

HALVES = np.array([0.5, 0.5])


@pytest.mark.parametrize(
    ("variances", "weights", "expected"),
    [((0.02, 0.02), (0.5, 0.5), 0.952574), ((0.01, 0.09), (0.7, 0.3), 0.697369)],
)
def test_posterior(variances, weights, expected):
    """At 0.4, of means 0.2 and 0.8."""
    mixture = mixtures.Mixture((0.2, 0.8), variances, weights)
    found = mixtures.posterior([0.4], mixture)
    np.testing.assert_allclose(found, [expected], atol=1e-6)


def test_one_iteration():
    """Expectation by means 0.1 and 0.9 and variance 0.02, then maximisation."""
    values = np.array([0, 0.1, 0.2, 0.8, 1])
    start = mixtures.Mixture((0.1, 0.9), (0.02, 0.02), HALVES)
    first = mixtures.posterior(values, start)
    means, variances, weights = mixtures.maximise(values, np.stack([first, 1 - first]))
    np.testing.assert_allclose(means, [0.100001, 0.899998], atol=1e-6)
    np.testing.assert_allclose(variances, [0.007168, 0.010502], atol=1e-6)
    np.testing.assert_allclose(weights, [0.6, 0.4], atol=1e-5)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_whole_fit(flipped):
    """The smaller mean comes first, in whatever order the values come."""
    values = np.array([0, 0.05, 0.1, 0.15, 0.8, 0.9, 1])
    values = values[::-1] if flipped else values
    means, variances, weights = mixtures.fit(values)
    np.testing.assert_allclose(means, [0.075, 0.9], atol=1e-6)
    np.testing.assert_allclose(variances, [0.003625, 0.007167], atol=1e-6)
    np.testing.assert_allclose(weights, [4 / 7, 3 / 7], atol=1e-6)
    clean = mixtures.clean_probability(values)
    np.testing.assert_allclose(clean, values < 0.5, atol=1e-6)
    assert clean.dtype == np.float32


def test_two_groups_of_unequal_size_are_told_apart():
    """Against the true posterior of the mixture that the values are drawn from."""
    random = np.random.default_rng(0)
    clean = random.random(4000) < 0.8
    values = np.where(clean, random.normal(0.1, 0.04, 4000), 0.0)
    values = np.where(clean, values, random.normal(0.6, 0.15, 4000))
    truth = mixtures.Mixture((0.1, 0.6), (0.04**2, 0.15**2), (0.8, 0.2))
    found, expected = (
        mixtures.clean_probability(values),
        mixtures.posterior(values, truth),
    )
    assert np.abs(found - expected).mean() < 0.01


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full(9, 0.3), "All losses are equal"),
        (np.random.default_rng(0).normal(0.3, 0.05, 3000), "not fall into two groups"),
        (0.3 + 1e-4 * np.arange(9), "not fall into two groups"),
        (np.zeros(1), "All losses are equal"),
    ],
    ids=["constant", "one mode", "one mean", "one sample"],
)
def test_without_two_groups_every_label_is_trusted(values, message, caplog):
    np.testing.assert_array_equal(mixtures.clean_probability(values), 1.0)
    assert message in caplog.text


def test_most_losses_at_one_value():
    """Both percentiles are then this value."""
    values = np.zeros(100)
    values[-2:] = 1.0
    clean = mixtures.clean_probability(values)
    np.testing.assert_allclose(clean, values == 0, atol=1e-6)


def test_rescaled():
    np.testing.assert_allclose(mixtures.rescaled([3.0, 1.0, 2.0]), [1, 0, 0.5])
    np.testing.assert_array_equal(mixtures.rescaled([2.0, 2.0]), [0, 0])


@pytest.mark.parametrize("broken", [[0.0, np.nan], [np.inf, 1.0], []])
def test_losses_that_are_not_finite(broken):
    with pytest.raises(ValueError, match=r"finite losses.*Received: \d of \d"):
        mixtures.rescaled(broken)
