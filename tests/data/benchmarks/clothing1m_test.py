"""Clothing1M, built from a tiny one with all the faults of the real one."""

import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from josrc_keras.data.benchmarks import encoded, manual_files
from josrc_keras.data.benchmarks.clothing1m import Clothing1m
from tests.support import manual_data

SKIPPED = {2, 3, 4, 5, 9}
LISTS = [
    "clean_label_kv.txt",
    "clean_test_key_list.txt",
    "clean_train_key_list.txt",
    "clean_val_key_list.txt",
    "noisy_label_kv.txt",
    "noisy_train_key_list.txt",
]


class Clothing1mTest(tfds.testing.DatasetBuilderTestCase):
    """What TFDS asks of every dataset."""

    DATASET_CLASS = Clothing1m
    SPLITS = {"train": 15, "clean_train": 6, "validation": 3, "test": 4}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        manual_data.clothing1m(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.fixture(scope="module")
def manual(tmp_path_factory):
    return manual_data.clothing1m(tmp_path_factory.mktemp("manual"))


@pytest.fixture(scope="module")
def data_dir(manual, tmp_path_factory):
    """Where it was built."""
    folder = tmp_path_factory.mktemp("data")
    encoded.clothing1m(data_dir=folder, manual_dir=manual)
    return folder


@pytest.fixture
def copied(manual, tmp_path):
    """A copy of the download to break, and a new folder to build in."""
    shutil.copytree(manual, tmp_path / "manual")
    return {"manual_dir": tmp_path / "manual", "data_dir": tmp_path / "data"}


def examples(benchmark, split, **options):
    """The number and the example of each image, in the order of reading."""
    found = [
        (int(each["id"].split(b"/")[-1].split(b",")[0]), each)
        for each in tfds.as_numpy(benchmark.read(split, **options))
    ]
    return dict(found)


def test_labels_and_bytes(data_dir, manual):
    """Noisy labels to train on, clean ones else; JPEGs as they were, byte for byte."""
    benchmark = encoded.clothing1m(data_dir=data_dir)  # Without the download.
    train = examples(benchmark, "train")
    assert set(train) == set(range(20)) - SKIPPED
    for number, each in train.items():
        labels = each["label"], each["noisy_label"], each["clean_label"]
        assert labels == (number % 14, number % 14, -1)
        path = manual_data.clothing_key(number)
        assert each["id"].decode() == path
        if number not in (6, 7):
            assert each["image"] == (manual / "clothing1M" / path).read_bytes()
    for number, each in examples(benchmark, "clean_train").items():
        clean, noisy = (number + 1) % 14, -1 if number % 2 else number % 14
        expected = clean if number % 2 else noisy
        labels = each["label"], each["noisy_label"], each["clean_label"]
        assert labels == (expected, noisy, clean)
    for split, numbers in (("validation", range(26, 29)), ("test", range(29, 33))):
        found = examples(benchmark, split)
        assert set(found) == set(numbers)
        for number, each in found.items():
            assert each["label"] == each["clean_label"] == (number + 1) % 14


def test_what_is_no_jpeg_is_one_afterwards(data_dir):
    """A PNG and a GIF named .jpg: all that is left decodes, to the same greys."""
    for number, each in examples(
        encoded.clothing1m(data_dir=data_dir), "train"
    ).items():
        assert each["image"].startswith(b"\xff\xd8")
        pixels = tf.io.decode_jpeg(each["image"], channels=3).numpy()
        assert pixels.shape == (16, 20, 3)
        np.testing.assert_allclose(pixels, 5 * number, atol=2)


def test_summary_survives_a_reload(data_dir):
    benchmark = encoded.clothing1m(data_dir=data_dir)
    summary = benchmark.summary
    assert summary["listed"] == {
        "train": 21,
        "clean_train": 6,
        "validation": 3,
        "test": 4,
    }
    nothing = {"clean_train": 0, "validation": 0, "test": 0}
    assert summary["skipped"] == {"train": 5} | nothing
    assert summary["transcoded"] == {"train": 2} | nothing
    assert summary["repeated"] == {"train": 1} | nothing
    assert summary["two_labels"] == {
        "train": 0,
        "clean_train": 3,
        "validation": 2,
        "test": 2,
    }
    reasons = {path: reason for _, path, reason in summary["skipped_images"]}
    assert set(reasons) == {manual_data.clothing_key(number) for number in SKIPPED}
    key = manual_data.clothing_key
    assert "truncated" in reasons[key(2)].lower()
    assert reasons[key(4)].startswith("is no image of a known format (JPEG, PNG")
    assert reasons[key(5)] == "No such file or directory"
    assert reasons[key(9)] == "has no label"
    assert sorted(summary["transcoded_images"]) == [
        ["train", key(6), "is a PNG"],
        ["train", key(7), "is a GIF"],
    ]
    assert benchmark.class_names == tuple(f"Cloth {n}" for n in range(14))
    assert benchmark.num_classes == 14


def test_use_clean_train(data_dir):
    without = encoded.clothing1m(data_dir=data_dir)
    assert (without.train, without.size(without.train)) == ("train", 15)
    joined = encoded.clothing1m(data_dir=data_dir, use_clean_train=True)
    assert joined.size(joined.train) == 21
    both = examples(joined, joined.train)
    expected = examples(joined, "train") | examples(joined, "clean_train")
    assert set(both) == set(expected) and len(both) == 21
    assert (joined.validation, joined.test) == ("validation", "test")


def test_order_of_reading(data_dir):
    """The same one each time; with a seed the files in another order each epoch."""
    benchmark = encoded.clothing1m(data_dir=data_dir, use_clean_train=True)
    first = list(examples(benchmark, benchmark.train))
    assert list(examples(benchmark, benchmark.train)) == first
    dataset = benchmark.read(benchmark.train, seed=3)
    again = benchmark.read(benchmark.train, seed=3)
    epochs = [[each["id"] for each in tfds.as_numpy(dataset)] for _ in range(8)]
    assert [[each["id"] for each in tfds.as_numpy(again)] for _ in range(8)] == epochs
    assert len({tuple(epoch) for epoch in epochs}) == 2  # Of two files, one a split.


@pytest.mark.parametrize("name", LISTS)
def test_a_missing_list_is_named_and_the_build_runs_again(copied, name):
    path = copied["manual_dir"] / "clothing1M" / name
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(OSError, match="Clothing1m can't be read") as caught:
        encoded.clothing1m(**copied)
    text = str(caught.value)
    assert f"Expected the text file {path}. Received: No such file" in text
    assert "Ask the authors for the download link" in text
    path.write_bytes(content)
    assert encoded.clothing1m(**copied).size("train") == 15


def test_a_wrong_folder(copied, tmp_path):
    """Not there, empty, of something else, without images."""
    for folder in (tmp_path / "absent", tmp_path / "empty", tmp_path / "other"):
        if folder.name != "absent":
            folder.mkdir()
        if folder.name == "other":
            (folder / "photo.jpg").write_bytes(b"")
        with pytest.raises(OSError, match=str(folder)) as caught:
            encoded.clothing1m(data_dir=tmp_path / "data", manual_dir=folder)
        text = str(caught.value)
        assert text.count("clothing1M/noisy_train_key_list.txt") == 1
        expected = f"Expected category_names_eng.txt in {folder}, or in its annotations"
        assert (expected in text) == (folder.name == "other")
    images = copied["manual_dir"] / "clothing1M" / "images"
    shutil.rmtree(images)
    with pytest.raises(OSError, match=f"Expected Clothing1M's images in {images}"):
        encoded.clothing1m(**copied)


def test_the_annotations_may_have_a_folder(copied):
    """As the published code expects them; and the folder itself may be passed."""
    folder = copied["manual_dir"] / "clothing1M"
    (folder / "annotations").mkdir()
    for path in folder.glob("*.txt"):
        path.rename(folder / "annotations" / path.name)
    found = encoded.clothing1m(data_dir=copied["data_dir"], manual_dir=folder)
    assert found.size("train") == 15


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("clean_label_kv.txt", "images/1/2.jpg 14", "a number from 0 to 13 in"),
        ("noisy_label_kv.txt", "images/1/2.jpg", "Received: 'images/1/2.jpg'"),
        ("category_names_eng.txt", "Hat", "Received: 15 lines, 15 different ones"),
    ],
)
def test_broken_annotations(copied, name, line, message):
    with open(copied["manual_dir"] / "clothing1M" / name, "a") as file:
        file.write(f"{line}\n")
    with pytest.raises(OSError, match=message):
        encoded.clothing1m(**copied)


def test_images_that_are_not_unpacked(copied):
    """Eleven of the training images are missing: not all that many are, normally."""
    for number in range(10, 20):
        path = copied["manual_dir"] / "clothing1M" / manual_data.clothing_key(number)
        path.unlink()
    message = "at most 10% of the 21 images of train .*Received: 11 already, the last"
    with pytest.raises(OSError, match=message):
        encoded.clothing1m(**copied)
    assert not list(copied["data_dir"].glob("clothing1m/*"))


def test_an_interrupted_build_runs_again(copied, monkeypatch, caplog):
    """Ctrl-C leaves nothing; what a killed build leaves is named."""
    read = manual_files.Images.read

    def interrupted(self, split, key, path):
        if split == "test":
            raise KeyboardInterrupt
        return read(self, split, key, path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(manual_files.Images, "read", interrupted)
        encoded.clothing1m(**copied)
    assert not list(copied["data_dir"].glob("clothing1m/*"))
    left = copied["data_dir"] / "clothing1m" / "incomplete.ABCDEF_1.0.0"
    left.mkdir(parents=True)
    benchmark = encoded.clothing1m(**copied)
    assert benchmark.size("test") == 4
    assert benchmark.summary["skipped"]["train"] == 5
    assert str(left) in caplog.text


def test_a_file_that_was_deleted(copied):
    benchmark = encoded.clothing1m(**copied)
    folder = Path(benchmark.builder.data_dir)
    next(folder.glob("*train.tfrecord*")).unlink()
    with pytest.raises(OSError, match=r"Received: no clothing1m-.*train\.tfrecord"):
        encoded.clothing1m(**copied)


def test_what_the_check_of_an_image_finds():
    """Cut off at any place, as TensorFlow's decoder has it; not what it gets over."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 24, 3), "uint8")
    for options in ({}, {"progressive": True}):
        buffer = io.BytesIO()
        picture = Image.fromarray(noise).resize((96, 128))
        picture.save(buffer, "JPEG", **options)
        whole = buffer.getvalue()
        assert manual_files.decode(whole) == "JPEG"
        assert manual_files.decode(whole + b"\0" * 9) == "JPEG"
        for cut in (1, 2, 30, len(whole) // 2, len(whole) - 20):
            with pytest.raises((OSError, SyntaxError)):
                manual_files.decode(whole[:-cut])
            with pytest.raises(tf.errors.InvalidArgumentError):
                tf.io.decode_jpeg(whole[:-cut])


def test_transparency_becomes_white():
    buffer = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(buffer, "PNG")
    pixels = tf.io.decode_jpeg(manual_files.transcode(buffer.getvalue()), channels=3)
    assert pixels.numpy().min() == 255


def test_several_jpegs_in_one_file_stay_as_they_are(tmp_path):
    """What some cameras write, and Pillow calls MPO: TensorFlow reads the first."""
    path = tmp_path / "1.jpg"
    picture = Image.new("RGB", (16, 8), "red")
    picture.save(path, "MPO", save_all=True, append_images=[picture.copy()])
    images = manual_files.Images({})
    images.begin("train", ["1.jpg"], 1)
    content = images.read("train", "1.jpg", path)
    assert content == path.read_bytes()
    assert tf.io.decode_jpeg(content).shape == (8, 16, 3)
