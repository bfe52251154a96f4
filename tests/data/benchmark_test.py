"""Rows of a split, and training images that are held out."""

import dataclasses

import ml_collections
import numpy as np
import pytest

from josrc_keras import data
from josrc_keras.data import noise
from josrc_keras.data.benchmark import Benchmark, Split
from josrc_keras.runs import configuration, train

FIELDS = ("images", "labels", "true_labels", "ids")
COUNT = 200


def make_split(count, start=0):
    """A split whose fields can be told from each other, and each row from the rest."""
    rows = np.arange(count)
    return Split(
        images=np.full((count, 2, 2, 1), rows[:, None, None, None], "uint8"),
        labels=rows * 7 % 5,
        true_labels=rows * 11 % 6 - 1,
        ids=start + 3 * rows,
    )


@pytest.fixture
def benchmark():
    return Benchmark(make_split(COUNT), make_split(9, 1000), tuple("abcde"), "f00d")


def check_equal(ours, theirs):
    for field in FIELDS:
        first, second = getattr(ours, field), getattr(theirs, field)
        np.testing.assert_array_equal(first, second)
        assert first.dtype == second.dtype


@pytest.mark.parametrize(
    "rows", [slice(3, None, 4), np.array([5, 2, 2]), np.arange(COUNT) % 3 == 1]
)
def test_rows_of_a_split(rows):
    """Of all four fields alike: a slice, numbers in any order, or booleans."""
    split = make_split(COUNT)
    found = split.rows(rows)
    numbers = np.arange(COUNT)[rows]
    np.testing.assert_array_equal(found.ids, 3 * numbers)
    np.testing.assert_array_equal(found.images[:, 1, 0, 0], numbers)
    np.testing.assert_array_equal(found.labels, numbers * 7 % 5)
    np.testing.assert_array_equal(found.true_labels, numbers * 11 % 6 - 1)
    assert len(found) == len(numbers) and len(split) == COUNT


def test_head_is_the_first_rows():
    split = make_split(COUNT)
    check_equal(split.head(7), split.rows(np.arange(7)))
    check_equal(split.head(None), split)


@pytest.mark.parametrize(
    ("share", "count"), [(0.25, 50), (0.1, 20), (0.0126, 3), (0.99, 198), (0.005, 1)]
)
def test_so_many_are_held_out(benchmark, share, count):
    """The share, rounded; each training image is in one of the two, in order."""
    result = benchmark.hold_out(share, seed=0)
    assert (len(result.validation), len(result.train)) == (count, COUNT - count)
    for split in (result.train, result.validation):
        assert (np.diff(split.ids) > 0).all()
        check_equal(split, benchmark.train.rows(split.ids // 3))
    both = np.concatenate([result.train.ids, result.validation.ids])
    np.testing.assert_array_equal(np.sort(both), benchmark.train.ids)


def test_the_rest_stays(benchmark):
    """Test set, names and the checksum of the whole set's noise; the original too."""
    result = benchmark.hold_out(0.3, seed=1)
    assert result.test is benchmark.test
    assert result.class_names == benchmark.class_names
    assert result.noise_checksum == "f00d"
    assert len(benchmark.train) == COUNT and benchmark.validation is None


def test_the_seed_chooses(benchmark):
    """At random: neither the first rows nor every other; the same for the same seed."""
    first, again, other = (
        benchmark.hold_out(0.5, seed=seed).validation.ids for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    # By chance half of the hundred are in both: sd 5.
    assert 30 < len(np.intersect1d(first, other)) < 70
    for ids in (first, other):
        assert 30 < np.sum(ids < 3 * COUNT / 2) < 70
        assert 30 < np.sum(ids // 3 % 2) < 70


def test_a_share_of_none_changes_nothing(benchmark):
    assert benchmark.hold_out(0, seed=0) is benchmark
    assert benchmark.hold_out(0.0, seed=0) is benchmark


@pytest.mark.parametrize("share", [1, 1.0, -0.1, 1.5, 0.002, 0.998, float("nan")])
def test_bad_shares_are_refused(benchmark, share):
    """Also where rounding leaves none (0.4 images) or all (199.6)."""
    text = (
        r"a share of the 200 training images to hold out, at least one of them and "
        rf"not all\. Received: {share}\."
    )
    with pytest.raises(ValueError, match=text):
        benchmark.hold_out(share, seed=0)


@pytest.fixture
def config(quick_config):
    pytest.importorskip("sklearn")
    return quick_config(**{"data.train_size": None, "data.rate": 0.5})


def test_the_configuration_holds_out(config):
    """Of the noisy labels, after the noise was drawn: the same labels and checksum."""
    config.data.validation_share = 0.1
    result = train.make_benchmark(config)
    whole = data.digits8n_o(rate=0.5)
    assert (len(result.validation), len(result.train)) == (135, 1212)  # 134.7.
    assert result.noise_checksum == whole.noise_checksum
    assert result.noise_checksum == noise.checksum(whole.train.labels)
    for split in (result.validation, result.train):
        check_equal(split, whole.train.rows(np.isin(whole.train.ids, split.ids)))
    check_equal(result.test, whole.test)
    inside = result.validation.true_labels >= 0
    wrong = result.validation.labels != result.validation.true_labels
    assert 0.3 < wrong[inside].mean() < 0.7  # Half: sd 0.05.


def test_the_datas_seed_chooses_from_the_configuration(config):
    config.data.validation_share = 0.1
    expected = train.make_benchmark(config).validation.ids
    with config.unlocked():
        config.data.seed = 5
    other = train.make_benchmark(config)
    assert len(np.setdiff1d(other.validation.ids, expected)) > 90
    chosen = data.digits8n_o(rate=0.5, seed=5).hold_out(0.1, 5)
    check_equal(other.validation, chosen.validation)


def test_a_configuration_without_it_holds_out_nothing(config):
    """As by default, and as in a run of before there was such a field."""
    assert train.make_benchmark(config).validation is None
    fields = config.to_dict()
    del fields["data"]["validation_share"]
    fields = configuration.upgrade(fields)
    before = train.make_benchmark(ml_collections.ConfigDict(fields))
    assert before.validation is None and len(before.train) == 1347


def test_it_is_held_out_of_what_is_kept(config):
    config.data.train_size = 100
    config.data.validation_share = 0.2
    result = train.make_benchmark(config)
    assert (len(result.validation), len(result.train)) == (20, 80)
    kept = data.digits8n_o(rate=0.5, train_size=100)
    both = np.concatenate([result.train.ids, result.validation.ids])
    np.testing.assert_array_equal(np.sort(both), kept.train.ids)
    assert dataclasses.replace(result, validation=None).num_classes == 8
