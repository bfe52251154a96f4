"""Batches of a split's images, for the backend that Keras runs on."""

import keras

from josrc_keras.data import records
from josrc_keras.data.batches import balance, grouped


def steps_per_epoch(split, batch_size, *, balanced=False, group=1):
    """Number of whole batches in an epoch. A partial last batch is dropped.

    Args:
        split: A `Split`.
        batch_size: Samples a batch.
        balanced: As in `train_batches`.
        group: As in `train_batches`.

    Raises:
        ValueError: If the epoch holds less than one batch, or `balanced` or `group` is
            out of range.
    """
    limit = balance.limit_of(split.labels, balanced)
    grouped.check_group(group, batch_size)
    count = grouped.epoch_size(split.labels, limit, group)
    if not 0 < batch_size <= count:
        what = "images" if limit is None else "images in a balanced epoch"
        raise ValueError(
            f"`batch_size` must be between 1 and the number of {what}, {count}. "
            f"Received: batch_size={batch_size}."
        )
    return count // batch_size


def train_batches(split, *, batch_size, seed, initial_epoch=0, balanced=False, group=1):
    """Endless shuffled batches of `(image, {"label", "true_label", "index"})`.

    The index is a sample's row in the split. True labels are left out where they are
    not known.

    The order of an epoch is a function of `(seed, epoch)` alone, so a run that resumes
    at `initial_epoch` sees what an uninterrupted run would have seen. (The two
    backends draw different orders.) A partial last batch is dropped. Use it with
    `fit(steps_per_epoch=steps_per_epoch(...))`.

    Args:
        split: A `Split`.
        batch_size: Samples a batch.
        seed: Seed of the order.
        initial_epoch: First epoch, counted from 0.
        balanced: False for all samples. True for as many samples of every given class
            as the rarest class has. A number takes at most that number of each class.
            Samples are drawn anew each epoch, without replacement, as a function of
            `(seed, epoch)`. Pass the same value to `steps_per_epoch`.
        group: Samples a group, a divisor of `batch_size`. The samples of a group, one
            after the other in a batch, have the same given label. The last group of a
            class is filled up with its own samples. Pass the same value to
            `steps_per_epoch`.

    Returns:
        A `tf.data.Dataset`, or on JAX a generator whose data stays on the device.

    Raises:
        ValueError: If an epoch holds less than one batch, or `balanced` is a number
            that is not positive, or groups don't fit the batch.
    """
    steps = steps_per_epoch(split, batch_size, balanced=balanced, group=group)
    limit = balance.limit_of(split.labels, balanced)
    return _maker(split).train_batches(
        split, steps, batch_size, seed, initial_epoch, limit, group
    )


def evaluation_batches(split, *, batch_size):
    """Batches of `(image, label)` in original order, with a partial last batch.

    Args:
        split: A `Split`.
        batch_size: Samples a batch.

    Returns:
        A `tf.data.Dataset`, or on JAX a `keras.utils.PyDataset` whose data stays on the
        device. With several JAX devices the last batch is filled up, with weights of 0
        as a third element.
    """
    return _maker(split).evaluation_batches(split, batch_size)


def _maker(split):
    if isinstance(split.images, records.StreamedImages):
        from josrc_keras.data.batches import streamed

        return streamed
    if keras.backend.backend() == "jax":
        from josrc_keras.data.batches import on_device

        return on_device
    from josrc_keras.data.batches import in_memory

    return in_memory
