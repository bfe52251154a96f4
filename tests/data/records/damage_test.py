"""Files of records whose content was damaged, though their size is right."""

import re

import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import data
from josrc_keras.data import batches, records
from josrc_keras.data.records import damage

COUNT = 40


def split(count):
    images = np.random.default_rng(0).integers(0, 256, (count, 6, 5, 3), "uint8")
    return data.Split(images, np.arange(count) % 3, None, np.arange(count))


@pytest.fixture
def written(tmp_path):
    """Paths of three files of images, and what was read of their folder."""
    benchmark = data.Benchmark(split(COUNT), split(4), ("a", "b", "c"), "sum")
    records.write(benchmark, tmp_path / "set", images_per_file=16)
    paths = sorted((tmp_path / "set").glob("train-*"))
    return paths, records.read(tmp_path / "set").train


CHANGES = {
    "a bit of an image": lambda c: c[:700] + bytes([c[700] ^ 1]) + c[701:],
    "a bit of a length": lambda c: c[:1] + bytes([c[1] ^ 1]) + c[2:],
    "zeros, as after a crash": lambda c: c[:900] + bytes(len(c) - 900),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_changed_byte_stops_training_and_the_file_is_named(written, change):
    paths, train = written
    content = paths[1].read_bytes()
    paths[1].write_bytes(change(content))
    records.read(paths[1].parent)  # Its size is right.
    with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
        next(iter(batches.train_batches(train, batch_size=8, seed=0)))
    with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
        np.asarray(train.images)
    where = re.escape(f"{paths[1]}, with a corrupted record at ")
    assert re.fullmatch(rf"{where}\d+", damage.first(paths))
    assert damage.first(paths[2:] + paths[:1]) is None


def test_files_that_were_exchanged_are_not_read_as_an_array(written):
    """Images of this size take the same room in each file, but have other rows."""
    paths, train = written
    first, second = (path.read_bytes() for path in paths[:2])
    assert len(first) == len(second)
    paths[0].write_bytes(second), paths[1].write_bytes(first)
    with pytest.raises(OSError, match=r"set, where image 0 is that of row 16\. Copy"):
        np.asarray(train.images)
    # Batches have each image's own row, and so its own label.
    whole = split(COUNT)
    for images, rows in batches.evaluation_batches(train, batch_size=8):
        for image, label in zip(images.numpy(), rows.numpy(), strict=True):
            place = int(np.argmax((whole.images == image).all(axis=(1, 2, 3))))
            np.testing.assert_array_equal(whole.images[place], image)
            assert whole.labels[place] == label
