"""The order of the samples is known, whatever the data."""

import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import views
from josrc_keras.audit import reading
from josrc_keras.data.checks.contract import Contract

EXPECTED = Contract(4, (None, 8, 8, 1), None)
X = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1)).astype("uint8")
Y = np.random.default_rng(1).integers(0, 4, 24)


def read(x, y=None, batch_size=7, expected=EXPECTED):
    """Labels and images in the order of their numbers, and the numbers or None."""
    found = list(reading.batches(x, y, expected, batch_size))
    given = np.concatenate([batch.labels for batch in found])
    images = np.concatenate([batch.images for batch in found])
    if found[0].index is None:
        return given, images, None
    index = np.concatenate([batch.index for batch in found])
    order = np.argsort(index)
    return given[order], images[order], index


def dataset(labels=Y, batch=7):
    data = tf.data.Dataset.from_tensor_slices((X, labels))
    return data if batch is None else data.batch(batch)


class Numbered(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, number):
        rows = slice(8 * number, 8 * number + 8)
        return X[rows], {"label": Y[rows], "true_label": Y[rows]}


SOURCES = {
    "arrays": lambda: (X, Y),
    "one-hot": lambda: (X, np.eye(4, dtype="float32")[Y]),
    "boolean one-hot": lambda: (X, np.eye(4, dtype=bool)[Y]),
    "dict": lambda: (X, {"label": Y, "true_label": Y}),
    "tensors": lambda: (tf.constant(X), tf.constant(Y)),
    "small integers": lambda: (X, Y.astype("uint8")),
    "tf.data": lambda: (dataset(),),
    "weights": lambda: (dataset().map(lambda x, y: (x, y, tf.ones(tf.shape(y)))),),
    "PyDataset": lambda: (Numbered(),),
    "list of batches": lambda: ([(X[:5], Y[:5]), (X[5:], Y[5:])],),
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_kind_of_data_is_read_in_order(source):
    given, images, index = read(*SOURCES[source]())
    np.testing.assert_array_equal(given, Y)
    np.testing.assert_array_equal(images, X)
    assert given.dtype == np.int64 and index is None


def numbered():
    labels = {"label": Y, "index": np.arange(24)}
    return tf.data.Dataset.from_tensor_slices((X, labels))


def test_shuffled_data_with_numbers_is_read_in_any_order():
    given, images, index = read(numbered().shuffle(24, seed=3).batch(7))
    assert not np.array_equal(index, np.arange(24))
    np.testing.assert_array_equal(given, Y)
    np.testing.assert_array_equal(images, X)


ORDER = (
    r"Expected a dataset that yields the same images in the same order each time\. "
    r"Received: one that does not\. Remove `shuffle` and random augmentation"
)


class Augmented:
    """The same samples, with one pixel that changes."""

    def __init__(self):
        self.readings = 0

    def __iter__(self):
        self.readings += 1
        images = X.copy()
        images[20, 3, 3] = self.readings
        yield from [(images[:12], Y[:12]), (images[12:], Y[12:])]


def same_labels_in_any_order():
    labels = np.zeros(24, int)
    return dataset(labels, batch=None).shuffle(24).batch(7)


@pytest.mark.parametrize(
    "make",
    [
        lambda: dataset(batch=None).shuffle(24).batch(7),
        same_labels_in_any_order,
        Augmented,
    ],
)
def test_another_order_each_time_is_refused(make):
    with pytest.raises(ValueError, match=ORDER):
        read(make())


def test_views_need_numbers():
    """Random views differ each time; two given views in arrays do not."""
    augment = views.crop_and_flip(1)
    data = dataset().map(views.two_views(augment))
    message = r"The order of a dataset of random views can't be checked\. .*'index'}\."
    with pytest.raises(ValueError, match=message):
        read(data)
    data = numbered().shuffle(24).batch(7).map(views.two_views(augment))
    found = list(reading.batches(data, None, EXPECTED, 7))
    assert sum(len(batch.index) for batch in found) == 24
    assert all(batch.fingerprints is None for batch in found)
    found = list(reading.batches({"view_a": X, "view_b": X}, Y, EXPECTED, 7))
    np.testing.assert_array_equal(np.concatenate([b.labels for b in found]), Y)


def test_images_of_equal_pixels_have_equal_fingerprints():
    """Among floats too; an image of other values or another shape has another one."""
    images = np.zeros((5, 8, 8, 1), "float32")
    images[1, 0, 0] = 1e-20
    images[3] = images[1]
    (batch,) = reading.batches(images, np.zeros(5, int), EXPECTED, 7)
    first, second = batch.fingerprints[:2]
    assert first != second
    np.testing.assert_array_equal(
        batch.fingerprints, [first, second, first, second, first]
    )
    other = Contract(4, (None, None, None, 1), None)
    (wide,) = reading.batches(np.zeros((1, 4, 16, 1), "float32"), [0] * Y[:1], other, 7)
    assert wide.fingerprints[0] != first


def empty():
    return dataset().take(0)


REFUSED = {
    "generator": (lambda: ((b for b in dataset()),), TypeError, "can be read again"),
    "iterator": (lambda: (iter(dataset()),), TypeError, "can be read again"),
    "images alone": (lambda: (X,), ValueError, r"`model\.audit\(images, labels\)`"),
    "dataset of images": (
        lambda: (dataset().map(lambda x, y: x),),
        ValueError,
        "images without labels",
    ),
    "unequal": (lambda: (X, Y[:9]), ValueError, "24 images and 9 labels"),
    "list": (lambda: (X, list(Y)), ValueError, "turn a list of labels into an array"),
    "empty": (lambda: (empty(),), ValueError, "Received: an empty dataset"),
    "empty arrays": (lambda: (X[:0], Y[:0]), ValueError, "an empty dataset"),
    "endless": (lambda: (dataset().repeat(),), ValueError, "dataset that ends"),
    "single samples": (lambda: (dataset(batch=None),), ValueError, "Batch the dataset"),
    "classes": (lambda: (X, Y + 1), ValueError, r"labels in \[0, 3\].*from 1 to 4"),
    "later classes": (
        lambda: (dataset(np.append(Y[:-1], 9)),),
        ValueError,
        r"labels in \[0, 3\].*to 9",
    ),
    "size": (lambda: (X[:, :5], Y), ValueError, r"Received: \(5, 8, 1\)"),
    "NaN": (lambda: (X + np.float32("nan"), Y), ValueError, "Expected finite pixels"),
    "index": (
        lambda: (X, {"label": Y, "index": Y / 2}),
        ValueError,
        "sample's number in the dataset as integers",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_data_is_refused(case):
    make, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        read(*make())


def test_an_augmentation_may_change_the_size():
    """Images that training crops to the size of the network."""
    cropping = EXPECTED._replace(augmentation=keras.layers.RandomCrop(8, 8))
    larger = np.pad(X, ((0, 0), (1, 1), (1, 1), (0, 0)))
    np.testing.assert_array_equal(read(larger, Y, expected=cropping)[0], Y)
    with pytest.raises(ValueError, match=r"Received: \(10, 10, 1\)\. Resize"):
        read(larger, Y)


def test_memory_is_that_of_a_batch():
    """Of 6,000 images of 3 KiB, 18 MiB, less than 3 MiB are held at a time.

    Not even those at the start, whose order is compared.
    """
    count, batch = 6000, 100

    class Many(keras.utils.PyDataset):
        def __len__(self):
            return count // batch

        def __getitem__(self, number):
            images = np.zeros((batch, 32, 32, 3), "uint8")
            images += np.arange(batch, dtype="uint8")[:, None, None, None]
            images[:, 0, 0, 0] = number
            return images, np.zeros(batch, int)

    expected = Contract(4, (None, 32, 32, 3), None)
    tracemalloc.start()
    for found in reading.batches(Many(), None, expected, batch):
        assert len(found.labels) == batch
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * 2**20, f"{peak / 2**20:.1f} MiB"
