"""DivideMix's targets and losses against numbers worked out by hand."""

import keras
import numpy as np
import pytest

from josrc_keras import losses
from josrc_keras.baselines import mixmatch
from josrc_keras.baselines.dividemix import mean_of_kinds

close = np.testing.assert_allclose


def test_sharpen():
    """Squares, normalised: 0.36, 0.09 and 0.01 of 0.46."""
    close(
        mixmatch.sharpen([[0.6, 0.3, 0.1]], 0.5),
        [[0.782609, 0.195652, 0.021739]],
        atol=1e-6,
    )
    close(mixmatch.sharpen([[0.6, 0.4]], 1.0), [[0.6, 0.4]], atol=1e-6)
    close(mixmatch.sharpen([[1.0, 0.0]], 0.5), [[1.0, 0.0]], atol=1e-6)


def test_refine():
    """0.7 of the label and 0.3 of the prediction: 0.76, 0.15, 0.09; then sharpened."""
    probs = np.array([[0.2, 0.5, 0.3]], "float32")
    found = mixmatch.refine(np.array([0]), probs, np.array([0.7]), 1.0)
    close(found, [[0.76, 0.15, 0.09]], atol=1e-6)
    found = mixmatch.refine(np.array([0]), probs, np.array([0.7]), 0.5)
    close(found, [[0.949688, 0.036994, 0.013318]], atol=1e-6)
    close(
        mixmatch.refine(np.array([2]), probs, np.array([1.0]), 1.0),
        [[0, 0, 1]],
        atol=1e-6,
    )


def test_guess():
    probs = [np.array([[p, 1 - p]], "float32") for p in (0.6, 0.8, 0.5, 0.7)]
    close(mixmatch.guess(probs, 1.0), [[0.65, 0.35]], atol=1e-6)
    close(mixmatch.guess(probs, 0.5), [[0.775229, 0.224771]], atol=1e-6)


def test_a_whole_step_of_one_pair():
    """The logits are the images; see the docstrings for each part."""
    values = np.array([[1, 0], [1, 0], [0, 2], [0, 2]], "float32")
    targets = np.array([[0.9, 0.1]] * 2 + [[0.25, 0.75]] * 2, "float32")
    partners, share = np.array([2, 3, 0, 1]), np.full(4, 0.75, "float32")
    logits = mixmatch.mix(values, partners, share)
    mixed = mixmatch.mix(targets, partners, share)
    close(logits, [[0.75, 0.5]] * 2 + [[0.25, 1.5]] * 2)
    close(mixed, [[0.7375, 0.2625]] * 2 + [[0.4125, 0.5875]] * 2, atol=1e-6)
    labelled = np.mean(losses.soft_cross_entropy(logits, mixed)[:2])
    unlabelled = np.mean(mixmatch.squared_error(logits, mixed)[2:])
    kinds = np.eye(2, dtype="float32")  # Of the two samples, seen in two views.
    in_views = np.asarray(logits)[[0, 2, 1, 3]]
    penalty = float(mixmatch.uniform_penalty(mean_of_kinds(in_views, kinds)))
    close([labelled, unlabelled, penalty], [0.641564, 0.036024, 0.023692], atol=1e-6)
    close(labelled + 25 * unlabelled + penalty, 1.565856, atol=1e-5)


def test_uniform_penalty():
    assert float(mixmatch.uniform_penalty(np.full(7, 1 / 7))) == pytest.approx(
        0, abs=1e-6
    )
    expected = np.mean(np.log(0.5 / np.array([0.9, 0.1])))
    close(
        mixmatch.uniform_penalty(np.array([0.9, 0.1], "float32")), expected, rtol=1e-5
    )
    assert np.isfinite(mixmatch.uniform_penalty(np.array([1.0, 0.0], "float32")))


def test_each_kind_counts_equally_in_the_mean_prediction():
    """Three samples of one kind and one of the other; an absent kind doesn't count."""
    logits = np.log(np.array([[0.9, 0.1]] * 3 + [[0.5, 0.5]], "float32"))
    logits = np.concatenate([logits, logits])
    kinds = [np.array([1, 1, 1, 0], "float32"), np.array([0, 0, 0, 1], "float32")]
    close(mean_of_kinds(logits, kinds), [0.7, 0.3], atol=1e-6)
    nothing = np.zeros(4, "float32")
    close(mean_of_kinds(logits, [kinds[0], nothing]), [0.9, 0.1], atol=1e-6)
    close(mean_of_kinds(logits, [nothing, nothing]), [0.5, 0.5], atol=1e-6)


def test_negative_entropy():
    logits = np.log(np.array([[0.5, 0.5], [0.75, 0.25]], "float32"))
    expected = [-np.log(2), 0.75 * np.log(0.75) + 0.25 * np.log(0.25)]
    close(mixmatch.negative_entropy(logits), expected, rtol=1e-5)
    assert np.isfinite(mixmatch.negative_entropy(np.array([[0.0, 1e4]]))).all()


@pytest.mark.parametrize("concentration", [0.5, 4.0])
def test_shares_are_those_of_a_beta_distribution(concentration):
    """The larger of two shares: its mean is 0.5 + E|v - 0.5|, found by counting."""
    seed = keras.random.SeedGenerator(0)
    drawn = [float(mixmatch.draw_share(concentration, seed)) for _ in range(300)]
    assert min(drawn) >= 0.5 and max(drawn) <= 1
    random = np.random.default_rng(0).beta(concentration, concentration, 100_000)
    expected = np.maximum(random, 1 - random)
    error = expected.std() / np.sqrt(300)
    assert abs(np.mean(drawn) - expected.mean()) < 4 * error
