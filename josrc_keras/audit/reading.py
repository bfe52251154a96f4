"""Reads the samples of any dataset, batch by batch, in a known order."""

import hashlib
import sys
from typing import Any, NamedTuple

import keras
import numpy as np

from josrc_keras.data.checks import contract, values

LOOKED_AT = 2048  # Samples at the start of a dataset that are read twice.
ENDLESS = -1  # The cardinality of an endless `tf.data.Dataset`.


class Samples(NamedTuple):
    """A batch of samples.

    Attributes:
        images: `(N, H, W, channels)`, or a dict of two views.
        labels: `(N,)` int64 given labels.
        index: `(N,)` int64 numbers in the dataset, or None if the order of reading is
            the order of the dataset.
        fingerprints: `(N,)` uint64, equal for equal pixels; None for views.
    """

    images: Any
    labels: np.ndarray
    index: Any
    fingerprints: Any


def batches(x, y, expected, batch_size):
    """Yields `Samples` whose order is known.

    Args:
        x: Images as an array, or a dataset of batches of `(image, label)`: a
            `tf.data.Dataset`, a `keras.utils.PyDataset`, or anything that can be
            iterated more than once.
        y: Labels, where `x` is an array.
        expected: The model's `contract.Contract`.
        batch_size: Samples per batch, for arrays.

    Yields:
        `Samples`.

    Raises:
        TypeError: If `x` can be read only once.
        ValueError: If the data is not what the model takes, or a dataset yields a
            different order each time.
    """
    source = _source(x, y, batch_size)
    of_arrays = y is not None
    looked_at: list = []
    if not of_arrays:
        looked_at = _start(source, expected)
    count, first = 0, None
    for number, data in enumerate(source()):
        samples = _samples(data, expected)
        count += len(samples.labels)
        if first is None:
            first = samples._replace(images=None)
        elif samples.index is None and _starts_again(samples, first):
            raise ValueError(
                "Expected a dataset that ends. Received: one whose batch number "
                f"{number + 1} is its first again. Audit it before `repeat`."
            )
        if not of_arrays and samples.index is None:
            _check_order(samples, looked_at[number : number + 1])
        yield samples
    if not count:
        raise ValueError(
            "Expected at least one sample to audit. Received: an empty dataset."
        )


def _starts_again(samples, first):
    """Whether a batch is the first one again, pixels and labels of all samples."""
    ours, before = samples.fingerprints, first.fingerprints
    if ours is None or len(np.unique(before)) < 2:  # Equal images may come in a row.
        return False
    labels = np.array_equal(samples.labels, first.labels)
    return labels and np.array_equal(ours, before)


def _source(x, y, batch_size):
    """A function that starts to read the data, batch by batch."""
    if y is not None:
        return lambda: _slices(x, y, batch_size)
    if isinstance(x, keras.utils.PyDataset):
        return lambda: (x[number] for number in range(len(x)))
    if hasattr(x, "shape"):
        raise ValueError(
            "Expected images and their labels. Received: images alone. Pass both: "
            "`model.audit(images, labels)`."
        )
    if iter(x) is x:
        raise TypeError(
            f"Expected data that can be read again. Received: a {type(x).__name__}. "
            "Pass arrays, a tf.data.Dataset or a keras.utils.PyDataset."
        )
    if hasattr(x, "cardinality") and int(x.cardinality()) == ENDLESS:
        raise ValueError(
            "Expected a dataset that ends. Received: an endless one. Audit it before "
            "`repeat`."
        )
    return lambda: iter(x)


def _slices(x, y, batch_size):
    given = contract.unpack((x, y))
    images, labels = given.image_parts()[0], given.labels
    if len(images) != len(labels):
        raise ValueError(
            "Expected one label for each image. Received: "
            f"{len(images)} images and {len(labels)} labels."
        )
    for start in range(0, len(labels), batch_size):
        rows = slice(start, start + batch_size)
        yield keras.tree.map_structure(lambda part, at=rows: part[at], (x, y))


def _start(source, expected):
    """The first batches without their images, to compare a second reading with."""
    first, count = [], 0
    for data in source():
        first.append(_samples(data, expected)._replace(images=None))
        count += len(first[-1].labels)
        if count >= LOOKED_AT or first[-1].index is not None:
            break
    return first


def _check_order(found, before):
    """Raises a `ValueError` unless a batch is the same as at the first reading."""
    if found.fingerprints is None:
        raise ValueError(
            "The order of a dataset of random views can't be checked. Received: "
            "({'view_a', 'view_b'}, label). Audit the dataset before `two_views`, or "
            "let it yield labels as {'label', 'index'}."
        )
    for first in before:
        same = np.array_equal(first.labels, found.labels)
        if not same or not np.array_equal(first.fingerprints, found.fingerprints):
            raise ValueError(
                "Expected a dataset that yields the same images in the same order each "
                "time. Received: one that does not. Remove `shuffle` and random "
                "augmentation from it, or let it yield labels as {'label', 'index'}."
            )


def _samples(data, expected):
    """A batch of the data, checked and on the host."""
    batch = contract.unpack(data)
    batch = contract.Batch(
        *keras.tree.map_structure(
            lambda part: None if part is None else _to_numpy(part), tuple(batch)
        )
    )
    # Without an augmentation, one view of an image is enough.
    expected.check(batch, training=expected.augmentation is not None)
    values.check_arrays(batch, expected.num_classes)
    labels = np.asarray(batch.integer_labels(), np.int64)
    index = None if batch.index is None else batch.index.astype(np.int64)
    fingerprints = None
    if not isinstance(batch.images, dict):
        fingerprints = np.array([_fingerprint(image) for image in batch.images])
    return Samples(batch.images, labels, index, fingerprints)


def _to_numpy(part):
    if isinstance(part, np.ndarray):
        return part
    if "tensorflow" in sys.modules and hasattr(part, "numpy"):
        return part.numpy()
    return np.asarray(part)


def _fingerprint(image):
    digest = hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8)
    digest.update(str(image.shape).encode())
    return np.frombuffer(digest.digest(), np.uint64)[0]
