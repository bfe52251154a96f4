"""Mixup: the shares, and what they make of images and targets."""

import keras
import numpy as np
import pytest

from josrc_keras.adaptive import mixup


def draw(count, most, seed=0):
    generator = keras.random.SeedGenerator(seed)
    return np.asarray(mixup.draw(count, most, generator))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 4, 4, 3), (1, 2, 2, 1)])
def test_a_blend_is_of_each_sample_and_the_next(shape, dtype):
    """Of the last one and the first; a single one is its own."""
    random = np.random.default_rng(0)
    values = (200 * random.random(shape)).astype(dtype)
    share = random.uniform(0.5, 1, shape[0]).astype("float32")
    found = mixup.blend(values, share)
    assert found.dtype == "float32" and found.shape == shape
    expected = np.empty(shape)
    for i, kept in enumerate(share.astype("float64")):
        partner = np.float64(values[(i + 1) % shape[0]])
        expected[i] = kept * values[i] + (1 - kept) * partner
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("most", [0.0, 0.3, 1.0])
def test_the_shares_are_uniform_down_to_what_is_allowed(most):
    found = draw(20_000, most)
    assert found.dtype == np.float32 and found.shape == (20_000,)
    assert found.min() >= np.float32(1 - most / 2) and found.max() <= 1.0
    assert found.mean() == pytest.approx(1 - most / 4, abs=0.005)
    assert found.std() == pytest.approx(most / 2 / 12**0.5, abs=0.005)


def test_each_draw_is_another_that_its_seed_repeats():
    generator = keras.random.SeedGenerator(3)
    first, second = (np.asarray(mixup.draw(8, 1.0, generator)) for _ in range(2))
    assert not np.any(first == second)
    np.testing.assert_array_equal(draw(8, 1.0, seed=3), first)


def test_without_mixup_everything_stays_as_it_is():
    """To the last bit, whatever is in the image."""
    random = np.random.default_rng(0)
    share = draw(6, 0)
    np.testing.assert_array_equal(share, np.ones(6))
    for values in (
        random.normal(size=(6, 4, 4, 3)).astype("float32") * 1e30,
        random.integers(0, 256, (6, 8, 8, 1)).astype("uint8"),
        random.dirichlet(np.ones(5), 6).astype("float32"),
    ):
        np.testing.assert_array_equal(mixup.blend(values, share), values)


def test_what_has_no_weight_is_blended_into_nothing():
    """The partner is the next sample, the last one's the first."""
    share = np.float32([0.6, 0.7, 0.8, 0.9])
    assert mixup.alone_if_ignored(share, None) is share
    found = mixup.alone_if_ignored(share, np.float32([0, 2, 0.1, 0]))
    np.testing.assert_array_equal(found, np.float32([0.6, 0.7, 1, 1]))


def test_blended_targets_are_still_distributions():
    targets = np.random.default_rng(0).dirichlet(np.ones(5), 9).astype("float32")
    found = np.asarray(mixup.blend(targets, draw(9, 1.0)))
    np.testing.assert_allclose(found.sum(axis=1), np.ones(9), rtol=1e-6)
    assert found.min() >= 0


@pytest.mark.parametrize("most", [0, 0.0, 0.4, 1, 1.0])
def test_a_good_mixup_is_returned(most):
    assert mixup.check_mixup(most) is most


@pytest.mark.parametrize("most", [-0.1, 1.1, float("nan")])
def test_a_bad_mixup_is_refused(most):
    with pytest.raises(ValueError) as caught:
        mixup.check_mixup(most)
    assert str(caught.value) == (
        f"`mixup` must be in [0, 1]. Received: mixup={most}. 0 blends nothing; with 1 "
        "up to half of an image is another's."
    )
