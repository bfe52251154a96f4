"""Batches from arrays in memory, with an order that a resumed run repeats."""

import numpy as np
import tensorflow as tf


def steps_per_epoch(split, batch_size):
    """Number of whole batches in a split, a partial last one dropped.

    Raises:
        ValueError: If the split holds less than one batch.
    """
    if not 0 < batch_size <= len(split):
        raise ValueError(
            f"`batch_size` must be between 1 and the number of images, {len(split)}. "
            f"Received: batch_size={batch_size}."
        )
    return len(split) // batch_size


def train_batches(split, *, batch_size, seed, initial_epoch=0):
    """Endless shuffled batches of `(image, {"label", "true_label"})`.

    The order of an epoch is a function of `(seed, epoch)` alone, so a run that resumes
    at `initial_epoch` sees what an uninterrupted one would have seen. A partial last
    batch is dropped. Use it with `fit(steps_per_epoch=steps_per_epoch(...))`.

    Args:
        split: A `Split`.
        batch_size: Samples a batch.
        seed: Seed of the order.
        initial_epoch: First epoch, counted from 0.

    Returns:
        A `tf.data.Dataset`.

    Raises:
        ValueError: If the split holds less than one batch.
    """
    steps = steps_per_epoch(split, batch_size)
    images = tf.constant(split.images)
    labels = tf.constant(split.labels)
    true_labels = tf.constant(split.true_labels)

    def epoch_order(epoch):
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(split)), seed=tf.stack([np.int64(seed), epoch])
        )
        return tf.data.Dataset.from_tensor_slices(
            tf.reshape(order[: steps * batch_size], (steps, batch_size))
        )

    def gather(rows):
        truth = {"label": tf.gather(labels, rows)}
        truth["true_label"] = tf.gather(true_labels, rows)
        return tf.gather(images, rows), truth

    epochs = tf.data.Dataset.counter(start=initial_epoch)
    return epochs.flat_map(epoch_order).map(gather).prefetch(2)


def evaluation_batches(split, *, batch_size):
    """Batches of `(image, label)` in original order, a partial last one included."""
    data = tf.data.Dataset.from_tensor_slices((split.images, split.labels))
    return data.batch(batch_size).prefetch(2)
