import sys

import numpy as np
import pytest

from josrc_keras.data import digits8n_o, noise
from josrc_keras.data.benchmark import Split, make_benchmark

sklearn_datasets = pytest.importorskip("sklearn.datasets")


@pytest.fixture(scope="module")
def benchmark():
    return digits8n_o(rate=0.5, seed=0)


def test_splits_are_every_fourth_row_and_the_rest(benchmark):
    """1,797 rows: 0, 4, ..., 1796 are 450 test rows, 1,347 are left.

    In the test set, 8 and 9 are dropped.
    """
    target = sklearn_datasets.load_digits().target
    rows = np.arange(1797)
    train_rows, test_rows = rows[rows % 4 > 0], rows[(rows % 4 == 0) & (target < 8)]
    assert (len(benchmark.train), len(test_rows)) == (1347, len(benchmark.test))
    np.testing.assert_array_equal(benchmark.train.ids, train_rows)
    np.testing.assert_array_equal(benchmark.test.ids, test_rows)
    truth = np.where(target < 8, target, -1)
    np.testing.assert_array_equal(benchmark.train.true_labels, truth[train_rows])
    np.testing.assert_array_equal(benchmark.test.labels, truth[test_rows])
    np.testing.assert_array_equal(benchmark.test.true_labels, truth[test_rows])
    assert benchmark.num_classes == 8
    assert benchmark.class_names == tuple("01234567")


def test_pixels_are_the_originals_from_0_to_255(benchmark):
    for split in (benchmark.train, benchmark.test):
        original = sklearn_datasets.load_digits().images[split.ids]
        assert split.images.shape == (len(split), 8, 8, 1)
        assert split.images.dtype == np.uint8
        # 255 / 16 a step, rounded to the nearest pixel value.
        error = np.abs(split.images[..., 0] - original * 255 / 16)
        assert error.max() <= 0.5
        assert split.images.max() == 255


def test_given_labels_are_the_noise_of_the_seed(benchmark):
    """Half of the inliers wrong, sd sqrt(0.25 / 1080) = 0.015, and every outlier."""
    target = sklearn_datasets.load_digits().target[benchmark.train.ids]
    expected = noise.corrupt(target, kind="symmetric", num_classes=8, rate=0.5, seed=0)
    np.testing.assert_array_equal(benchmark.train.labels, expected)
    assert benchmark.noise_checksum == noise.checksum(expected)
    inside = target < 8
    wrong = benchmark.train.labels[inside] != target[inside]
    assert wrong.mean() == pytest.approx(0.5, abs=0.06)
    assert set(benchmark.train.true_labels[~inside]) == {-1}
    assert set(benchmark.train.labels[~inside]) == set(range(8))


def test_seed_rate_and_kind_reach_the_noise(benchmark):
    assert digits8n_o(rate=0.5, seed=0).noise_checksum == benchmark.noise_checksum
    assert digits8n_o(rate=0.5, seed=1).noise_checksum != benchmark.noise_checksum
    clean = digits8n_o(rate=0.0).train
    inside = clean.true_labels >= 0
    np.testing.assert_array_equal(clean.labels[inside], clean.true_labels[inside])
    pairs = digits8n_o(noise="pairflip", rate=1.0).train
    following = (pairs.true_labels[inside] + 1) % 8
    np.testing.assert_array_equal(pairs.labels[inside], following)


def test_a_smaller_training_set_is_the_head_with_the_same_labels(benchmark):
    small = digits8n_o(rate=0.5, seed=0, train_size=100)
    assert len(small.train) == 100
    for field in ("images", "labels", "true_labels", "ids"):
        expected = getattr(benchmark.train, field)[:100]
        np.testing.assert_array_equal(getattr(small.train, field), expected)
    assert small.noise_checksum == benchmark.noise_checksum
    assert len(small.test) == len(benchmark.test)
    assert len(digits8n_o(train_size=1347).train) == 1347


@pytest.mark.parametrize("train_size", [0, -1, 1348])
def test_bad_train_size_is_refused(train_size):
    message = rf"training images, 1347\. Received: train_size={train_size}\."
    with pytest.raises(ValueError, match=message):
        digits8n_o(train_size=train_size)


def test_bad_noise_is_refused():
    with pytest.raises(ValueError, match=r"not a multiple of 5\. Use 'pairflip'"):
        digits8n_o(noise="blockflip")


def test_without_scikit_learn_the_error_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"pip install josrc-keras\[digits\]"):
        digits8n_o()


def test_make_benchmark_drops_outliers_from_the_test_set_only():
    """Labels 0 to 3 of which 2 and 3 are outliers."""
    labels = np.array([0, 1, 2, 3, 1, 0])
    part = (np.arange(6)[:, None], labels, np.arange(10, 16))
    result = make_benchmark(
        part, part, class_names=["a", "b"], kind="symmetric", rate=0.0, seed=0
    )
    assert isinstance(result.train, Split)
    np.testing.assert_array_equal(result.train.true_labels, [0, 1, -1, -1, 1, 0])
    np.testing.assert_array_equal(result.train.ids, [10, 11, 12, 13, 14, 15])
    np.testing.assert_array_equal(result.test.labels, [0, 1, 1, 0])
    np.testing.assert_array_equal(result.test.ids, [10, 11, 14, 15])
    np.testing.assert_array_equal(result.test.images[:, 0], [0, 1, 4, 5])
    assert (result.class_names, result.num_classes) == (("a", "b"), 2)
