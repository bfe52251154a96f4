"""Batches of a split's images, for the backend that Keras runs on."""

import keras

from josrc_keras.data import records


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
    """Endless shuffled batches of `(image, {"label", "true_label", "index"})`.

    The index is a sample's row in the split; true labels are left out where they are
    not known.

    The order of an epoch is a function of `(seed, epoch)` alone, so a run that resumes
    at `initial_epoch` sees what an uninterrupted one would have seen. (The two
    backends draw different orders.) A partial last batch is dropped. Use it with
    `fit(steps_per_epoch=steps_per_epoch(...))`.

    Args:
        split: A `Split`.
        batch_size: Samples a batch.
        seed: Seed of the order.
        initial_epoch: First epoch, counted from 0.

    Returns:
        A `tf.data.Dataset`, or on JAX a generator whose data stays on the device.

    Raises:
        ValueError: If the split holds less than one batch.
    """
    steps = steps_per_epoch(split, batch_size)
    return _maker(split).train_batches(split, steps, batch_size, seed, initial_epoch)


def evaluation_batches(split, *, batch_size):
    """Batches of `(image, label)` in original order, a partial last one included."""
    return _maker(split).evaluation_batches(split, batch_size)


def _maker(split):
    if isinstance(split.images, records.StreamedImages):
        from josrc_keras.data import streaming

        return streaming
    if keras.backend.backend() == "jax":
        from josrc_keras.data import resident

        return resident
    from josrc_keras.data import pipeline

    return pipeline
