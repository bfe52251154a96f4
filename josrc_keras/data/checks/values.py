"""Checks of the values in the data: labels in range, pixels finite.

One list of conditions serves whole NumPy arrays and the batches of a
`tf.data.Dataset`, where they run on the host and leave the compiled step alone.
"""

import contextlib
import sys

import keras
import numpy as np

from josrc_keras.data.checks import contract
from josrc_keras.devices.replicas import MARK


def _conditions(batch, num_classes, num_samples, xp):
    """Yields `(holds, message, values for the message)` for each check of a `Batch`.

    `xp` is `numpy` or `tf.experimental.numpy`.
    """
    for image in batch.image_parts():
        if "float" in contract.dtype_name(image):
            yield (
                xp.all(xp.isfinite(xp.asarray(image, dtype="float32"))),
                "Expected finite pixels. Received: NaN or infinity among them. Drop "
                "or repair the broken images.",
                (),
            )
    labels, last = batch.labels, num_classes - 1
    if len(labels.shape) == 2:
        yield from _conditions_of_rows(xp.asarray(labels, dtype="float32"), xp)
    else:
        low, high = xp.min(labels), xp.max(labels)
        yield (
            xp.logical_and(low >= 0, high <= last),
            f"Expected labels in [0, {last}]. Received: labels from {{}} to {{}}. "
            "Number the classes from 0, or pass the right `num_classes`.",
            (low, high),
        )
    if batch.index is not None:
        low, high = xp.min(batch.index), xp.max(batch.index)
        inside, expected = low >= 0, "of at least 0"
        if num_samples is not None:
            inside = xp.logical_and(inside, high < num_samples)
            expected = f"in [0, {num_samples - 1}]"
        yield (
            inside,
            f"Expected numbers of samples {expected}. Received: numbers "
            "from {} to {}. Number the samples from 0, with "
            "`josrc_keras.data.numbered`, or make the model for as many samples as "
            "there are.",
            (low, high),
        )
    if batch.true_labels is not None:
        low, high = xp.min(batch.true_labels), xp.max(batch.true_labels)
        yield (
            xp.logical_and(low >= -1, high <= last),
            f"Expected true labels in [-1, {last}], -1 for out-of-distribution. "
            "Received: true labels from {} to {}.",
            (low, high),
        )
    if batch.sample_weight is not None:
        weight = xp.asarray(batch.sample_weight, dtype="float32")
        yield (
            xp.all(xp.logical_and(xp.isfinite(weight), weight >= 0)),
            "Expected finite sample weights of at least 0. Received: weights from {} "
            "to {}.",
            (xp.min(weight), xp.max(weight)),
        )


def _conditions_of_rows(labels, xp):
    """`_conditions` of `(N, C)` float32 labels: a share of each class."""
    least, sums = xp.min(labels), xp.sum(labels, axis=1)
    yield (
        least >= 0,
        "Expected rows of labels with no negative share. Received: {}. Pass integer "
        "labels, or a probability of each class.",
        (least,),
    )
    yield (
        xp.all(xp.abs(sums - 1.0) < 1e-3),
        "Expected one-hot labels whose rows sum to 1. Received: rows that sum to "
        "between {} and {}. Pass integer labels, or normalise the rows.",
        (xp.min(sums), xp.max(sums)),
    )


def checked_inputs(data, expected, *, training):
    """Checks the data that `fit` or `evaluate` received, as far as is possible before.

    Args:
        data: `x`, `y` and `sample_weight` as `fit` takes them. With a dataset the last
            two are None.
        expected: The model's `contract.Contract`.
        training: Whether two views will be made of the images.

    Returns:
        `x`, `y` and `sample_weight`. A `tf.data.Dataset` is replaced by one that checks
        the values of each batch, pandas objects by arrays. All else is unchanged.

    Raises:
        ValueError: With what was received, what is expected, and the fix.
    """
    x, y, sample_weight = data
    if _is_tf_dataset(x):
        expected.check(contract.unpack(x.element_spec), training=training)
        return (
            _checked_dataset(x, expected.num_classes, expected.num_samples),
            y,
            sample_weight,
        )
    x, y, sample_weight = keras.tree.map_structure(
        lambda part: part.to_numpy() if hasattr(part, "to_numpy") else part,
        (x, y, sample_weight),
    )
    parts = [p for p in keras.tree.flatten((x, y, sample_weight)) if p is not None]
    if parts and all(hasattr(p, "shape") and hasattr(p, "dtype") for p in parts):
        batch = contract.unpack((x, y, sample_weight))
        expected.check(batch, training=training)
        check_arrays(batch, expected.num_classes, expected.num_samples)
    elif isinstance(y, (list, tuple)):
        raise ValueError(
            "Expected labels as a NumPy array or tensor. Received: a "
            f"{type(y).__name__}. Use `np.asarray(labels)`."
        )
    # The first step checks a generator or another kind of dataset.
    return x, y, sample_weight


def checked_validation(data, expected):
    """Does what `checked_inputs` does, for `validation_data`.

    Args:
        data: A dataset, or a tuple of arrays.
        expected: The model's `contract.Contract`.

    Returns:
        What to pass to Keras instead of `data`.

    Raises:
        ValueError: With what was received, what is expected, and the fix.
    """
    if isinstance(data, (tuple, list)):
        parts = keras.utils.unpack_x_y_sample_weight(tuple(data))
        return checked_inputs(parts, expected, training=False)
    return checked_inputs((data, None, None), expected, training=False)[0]


@contextlib.contextmanager
def readable_errors():
    """Turns the error of a check inside a dataset or a step into a `ValueError`."""
    try:
        yield
    except Exception as error:
        parts = str(error).split(MARK)
        if len(parts) < 3:
            raise
        raise ValueError(parts[1]) from error


def check_arrays(batch, num_classes, num_samples=None):
    """Checks a `Batch` that holds a whole dataset in arrays.

    Raises:
        ValueError: With what was received, what is expected, and the fix.
    """
    count = len(batch.labels)
    for image in batch.image_parts():
        if len(image) != count or not count:
            raise ValueError(
                "Expected one label for each image, and at least one of both. "
                f"Received: {len(image)} images and {count} labels."
            )
    arrays = keras.tree.map_structure(
        lambda part: None if part is None else np.asarray(part), tuple(batch)
    )
    batch = contract.Batch(*arrays)
    for holds, message, values in _conditions(batch, num_classes, num_samples, np):
        if not holds:
            raise ValueError(message.format(*values))


def _checked_dataset(dataset, num_classes, num_samples):
    """A `tf.data.Dataset` that checks the values of each batch.

    Args:
        dataset: A dataset of batches that `contract.unpack` takes.
        num_classes: C.
        num_samples: Number of samples that the model remembers, or None.

    Returns:
        A dataset of the same elements, in which a batch that fails a check raises an
        error that `readable_errors` can read.
    """
    import tensorflow as tf

    @tf.autograph.experimental.do_not_convert
    def check(*data):
        batch = contract.unpack(data)
        conditions = _conditions(batch, num_classes, num_samples, tf.experimental.numpy)
        asserts = [
            tf.debugging.Assert(
                holds, [tf.strings.format(MARK + message + MARK, values)]
            )
            for holds, message, values in conditions
        ]
        with tf.control_dependencies(asserts):
            return tf.nest.map_structure(tf.identity, data)

    return dataset.map(check).prefetch(2)


def _is_tf_dataset(x):
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(x, tensorflow.data.Dataset)
