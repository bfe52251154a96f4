"""Batches from arrays in memory, in tf.data; `data.batches` says what they are."""

import numpy as np
import tensorflow as tf


def train_batches(split, steps, batch_size, seed, initial_epoch):
    """Endless shuffled batches; see `data.batches.train_batches`."""
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


def evaluation_batches(split, batch_size):
    """Batches in original order; see `data.batches.evaluation_batches`."""
    data = tf.data.Dataset.from_tensor_slices((split.images, split.labels))
    return data.batch(batch_size).prefetch(2)
