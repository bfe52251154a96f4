"""Encoded images become records: what is kept, what is skipped, what is refused."""

import json

import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import _files, data
from josrc_keras.data import records
from josrc_keras.data.photos import decoding
from josrc_keras.data.records import writing
from josrc_keras.runs import train as experiment
from tests.support import photos

NAMES = ("cat", "dog", "eel")


def smooth(seed, size=48):
    """An image that compresses as a photo does: few bends, all channels related."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (1, 4, 4, 3)).astype("float32")
    image = tf.image.resize(coarse, (size, size), "bicubic")[0]
    return np.clip(image, 0, 255).astype("uint8")


def jpeg(seed):
    return tf.io.encode_jpeg(smooth(seed), quality=95).numpy()


def examples(count, **more):
    return [
        {"image": jpeg(n), "label": n % 3, "id": f"{n}.jpg", **more}
        for n in range(count)
    ]


def write(folder, train, test=None, **options):
    options = {"class_names": NAMES, "image_size": 32, **options}
    test = examples(3, true_label=0) if test is None else test
    records.write_files({"train": train, "test": test}, folder / "set", **options)
    return records.read(folder / "set")


def test_jpegs_are_close_and_smaller(tmp_path):
    """Quality 95: off by 1.5 grey levels in the mean; by 16, 1 of 16, at most."""
    images = np.stack([smooth(n) for n in range(20)])
    labels = np.arange(20) % 3
    split = data.Split(images, labels, labels, labels)
    sizes = []
    for encoding in ("png", "jpeg"):
        folder = tmp_path / encoding
        benchmark = data.Benchmark(split, split.head(2), NAMES, "", split.head(3))
        records.write(benchmark, folder, encoding=encoding)
        found = records.read(folder)
        assert found.train.images.encoding == encoding
        assert len(found.validation) == 3
        error = np.abs(np.asarray(found.train.images).astype(int) - images)
        assert error.max() <= (16 if encoding == "jpeg" else 0)
        assert error.mean() < 1.5
        sizes.append(sum(path.stat().st_size for path in folder.glob("train*")))
    assert sizes[1] < sizes[0] / 2


def test_verification_labels_are_kept(tmp_path):
    """Of the images that can be decoded; a split without any has none."""
    train = examples(4)
    train[0]["verified"], train[2]["verified"] = 1, 0
    train[1] |= {"image": b"broken", "verified": 1}
    found = write(tmp_path, train)
    assert found.train.verified.tolist() == [1, 0, -1]
    assert found.train.head(2).verified.tolist() == [1, 0]
    assert found.test.verified is None
    with pytest.raises(ValueError, match=r"'3.jpg' with verified=2"):
        write(tmp_path / "other", [*train[:3], train[3] | {"verified": 2}])


def test_a_stored_jpeg_is_decoded_as_pillow_decodes(tmp_path):
    """No fast, inexact method: that is off by up to 8."""
    found = write(tmp_path, examples(6))
    (path,) = found.train.images.paths
    for number, record in enumerate(tf.data.TFRecordDataset(path)):
        content = tf.io.parse_single_example(
            record, {"image": tf.io.FixedLenFeature([], "string")}
        )["image"].numpy()
        (tmp_path / "one.jpg").write_bytes(content)
        expected = decoding.decode(tmp_path / "one.jpg", 32).astype(int)
        ours = np.asarray(found.train.images)[number]
        assert np.abs(ours - expected).max() <= 1


def test_a_folder_of_before_encodings_is_png(tmp_path):
    found = write(tmp_path, examples(4), encoding="png")
    path = tmp_path / "set" / records.INDEX
    index = json.loads(path.read_text())
    del index["encoding"], index["skipped"]
    path.write_text(json.dumps(index))
    again = records.read(tmp_path / "set")
    np.testing.assert_array_equal(
        np.asarray(again.train.images), np.asarray(found.train.images)
    )
    path.write_text(json.dumps(index | {"encoding": "webp"}))
    with pytest.raises(OSError, match="stored as 'webp'"):
        records.read(tmp_path / "set")


def test_bytes_paths_and_datasets_are_the_same(tmp_path):
    """A `tf.data.Dataset` as TFDS gives it, with keys that nobody asked for."""
    given = examples(7)
    paths = []
    for each in given:
        path = tmp_path / each["id"]
        path.write_bytes(each["image"])
        paths.append(each | {"image": path})
    columns = {name: [each[name] for each in given] for name in given[0]}
    dataset = tf.data.Dataset.from_tensor_slices(columns | {"other": [0] * 7})
    for number, source in enumerate((given, paths, iter(given), dataset)):
        found = write(tmp_path / str(number), source, encoding="png")
        for image, each in zip(np.asarray(found.train.images), paths, strict=True):
            np.testing.assert_array_equal(image, decoding.decode(each["image"], 32))
        assert found.train.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
        assert found.train.ids.tolist() == [each["id"] for each in given]
        assert found.train.true_labels is None
        assert found.test.true_labels.tolist() == [0, 0, 0]
        assert found.class_names == NAMES
        assert found.noise_checksum == data.noise.checksum(found.train.labels)


def faulty(folder, count):
    """Photos of which 1% is cut off, 1% no image, and 1% another format: their ids."""
    given, broken = [], []
    for number in range(count):
        path = folder / f"{number:04d}.jpg"
        photos.save(path.with_suffix(".png"), number % 256)
        content = jpeg(number) if number % 7 == 0 else jpeg(number % 7)
        if number % 100 == 13:
            content = content[: len(content) // 2]
        elif number % 100 == 57:
            content = b"<html>gone</html>"
        elif number % 100 == 58:
            content = path.with_suffix(".png").read_bytes()  # Fine, but for its name.
        path.write_bytes(content)
        if number % 100 in (13, 57):
            broken.append(path.name)
        given.append({"image": str(path), "label": number % 3, "id": path.name})
    return given, broken


def test_a_faulty_set_trains_through(tmp_path, quick_config):
    given, broken = faulty(tmp_path / "photos", 300)
    found = write(tmp_path, given, images_per_file=32)
    assert len(found.train) == 294
    assert [name for name, _ in found.skipped] == broken
    reasons = dict(found.skipped)
    assert "truncated" in reasons["0013.jpg"]
    assert "no image of a known format" in reasons["0057.jpg"]
    fields = {"data.name": "records", "data.dir": str(tmp_path / "set"), "epochs": 1}
    config = quick_config(**fields, **{"data.train_size": None})
    summary = experiment.train(config, tmp_path / "run", verbose=0)
    assert summary["train_images"] == 294


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 3}, "'5.jpg' with label=3"),
        ({"label": -1}, "'5.jpg' with label=-1"),
        ({"true_label": 0}, "'5.jpg' with true_label=0, unlike"),
        ({"image": 7}, "'5.jpg' with an image of type int"),
    ],
)
def test_a_wrong_example_is_refused_and_nothing_is_left(tmp_path, change, message):
    given = examples(9)
    given[5] |= change
    with pytest.raises(ValueError, match=message):
        write(tmp_path, given)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_key_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'train', 0 with none of \['id'\]"):
        write(tmp_path, [{"image": jpeg(0), "label": 0}])


@pytest.mark.parametrize("train", [[], [{"image": b"", "label": 0, "id": "a"}]])
def test_a_split_without_an_image_is_refused(tmp_path, train):
    with pytest.raises(ValueError, match=rf"'train'. Received: {len(train)} broken"):
        write(tmp_path, train)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "webp"}, "Expected encoding as one of"),
        ({"quality": 101}, "at most 100. Received: quality=101"),
        ({"images_per_file": 0}, "Received: images_per_file=0"),
    ],
)
def test_an_option_out_of_range_is_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path, examples(1), **options)


def test_splits_have_their_names(tmp_path):
    with pytest.raises(ValueError, match=r"Received: \['dev', 'train'\]"):
        records.write_files({"train": [], "dev": []}, tmp_path / "a", class_names=NAMES)


def test_a_write_that_was_killed_is_done_again(tmp_path, monkeypatch):
    """What it left is removed, and the folder is not there before it is whole."""

    def killed(folder, *_, **__):
        assert not (tmp_path / "set").exists()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(writing, "write_index", killed)
        patched.setattr(_files.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, examples(9))
    assert len(list(tmp_path.iterdir())) == 1  # As after `kill -9`.
    assert len(write(tmp_path, examples(9)).train) == 9
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    with pytest.raises(ValueError, match="which exists"):
        write(tmp_path, examples(9))


def test_nothing_is_left_by_a_kill_after_the_last_rename(tmp_path, monkeypatch):
    """Kind: what lies beside a folder that is whole, when the next write is refused."""
    with monkeypatch.context() as patched:
        patched.setattr(_files.shutil, "rmtree", lambda *_, **__: None)
        write(tmp_path, examples(9))
    assert len(list(tmp_path.iterdir())) == 2  # As after `kill -9`.
    with pytest.raises(ValueError, match="which exists"):
        write(tmp_path, examples(9))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    """Kind: an error of TensorFlow's own, of a disk that takes no more."""

    def refuse(writer, record):
        text = f"{writer.path}; No space left on device"
        raise tf.errors.ResourceExhaustedError(None, None, text)

    class Writer(tf.io.TFRecordWriter):
        def __init__(self, path):
            super().__init__(path)
            self.path = path

    monkeypatch.setattr(Writer, "write", refuse)
    monkeypatch.setattr(tf.io, "TFRecordWriter", Writer)
    with pytest.raises(OSError, match=r"set \(No space left on device\)\. Exp"):
        write(tmp_path, examples(9))
    assert not list(tmp_path.iterdir())
