"""Class-balanced epochs, by the rows that they are made of."""

import itertools

import numpy as np

from josrc_keras import data
from josrc_keras.data import batches

COUNTS = {0: 30, 1: 5, 3: 12}  # Of each class; class 2 does not occur.
LABELS = np.random.default_rng(0).permutation(np.repeat(list(COUNTS), [30, 5, 12]))


def split():
    """Images told apart by their pixel, the number of their row."""
    numbers = np.arange(len(LABELS))
    images = np.broadcast_to(numbers[:, None, None, None], (len(LABELS), 2, 2, 1))
    return data.Split(images.astype("uint8"), LABELS, None, numbers)


def epochs_of(source, count, **options):
    """The rows of so many epochs, by their pixels."""
    balanced = options.get("balanced", False)
    steps = batches.steps_per_epoch(source, 3, balanced=balanced)
    stream = batches.train_batches(source, batch_size=3, **options)
    found = []
    for image, known in itertools.islice(iter(stream), count * steps):
        rows = np.asarray(image)[:, 0, 0, 0].astype(int)
        np.testing.assert_array_equal(known["index"], rows)
        np.testing.assert_array_equal(known["label"], LABELS[rows])
        found += rows.tolist()
    return np.array(found).reshape(count, -1)
