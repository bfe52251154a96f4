"""TFRecord files: what is written is what is read, and what is streamed."""

import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from josrc_keras import data
from josrc_keras.data import batches, records
from josrc_keras.runs import train as experiment

COUNT, CLASSES, BATCH = 70, 3, 8


def split(count, channels=3, seed=0):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 6, 5, channels), dtype="uint8")
    labels = random.integers(0, CLASSES, count)
    truth = random.integers(-1, CLASSES, count)
    return data.Split(images, labels, truth, np.arange(count) * 3)


def make(count=COUNT, channels=3):
    return data.Benchmark(
        split(count, channels), split(13, channels, seed=1), ("a", "b", "c"), "sum"
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """`(benchmark, what was read of it)`, in files of 16 images."""
    folder = tmp_path_factory.mktemp("records") / "set"
    benchmark = make()
    records.write(benchmark, folder, images_per_file=16)
    return benchmark, records.read(folder)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_is_read_is_what_was_written(tmp_path, channels):
    benchmark = make(channels=channels)
    records.write(benchmark, tmp_path / "set", images_per_file=16)
    found = records.read(tmp_path / "set")
    for name in ("train", "test"):
        ours, theirs = getattr(benchmark, name), getattr(found, name)
        assert theirs.images.shape == ours.images.shape
        for field in dataclasses.fields(ours):
            np.testing.assert_array_equal(
                np.asarray(getattr(theirs, field.name)), getattr(ours, field.name)
            )
    assert found.class_names == ("a", "b", "c")
    assert found.noise_checksum == "sum"
    names = sorted(path.name for path in (tmp_path / "set").glob("train-*"))
    assert names == [f"train-{n:05d}-of-00005.tfrecord" for n in range(5)]


def epochs(split, seed, count, initial_epoch=0):
    """The images and labels of some epochs, and the rows that they are."""
    steps = len(split) // BATCH
    stream = batches.train_batches(
        split, batch_size=BATCH, seed=seed, initial_epoch=initial_epoch
    )
    for _ in range(count):
        taken = list(itertools.islice(iter(stream), steps * (count)))
    found = []
    for start in range(0, count * steps, steps):
        part = taken[start : start + steps]
        images = np.concatenate([image.numpy() for image, _ in part])
        truth = {
            name: np.concatenate([labels[name].numpy() for _, labels in part])
            for name in ("label", "true_label", "index")
        }
        found.append((images, truth))
    return found


def rows_of(images, split):
    """Which rows of a split in memory the images are."""
    known = {image.tobytes(): row for row, image in enumerate(split.images)}
    return [known[image.tobytes()] for image in images]


def test_an_epoch_has_every_image_once_with_its_labels(stored):
    benchmark, found = stored
    orders = []
    for images, truth in epochs(found.train, seed=5, count=2):
        rows = rows_of(images, benchmark.train)
        assert len(set(rows)) == len(rows) == COUNT // BATCH * BATCH
        np.testing.assert_array_equal(truth["label"], benchmark.train.labels[rows])
        np.testing.assert_array_equal(
            truth["true_label"], benchmark.train.true_labels[rows]
        )
        np.testing.assert_array_equal(truth["index"], rows)
        orders.append(rows)
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])
    # Across files, too: a file has 16 images.
    assert len({row // 16 for row in orders[0][:16]}) > 2


def test_the_order_is_a_function_of_seed_and_epoch(stored):
    """So that a run that resumes sees what an uninterrupted one would have seen."""
    benchmark, found = stored
    whole = [rows_of(x, benchmark.train) for x, _ in epochs(found.train, 5, 3)]
    (resumed, _), *_ = epochs(found.train, 5, 1, initial_epoch=2)
    assert rows_of(resumed, benchmark.train) == whole[2]
    (other, _), *_ = epochs(found.train, 6, 1)
    assert rows_of(other, benchmark.train) != whole[0]


def test_the_order_does_not_follow_the_global_seed(stored):
    import tensorflow as tf

    benchmark, found = stored
    orders = []
    for seed in (0, 3):
        tf.random.set_seed(seed)
        (images, _), *_ = epochs(found.train, 5, 1)
        orders.append(rows_of(images, benchmark.train))
        drawn = tf.random.uniform(()).numpy()
        tf.random.set_seed(seed)
        assert tf.random.uniform(()).numpy() == drawn  # Which it leaves alone.
    assert orders[0] == orders[1]


def test_a_buffer_that_does_not_hold_all(stored, monkeypatch):
    """Nothing is lost, and there is another order."""
    from josrc_keras.data.batches import streamed

    monkeypatch.setattr(streamed, "BUFFER", 20)
    benchmark, found = stored
    (images, _), *_ = epochs(found.train, 0, 1)
    rows = rows_of(images, benchmark.train)
    assert len(set(rows)) == COUNT // BATCH * BATCH


@pytest.mark.parametrize("size", [5, 13, 100])
def test_evaluation_is_in_order(stored, size):
    benchmark, found = stored
    parts = list(batches.evaluation_batches(found.test, batch_size=size))
    images = np.concatenate([image.numpy() for image, _ in parts])
    labels = np.concatenate([label.numpy() for _, label in parts])
    np.testing.assert_array_equal(images, benchmark.test.images)
    np.testing.assert_array_equal(labels, benchmark.test.labels)
    assert len(parts[0][1]) == min(size, 13)


def test_fewer_rows_are_streamed_alone(stored):
    benchmark, found = stored
    held = found.head(50).hold_out(0.2, seed=3)
    ours = benchmark.head(50).hold_out(0.2, seed=3)
    np.testing.assert_array_equal(np.asarray(held.train.images), ours.train.images)
    np.testing.assert_array_equal(
        np.asarray(held.validation.images), ours.validation.images
    )
    (images, truth), *_ = epochs(held.train, 0, 1)
    rows = rows_of(images, ours.train)
    np.testing.assert_array_equal(truth["label"], ours.train.labels[rows])


def test_rows_in_another_order_are_refused(stored):
    _, found = stored
    for rows in ([3, 1], [2, 2], slice(None, None, -1)):
        with pytest.raises(ValueError, match="own order only"):
            found.train.images[rows]


def test_a_folder_that_exists_is_kept(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("mine")
    with pytest.raises(ValueError, match="new folder"):
        records.write(make(), tmp_path / "set")
    assert (tmp_path / "set" / "mine").read_text() == "mine"


def test_other_images_are_refused_and_nothing_is_left(tmp_path):
    benchmark = make()
    wrong = list(benchmark.train.images)
    wrong[40] = wrong[40][:3]
    train = dataclasses.replace(benchmark.train, images=wrong)
    with pytest.raises(ValueError, match=r"row 40 with shape \(3, 5, 3\)"):
        records.write(dataclasses.replace(benchmark, train=train), tmp_path / "set")
    floats = dataclasses.replace(benchmark.train, images=benchmark.train.images / 255)
    with pytest.raises(ValueError, match="float64"):
        records.write(dataclasses.replace(benchmark, train=floats), tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def damaged(folder, how):
    file = next(folder.glob("train-*"))
    if how == "cut off":
        file.write_bytes(file.read_bytes()[:-10])
    elif how == "a file is missing":
        file.unlink()
    elif how == "no index":
        (folder / records.INDEX).unlink()
    elif how == "index is no index":
        (folder / records.INDEX).write_text("[]")
    elif how == "no labels":
        (folder / records.LABELS).write_bytes(b"")


@pytest.mark.parametrize(
    "how",
    ["cut off", "a file is missing", "no index", "index is no index", "no labels"],
)
def test_an_incomplete_folder_is_refused(tmp_path, how):
    records.write(make(20), tmp_path / "set", images_per_file=16)
    damaged(tmp_path / "set", how)
    with pytest.raises(OSError, match=r"josrc-records.*Received: .*set; .+\. Copy it"):
        records.read(tmp_path / "set")


def test_a_run_streams_resumes_and_learns(tmp_path, quick_config, equal_arrays):
    """Killed after its second epoch, it ends as an uninterrupted one."""
    import keras

    benchmark = experiment.make_benchmark(quick_config())
    records.write(benchmark, tmp_path / "set", images_per_file=32)
    fields = {"data.name": "records", "data.dir": str(tmp_path / "set")}
    config = quick_config(**fields)

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    whole = experiment.train(config, tmp_path / "whole", verbose=0)
    with pytest.raises(KeyboardInterrupt):
        experiment.train(config, tmp_path / "run", verbose=0, callbacks=[Stop()])
    experiment.train(config, tmp_path / "run", verbose=0)
    ours, theirs = (tmp_path / "whole", tmp_path / "run")
    assert (ours / "history.csv").read_text() == (theirs / "history.csv").read_text()
    equal_arrays(
        *(
            keras.saving.load_model(run / "model.keras").get_weights()
            for run in (ours, theirs)
        )
    )
    assert whole["noise_checksum"] == benchmark.noise_checksum
    assert whole["train_images"] == 128


def test_a_folder_must_be_given(quick_config):
    with pytest.raises(ValueError, match="dir=None"):
        experiment.make_benchmark(quick_config(**{"data.name": "records"}))


MEMORY = """
import sys
import numpy as np
from josrc_keras import data
from josrc_keras.data import batches, records
from josrc_keras.data.batches import streamed as streaming

streaming.BUFFER = 512  # Some of them are in memory at a time.

def resident():
    with open("/proc/self/status") as status:
        lines = dict(line.split(":") for line in status)
    return int(lines["VmRSS"].split()[0]) / 1024

class Noise:
    "Random images, made when they are asked for."
    def __init__(self, count):
        self.count = count
    def __len__(self):
        return self.count
    def __getitem__(self, row):
        return np.random.default_rng(row).integers(0, 256, (32, 32, 3), dtype="uint8")

def split(count):
    labels = np.arange(count) % 10
    return data.Split(Noise(count), labels, labels, labels)

folder, count = sys.argv[1], int(sys.argv[2])
benchmark = data.Benchmark(split(count), split(10), tuple("abcdefghij"), "")
records.write(benchmark, folder, images_per_file=1000)
train = records.read(folder).train
stream = iter(batches.train_batches(train, batch_size=50, seed=0))
for step in range(280):  # Equally many: memory settles with the steps.
    next(stream)
print(resident())
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's proc")
def test_memory_grows_by_an_index_only(tmp_path):
    """Written, read and streamed: 10,000 images more are 31 MB, and not in memory.

    A sample costs five integers in NumPy and three of them twice in TensorFlow: 88
    bytes.
    """
    found = []
    for count in (4_000, 14_000):
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(tmp_path / str(count)), str(count)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[3],
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(float(done.stdout.split()[-1]))
    assert found[1] - found[0] < 12, found
