"""Epochs of groups: each group has one label, each sample is seen."""

import itertools

import numpy as np
import pytest

from josrc_keras import data
from josrc_keras.data import batches, records
from josrc_keras.data.batches import grouped
from tests.support.balanced import LABELS, split


@pytest.mark.parametrize("group", [1, 3, 4])
def test_every_sample_is_seen_and_a_group_has_one_label(group):
    """30, 5 and 12 samples; the last group of a class is filled up with its own."""
    orders = [grouped.epoch_order(LABELS, None, group, 7, epoch) for epoch in (0, 1)]
    size = sum(-(-count // group) * group for count in (30, 5, 12))
    assert grouped.epoch_size(LABELS, None, group) == size == len(orders[0])
    for order in orders:
        assert (LABELS[order[::group]] == LABELS[order].reshape(-1, group).T).all()
        np.testing.assert_array_equal(np.unique(order), np.arange(len(LABELS)))
        assert np.bincount(order).max() <= 2
    assert (orders[0] != orders[1]).any()
    again = grouped.epoch_order(LABELS, None, group, 7, 1)
    np.testing.assert_array_equal(again, orders[1])


def test_a_class_smaller_than_a_group_is_repeated():
    labels = np.array([0, 1, 1, 1, 1, 1])
    order = grouped.epoch_order(labels, None, 4, 0, 0).reshape(-1, 4)
    assert sorted(map(tuple, labels[order])) == [(0,) * 4, (1,) * 4, (1,) * 4]
    assert (order[labels[order[:, 0]] == 0] == 0).all()


def test_a_limit_holds_for_groups():
    order = grouped.epoch_order(LABELS, 5, 3, 0, 0)
    assert grouped.epoch_size(LABELS, 5, 3) == len(order) == 18
    assert np.unique(LABELS[order], return_counts=True)[1].tolist() == [6, 6, 6]


def test_batches_are_of_whole_groups():
    source = split()
    fields = {"batch_size": 12, "group": 4}
    steps = batches.steps_per_epoch(source, **fields)
    assert steps == 52 // 12
    stream = batches.train_batches(source, seed=3, **fields)
    for epoch in (0, 1):
        order = grouped.epoch_order(LABELS, None, 4, 3, epoch)
        seen = [known["index"] for _, known in itertools.islice(stream, steps)]
        if hasattr(stream, "element_spec"):  # A dataset starts anew each time.
            stream = batches.train_batches(source, seed=3, initial_epoch=1, **fields)
        np.testing.assert_array_equal(np.concatenate(seen), order[: 12 * steps])


@pytest.mark.parametrize("fields", [{"group": 5}, {"group": 0}])
def test_groups_that_do_not_fit(fields):
    with pytest.raises(ValueError, match=r"multiple of the samples a group.*group="):
        batches.steps_per_epoch(split(), 12, **fields)


def test_groups_of_streamed_images(tmp_path):
    """Of one label each; every sample is seen, and the same for the same epoch."""
    source = split()
    records.write(
        data.Benchmark(source, source.head(2), ("a", "b", "c"), ""), tmp_path / "set"
    )
    found = records.read(tmp_path / "set").train
    fields = {"batch_size": 4, "group": 4, "seed": 3}
    steps = batches.steps_per_epoch(found, 4, group=4)
    assert steps == sum(-(-count // 4) for count in (30, 5, 12))

    def seen_in(epoch):
        stream = batches.train_batches(found, initial_epoch=epoch, **fields)
        return np.stack(
            [known["index"] for _, known in itertools.islice(stream, steps)]
        )

    rows = seen_in(0)
    assert (LABELS[rows] == LABELS[rows[:, :1]]).all()
    np.testing.assert_array_equal(np.unique(rows), np.arange(len(LABELS)))
    assert np.bincount(rows.ravel()).max() <= 4
    np.testing.assert_array_equal(seen_in(0), rows)
    assert (seen_in(1) != rows).any()
