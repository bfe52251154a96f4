"""CIFAR-100's binary release, read from a small fake of it with NumPy alone."""

import collections
import hashlib
import sys

import numpy as np
import pytest

from josrc_keras.data import cifar8n_o, cifar80n_o, noise
from josrc_keras.data.benchmarks import cifar_files

NAMES = [f"name_{index}" for index in range(100)]
ROWS = {"train": 1600, "test": 300}
LOAD_TFDS = cifar_files._load_tfds  # Which the tests replace.


def make_split(name):
    """Random `(images, fine labels)`; of some classes more than 125 training images."""
    random = np.random.default_rng(len(name))
    count = ROWS[name]
    images = random.integers(0, 256, (count, 32, 32, 3)).astype("uint8")
    shares = np.array([5, 1, 2, 2, 1, 1, 4, 1, 4, 1, 1, 1]) / 24
    return images, random.choice([*range(10), 10, 99], count, p=shares)


def encode(images, labels):
    """A row of the release: coarse label, fine label, then red, green and blue."""
    rows = []
    for image, label in zip(images, labels, strict=True):
        planes = [image[:, :, channel].tobytes() for channel in range(3)]
        rows.append(bytes([7, label]) + b"".join(planes))
    return b"".join(rows)


def write(folder, contents, names=NAMES):
    """Unpacks a fake release into a folder, as the archive is."""
    release = folder / "cifar-100-binary"
    release.mkdir(parents=True)
    for split, content in contents.items():
        (release / f"{split}.bin").write_bytes(content)
    (release / "fine_label_names.txt").write_text("\n".join(names) + "\n\n")
    return folder


@pytest.fixture(scope="module")
def splits():
    return {name: make_split(name) for name in ROWS}


@pytest.fixture(scope="module")
def contents(splits):
    return {name: encode(*split) for name, split in splits.items()}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, contents, tmp_path):
    """The fakes' checksums, an empty home and current folder, and no TensorFlow.

    Returns:
        A list of what TensorFlow Datasets was asked for.
    """
    sums = {name: hashlib.sha256(each).hexdigest() for name, each in contents.items()}
    monkeypatch.setattr(cifar_files, "SHA256", sums)
    for folder in ("home", "current"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "current")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    asked = []
    monkeypatch.setattr(cifar_files, "_load_tfds", asked.append)
    for module in ("tensorflow", "tensorflow_datasets"):
        monkeypatch.setitem(sys.modules, module, None)  # Importing it fails.
    return asked


def names_in(data_dir=None):
    return cifar_files.load(data_dir)[2]


def test_reads_images_labels_order_and_names(splits, contents, tmp_path):
    """Every pixel at its place, the fine label and not the coarse one, all rows."""
    *found, names = cifar_files.load(write(tmp_path / "data", contents))
    assert names == NAMES
    for (images, labels, ids), name in zip(found, ROWS, strict=True):
        assert (images.dtype, labels.dtype, ids.dtype) == ("uint8", "int64", "int64")
        np.testing.assert_array_equal(images, splits[name][0])
        np.testing.assert_array_equal(labels, splits[name][1])
        np.testing.assert_array_equal(ids, np.arange(ROWS[name]))


@pytest.mark.parametrize("missing", ["train.bin", "test.bin", "fine_label_names.txt"])
def test_a_missing_file_is_named(contents, missing, tmp_path):
    release = write(tmp_path / "data", contents) / "cifar-100-binary"
    (release / missing).unlink()
    with pytest.raises(OSError, match="binary release is incomplete") as caught:
        cifar_files.load(tmp_path / "data")
    assert str(caught.value) == (
        f"CIFAR-100's binary release is incomplete. Received: {release / missing} "
        "(No such file or directory). Expected train.bin, test.bin and "
        "fine_label_names.txt. Unpack cifar-100-binary.tar.gz again."
    )


@pytest.mark.parametrize("split", ROWS)
@pytest.mark.parametrize("kind", ["truncated", "empty", "changed"])
def test_another_file_is_refused(contents, split, kind, tmp_path):
    """Cut off, even at the end of a row; empty; with one pixel changed."""
    content = contents[split]
    changed = {
        "truncated": content[: -cifar_files.ROW],
        "empty": b"",
        "changed": content[:-1] + bytes([content[-1] ^ 1]),
    }[kind]
    folder = write(tmp_path / "data", contents | {split: changed})
    with pytest.raises(OSError, match="another checksum") as caught:
        cifar_files.load(folder)
    path = folder / "cifar-100-binary" / f"{split}.bin"
    assert str(caught.value) == (
        f"Expected the {split}.bin of CIFAR-100's binary release. Received: {path} "
        f"with {len(changed)} bytes and another checksum. Unpack "
        "cifar-100-binary.tar.gz again."
    )


def test_the_environment_says_where_and_an_argument_overrules_it(
    contents, monkeypatch, tmp_path, surroundings
):
    there = write(tmp_path / "there", contents, ["there"])
    here = write(tmp_path / "here", contents, ["here"])
    monkeypatch.setenv("TFDS_DATA_DIR", str(there))
    assert names_in() == ["there"]
    assert names_in(str(here)) == ["here"]
    assert surroundings == []
    cifar_files.load(str(tmp_path / "home"))  # No release there: TFDS reads it.
    assert surroundings == [str(tmp_path / "home")]


def test_by_default_tfdss_own_folder_is_meant(contents, tmp_path, surroundings):
    """And not the current one, whatever lies there."""
    write(tmp_path / "current", contents, ["current"])
    cifar_files.load()
    assert surroundings == [None]
    write(tmp_path / "home" / "tensorflow_datasets", contents, ["home"])
    assert names_in() == ["home"]


def test_without_tensorflow_the_error_says_what_to_unpack(monkeypatch, tmp_path):
    """Where there is no release and TensorFlow Datasets is not installed."""
    monkeypatch.setattr(cifar_files, "_load_tfds", LOAD_TFDS)
    folder = str(tmp_path / "home")
    with pytest.raises(OSError, match="CIFAR-100 can't be read") as caught:
        cifar_files.load(folder)
    text = str(caught.value)
    assert f"Received: data_dir={folder!r}" in text
    assert "TFDS said: import of tensorflow_datasets halted" in text
    assert text.endswith(
        "Without TensorFlow, unpack the release's cifar-100-binary.tar.gz there, so "
        "that it holds cifar-100-binary/train.bin."
    )


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_tilde_is_the_home_folder(how, contents, monkeypatch, tmp_path):
    """As it is for TensorFlow Datasets; no shell expands it in `--flag=~/data`."""
    write(tmp_path / "home" / "data", contents, ["home"])
    if how == "environment":
        monkeypatch.setenv("TFDS_DATA_DIR", "~/data")
        assert names_in() == ["home"]
    else:
        assert names_in("~/data") == ["home"]


def kept_by_hand(labels, most):
    """Rows of the classes 0 to 9, the first so many of each, in original order."""
    seen: collections.Counter = collections.Counter()
    kept = []
    for row, label in enumerate(labels):
        seen[label] += 1
        if label < 10 and seen[label] <= most:
            kept.append(row)
    return np.array(kept)


@pytest.mark.parametrize(("kind", "rate"), [("symmetric", 0.5), ("pairflip", 0.3)])
def test_cifar8n_o_is_a_subset_with_noise_of_its_own(
    kind, rate, splits, contents, tmp_path
):
    """Rows, order, out-of-distribution classes 8 and 9, and the draw of the noise."""
    folder = str(write(tmp_path / "data", contents))
    benchmark = cifar8n_o(noise=kind, rate=rate, seed=3, data_dir=folder)
    images, labels = splits["train"]
    kept = kept_by_hand(labels, most=125)
    counts = np.bincount(labels, minlength=10)[:10]
    assert (counts > 125).sum() == 4 and (counts < 125).any()  # Both are tested.
    assert len(kept) == np.minimum(counts, 125).sum()

    train, test = benchmark.train, benchmark.test
    np.testing.assert_array_equal(train.ids, kept)
    np.testing.assert_array_equal(train.images, images[kept])
    truth = labels[kept]
    np.testing.assert_array_equal(train.true_labels, np.where(truth < 8, truth, -1))
    given = noise.corrupt(truth, kind=kind, num_classes=8, rate=rate, seed=3)
    np.testing.assert_array_equal(train.labels, given)
    assert benchmark.noise_checksum == noise.checksum(given)
    outside = train.true_labels == -1
    assert set(train.labels[outside]) == set(range(8))
    wrong = np.mean(train.labels[~outside] != truth[~outside])
    assert wrong == pytest.approx(rate, abs=4 * (rate * (1 - rate) / 700) ** 0.5)

    images, labels = splits["test"]
    inside = np.flatnonzero(labels < 8)  # All of them, however many.
    np.testing.assert_array_equal(test.ids, inside)
    np.testing.assert_array_equal(test.images, images[inside])
    for found in (test.labels, test.true_labels):
        np.testing.assert_array_equal(found, labels[inside])
    assert benchmark.num_classes == 8
    assert benchmark.class_names == tuple(NAMES[:8])


def test_cifar8n_os_arguments(contents, tmp_path):
    """`train_size` keeps the head of the subset and its labels; errors name it."""
    folder = str(write(tmp_path / "data", contents))
    whole = cifar8n_o(data_dir=folder)
    head = cifar8n_o(data_dir=folder, train_size=60)
    for name in ("images", "labels", "true_labels", "ids"):
        whole_part, part = (getattr(each.train, name) for each in (whole, head))
        np.testing.assert_array_equal(part, whole_part[:60])
    assert head.noise_checksum == whole.noise_checksum
    assert whole.noise_checksum != cifar8n_o(data_dir=folder, seed=1).noise_checksum
    count = len(whole.train)
    with pytest.raises(ValueError, match=rf"images, {count}\. Received: train_size="):
        cifar8n_o(data_dir=folder, train_size=count + 1)
    with pytest.raises(ValueError, match=r"num_classes=8, not a multiple of 5"):
        cifar8n_o(data_dir=folder, noise="blockflip")


def test_cifar80n_o_reads_the_release_too(splits, contents, tmp_path):
    """All rows; class 99 is out of distribution, 8 to 10 are not."""
    folder = str(write(tmp_path / "data", contents))
    train = cifar80n_o(data_dir=folder).train
    labels = splits["train"][1]
    np.testing.assert_array_equal(train.true_labels, np.where(labels < 80, labels, -1))
    np.testing.assert_array_equal(train.images, splits["train"][0])
