import itertools

import numpy as np
import pytest

from josrc_keras.data import batches
from josrc_keras.data.benchmark import Split


def split_of(rows):
    """Rows told apart by their pixel, their label and their true label."""
    numbers = np.arange(rows)
    return Split(
        images=np.broadcast_to(numbers[:, None, None, None], (rows, 2, 2, 1)).astype(
            "uint8"
        ),
        labels=numbers % 7,
        true_labels=numbers % 5 - 1,
        ids=numbers,
    )


def epochs_of(split, count, *, batch_size, **options):
    """`count` epochs as lists of row numbers, of batches that belong together."""
    stream = batches.train_batches(split, batch_size=batch_size, **options)
    steps = batches.steps_per_epoch(split, batch_size)
    result = []
    iterator = iter(stream.take(count * steps))
    for _ in range(count):
        rows = []
        for image, truth in itertools.islice(iterator, steps):
            assert image.shape == (batch_size, 2, 2, 1)
            assert image.dtype == "uint8"
            assert set(truth) == {"label", "true_label", "index"}
            numbers = image.numpy()[:, 0, 0, 0].astype(int)
            np.testing.assert_array_equal(truth["label"], numbers % 7)
            np.testing.assert_array_equal(truth["true_label"], numbers % 5 - 1)
            np.testing.assert_array_equal(truth["index"], numbers)
            rows.extend(numbers.tolist())
        result.append(rows)
    return result


@pytest.mark.parametrize(("rows", "batch_size"), [(60, 12), (64, 10), (5, 5), (5, 1)])
def test_an_epoch_is_a_permutation_less_the_remainder(rows, batch_size):
    kept = rows // batch_size * batch_size
    for order in epochs_of(split_of(rows), 3, batch_size=batch_size, seed=0):
        assert len(order) == kept
        assert len(set(order)) == kept
        assert set(order) <= set(range(rows))


def test_the_remainder_is_another_one_each_epoch():
    """64 rows in batches of 10 leave 4 out: over 12 epochs not always the same."""
    orders = epochs_of(split_of(64), 12, batch_size=10, seed=0)
    left_out = [frozenset(range(64)) - set(order) for order in orders]
    assert {len(rows) for rows in left_out} == {4}
    assert len(set(left_out)) > 6


def test_a_resumed_run_sees_what_an_uninterrupted_one_sees():
    whole = epochs_of(split_of(60), 5, batch_size=8, seed=3)
    for start in (1, 4):
        resumed = epochs_of(
            split_of(60), 5 - start, batch_size=8, seed=3, initial_epoch=start
        )
        assert resumed == whole[start:]


def test_orders_differ_between_epochs_and_seeds():
    orders = [
        tuple(order)
        for seed in (0, 1, 2)
        for order in epochs_of(split_of(60), 4, batch_size=60, seed=seed)
    ]
    orders.append(tuple(range(60)))
    assert len(set(orders)) == 13


def test_every_position_is_equally_likely():
    """400 epochs of 4 rows: each row first 100 times, standard deviation 8.7."""
    orders = np.array(epochs_of(split_of(4), 400, batch_size=4, seed=0))
    counts = np.apply_along_axis(np.bincount, 0, orders, minlength=4)
    assert np.abs(counts - 100).max() < 5 * 8.7


def test_evaluation_batches_keep_order_and_remainder():
    pairs = list(batches.evaluation_batches(split_of(10), batch_size=4))
    assert [len(label) for _, label in pairs] == [4, 4, 2]
    pixels = np.concatenate([image[:, 0, 0, 0] for image, _ in pairs])
    np.testing.assert_array_equal(pixels, np.arange(10))
    labels = np.concatenate([label for _, label in pairs])
    np.testing.assert_array_equal(labels, np.arange(10) % 7)


@pytest.mark.parametrize(
    ("rows", "batch_size", "steps"), [(10, 3, 3), (9, 3, 3), (10, 10, 1)]
)
def test_steps_per_epoch_drops_the_remainder(rows, batch_size, steps):
    assert batches.steps_per_epoch(split_of(rows), batch_size) == steps


@pytest.mark.parametrize("batch_size", [0, -1, 11])
def test_a_batch_that_does_not_fit_is_refused(batch_size):
    message = rf"number of images, 10\. Received: batch_size={batch_size}\."
    with pytest.raises(ValueError, match=message):
        batches.steps_per_epoch(split_of(10), batch_size)
    with pytest.raises(ValueError, match=message):
        batches.train_batches(split_of(10), batch_size=batch_size, seed=0)
