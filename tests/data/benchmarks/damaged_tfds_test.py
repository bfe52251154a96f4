"""Files of TensorFlow Datasets that were damaged since it wrote them."""

import struct

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from josrc_keras.data.benchmarks import cifar_files
from josrc_keras.data.records import damage

COUNT, OTHERS = 12, 5
NAMES = [f"name {number}" for number in range(100)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A data_dir with a CIFAR-100 of 12 and 5 images, and the content of its files."""
    folder = tmp_path_factory.mktemp("tfds")
    parts = {"train": COUNT, "test": OTHERS}
    features = tfds.features.FeaturesDict(
        {
            "id": tfds.features.Text(),
            "image": tfds.features.Image(shape=(32, 32, 3)),
            "label": tfds.features.ClassLabel(names=NAMES),
            "coarse_label": tfds.features.ClassLabel(num_classes=20),
        }
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        name="cifar100",
        version=str(tfds.builder_cls("cifar100").VERSION),
        features=features,
        split_datasets={name: images(name, count) for name, count in parts.items()},
        data_dir=folder,
    )
    (place,) = (folder / "cifar100").iterdir()
    return folder, {path: path.read_bytes() for path in place.iterdir()}


def images(name, count):
    random = np.random.default_rng(0)
    fields = {
        "id": [f"{name}_{row:05d}" for row in range(count)],
        "image": random.integers(0, 256, (count, 32, 32, 3), dtype="uint8"),
        "label": np.arange(count) + 7,
        "coarse_label": np.zeros(count, "int64"),
    }
    return tf.data.Dataset.from_tensor_slices(fields)


@pytest.fixture
def stored(kept):
    """The same, whole again after each test; gives the path of a file by its start."""
    folder, files = kept
    yield folder, lambda start: next(p for p in files if p.name.startswith(start))
    for path, content in files.items():
        path.write_bytes(content)


def begins(content):
    """Where each record of a TFRecord file begins: 12 bytes, its content, 4 bytes."""
    places = [0]
    while places[-1] < len(content):
        (length,) = struct.unpack_from("<Q", content, places[-1])
        places.append(places[-1] + length + 16)
    return places


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


DAMAGES = {
    "truncated": (lambda c: c[:-100], "with a truncated record at"),
    "cut after a record": (lambda c: c[: begins(c)[8]], "with 8 of 12 records"),
    "empty": (lambda c: b"", "with 0 of 12 records"),
    "flipped in an image": (
        lambda c: flipped(c, begins(c)[3] + 200),
        "with a corrupted record at",
    ),
    "flipped in a length": (
        lambda c: flipped(c, begins(c)[3] + 1),
        "with a corrupted record at",
    ),
    "zeros": (lambda c: c[:5000] + bytes(len(c) - 5000), "with a corrupted record at"),
    "records twice": (lambda c: c + c[begins(c)[9] :], "with 15 of 12 records"),
    "missing": (None, "which does not exist"),
}


def test_a_whole_one_is_read(stored):
    (images, labels, rows), (others, *_), names = cifar_files.load(str(stored[0]))
    assert images.shape == (COUNT, 32, 32, 3) and len(others) == OTHERS
    assert labels.tolist() == list(range(7, 19)) and names == NAMES
    assert rows.tolist() == list(range(COUNT))


@pytest.mark.parametrize("how", DAMAGES)
def test_an_error_names_the_file_and_the_damage(stored, how):
    folder, named = stored
    path, (change, expected) = named("cifar100-train"), DAMAGES[how]
    content = path.read_bytes()
    path.unlink() if change is None else path.write_bytes(change(content))
    with pytest.raises(OSError, match="so that TFDS prepares it again") as caught:
        cifar_files.load(str(folder))
    assert f"{path}, {expected}" in str(caught.value)


@pytest.mark.parametrize("part", [0.5, 0.0, None])
def test_names_that_are_lost_are_no_names_of_classes(stored, part):
    """TFDS itself would give some 50 names, or numbers for names."""
    folder, named = stored
    path = named("label.labels")
    content = path.read_bytes()
    if part is None:
        path.unlink()
    else:
        path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(OSError, match=r"100 classes\. Received: .*label\.labels\.txt"):
        cifar_files.load(str(folder))


def test_an_error_of_another_dataset_gets_the_name(stored):
    """As when Clothing1M, Food-101N or CIFAR-100N are read."""
    folder, named = stored
    builder = tfds.builder("cifar100", data_dir=folder)
    with pytest.raises(KeyError, match="other"), damage.named(builder):
        raise KeyError("other")
    path = named("cifar100-test")
    path.write_bytes(flipped(path.read_bytes(), 50))
    message = rf"Received: {path}, with a corrupted record at 12\. Copy the file again"
    with pytest.raises(OSError, match=message), damage.named(builder):
        list(builder.as_dataset(split="test"))
