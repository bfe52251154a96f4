"""Batches from arrays in memory, for TensorFlow. See `data.batches`."""

import numpy as np
import tensorflow as tf

from josrc_keras.data.batches import balance, grouped


def train_batches(split, steps, batch_size, seed, initial_epoch, limit, group=1):
    """Endless shuffled batches; see `data.batches.train_batches`."""
    images, truth_of = _in_place(split.images), known_of(split)
    rows_of = rows_of_epoch(split, seed, limit)

    def epoch_order(epoch):
        if group > 1:
            order = _grouped(split.labels, limit, group, seed, epoch)
        else:
            order = tf.random.experimental.stateless_shuffle(
                rows_of(epoch), seed=tf.stack([np.int64(seed), epoch])
            )
        return tf.data.Dataset.from_tensor_slices(
            tf.reshape(order[: steps * batch_size], (steps, batch_size))
        )

    epochs = tf.data.Dataset.counter(start=initial_epoch)
    rows = epochs.flat_map(epoch_order)
    return shared(rows.map(lambda row: (images(row), truth_of(row))).prefetch(2))


def evaluation_batches(split, batch_size):
    """Batches in original order; see `data.batches.evaluation_batches`."""
    images, labels = _in_place(split.images), tf.constant(split.labels)
    rows = tf.data.Dataset.range(len(split)).batch(batch_size)
    data = rows.map(lambda row: (images(row), tf.gather(labels, row)))
    return shared(data.prefetch(2))


def _grouped(labels, limit, group, seed, epoch):
    """The order of an epoch in groups of one class; see `grouped.epoch_order`."""
    order = tf.numpy_function(
        lambda number: grouped.epoch_order(labels, limit, group, seed, number),
        [epoch],
        np.int64,
        stateful=False,
    )
    return tf.ensure_shape(order, (grouped.epoch_size(labels, limit, group),))


def known_of(split):
    """A function from row numbers to a dict of what is known of these samples."""
    known = {name: tf.constant(array) for name, array in split.known().items()}

    def known_of_rows(rows):
        return {name: tf.gather(array, rows) for name, array in known.items()}

    return known_of_rows


def rows_of_epoch(split, seed, limit):
    """A function from an epoch to its increasing rows; see `balance.epoch_rows`."""
    labels = split.labels

    def rows_of(epoch):
        if limit is None:
            return tf.range(len(labels))
        rows = tf.numpy_function(
            lambda number: balance.epoch_rows(labels, limit, seed, number),
            [epoch],
            np.int64,
            stateful=False,
        )
        return tf.ensure_shape(rows, (balance.epoch_size(labels, limit),))

    return rows_of


def _in_place(array):
    """A function from row numbers to a tensor of the array's rows.

    NumPy gathers them, since a dataset of tensors holds two copies of the array.
    """

    def rows_of(rows):
        gathered = tf.numpy_function(
            array.__getitem__, [rows], array.dtype, stateful=False
        )
        return tf.ensure_shape(gathered, (rows.shape[0], *array.shape[1:]))

    return rows_of


def shared(dataset):
    """The dataset, set so that several workers share its batches.

    TensorFlow's default would share its files among them, where there are files.
    """
    options = tf.data.Options()
    policy = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_distribute.auto_shard_policy = policy
    return dataset.with_options(options)
