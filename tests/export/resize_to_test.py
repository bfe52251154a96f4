"""`Serving.resize_to`: resized, then cropped in the middle, as evaluation does."""

import itertools
import json
import types

import keras
import numpy as np
import pytest
from keras import layers

from josrc_keras import data, views
from josrc_keras.export import Serving, export_classifier, proof, read_metadata
from tests.support.artefacts import logits_of, percent, serve
from tests.support.exports import (
    NAMES,
    bilinear,
    client,
    every_format,
    middle,
    quick_proof,
)
from tests.support.forks import error_line

SEEN = 12  # Pixels of each side that the networks see.
STORED = 17  # Those of the stored images: the margins are 2 and 3.
SERVINGS = {
    "crop": Serving(resize="crop", resize_to=(STORED, STORED)),
    "stretch": Serving("uint8", resize="stretch", resize_to=(16, SEEN)),
}
SIZES = {"stored": (STORED, STORED), "large": (48, 40), "wide": (10, 31)}
FRESH = ("onnx", "saved_model")  # Served by a process of their own.


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    conv = layers.Conv2D(4, 3, strides=2, activation="relu")
    parts = [layers.Rescaling(1 / 255), conv, layers.Flatten(), layers.Dense(5)]
    return keras.Sequential([keras.Input((SEEN, SEEN, 3)), *parts])


@pytest.fixture(scope="module")
def batches():
    """Smooth images of whole pixels, of each of the sizes."""
    coarse = np.random.default_rng(4).uniform(0, 255, (3, 4, 5, 3))
    return {name: np.round(bilinear(coarse, size)) for name, size in SIZES.items()}


@pytest.fixture(scope="module")
def served(network, batches, tmp_path_factory):
    """`(format, serving)` to the path, and to the logits for each of the batches."""
    found = {}
    for format, name in itertools.product(NAMES, SERVINGS):
        path = tmp_path_factory.mktemp(f"{format}-{name}") / NAMES[format]
        with quick_proof():
            export_classifier(network, path, format, serving=SERVINGS[name])
        images = {n: b.astype(SERVINGS[name].dtype) for n, b in batches.items()}
        if format in FRESH:
            outputs = proof.served_outputs(format, path, images)
        else:
            predict = client(format, path)
            outputs = {n: predict(batch) for n, batch in images.items()}
        found[format, name] = path, {n: o["logits"] for n, o in outputs.items()}
    return found


def check_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-5)


@every_format
def test_stored_images_are_seen_as_in_evaluation(network, batches, served, format):
    """Nothing is resized: their middle, as `CropAndFlip` takes it, odd margins too."""
    images = batches["stored"].astype("float32")
    seen = views.crop_and_flip(0, size=SEEN)(images, training=False)
    np.testing.assert_array_equal(seen, images[:, 2:-3, 2:-3])
    _, logits = served[format, "crop"]
    check_close(logits["stored"], logits_of(network, seen))
    direct = logits_of(network, bilinear(images, (SEEN, SEEN)))
    assert np.abs(logits["stored"] - direct).max() > 0.01


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SERVINGS)
@every_format
def test_any_size(network, batches, served, format, name, size):
    """Against NumPy: cropped to the proportions or not, resized, and cut."""
    images, serving = batches[size], SERVINGS[name]
    if name == "crop":
        images = middle(images, serving.resize_to)
        seen = bilinear(images, serving.resize_to)[:, 2:-3, 2:-3]
    else:
        seen = bilinear(images, serving.resize_to)[:, 2:-2]
    _, logits = served[format, name]
    check_close(logits[size], logits_of(network, seen))


def test_keras_layers_do_the_same(network, batches, served):
    resize = layers.Resizing(STORED, STORED, crop_to_aspect_ratio=True)
    seen = resize(batches["large"].astype("float32"))[:, 2:-3, 2:-3]
    _, logits = served["onnx", "crop"]
    check_close(logits["large"], logits_of(network, seen))


@every_format
def test_it_says_so(served, format):
    found = read_metadata(served[format, "crop"][0])["input"]
    assert found["shape"] == [None, None, None, 3]
    assert (found["resize"], found["resize_to"]) == ("crop", [STORED, STORED])
    assert found["seen_by_network"] == [SEEN, SEEN, 3]


def test_another_crop_is_no_proof(network, monkeypatch, tmp_path):
    """An artefact that resizes to what the network sees is not kept."""
    resizing = Serving.resizing
    counted = []

    def first_otherwise(serving):
        counted.append(serving)
        if len(counted) == 1:  # That of what is expected; the writer's come later.
            return [layers.Resizing(SEEN, SEEN, crop_to_aspect_ratio=True)]
        return resizing(serving)

    monkeypatch.setattr(Serving, "resizing", first_otherwise)
    images = np.random.default_rng(0).uniform(0, 255, (3, 20, 20, 3))
    with quick_proof(), pytest.raises(proof.ExportError, match="something else"):
        export_classifier(
            network, tmp_path / "m.onnx", serving=SERVINGS["crop"], images=images
        )
    assert list(tmp_path.iterdir()) == []


def photos(count, seed):
    """Two kinds, dark and light in the middle, with an edge of any brightness.

    Some are hard to tell; what is seen of the edge matters.
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    edge = random.uniform(0, 255, (count, 1, 1, 1))
    level = random.normal(np.where(labels == 1, 145, 110), 25)[:, None, None, None]
    images = np.broadcast_to(edge, (count, STORED, STORED, 3)).copy()
    images[:, 2:-3, 2:-3] = random.normal(level, 20, (count, SEEN, SEEN, 3))
    images = np.clip(images, 0, 255).astype("uint8")
    return data.Split(images, labels, labels.copy(), np.arange(count))


@pytest.fixture(scope="module")
def run(shell):
    """A finished run that trained on crops of 12 of 17 pixels, streamed."""
    pytest.importorskip("tensorflow")
    benchmark = data.Benchmark(
        photos(160, 0), photos(61, 1), class_names=("dark", "light"), noise_checksum=""
    )
    data.records.write(benchmark, shell.folder / "records")
    done = shell(
        "train",
        "--config=digits8n_o",
        "--config.data.name=records",
        f"--config.data.dir={shell.folder / 'records'}",
        f"--config.augmentation.size={SEEN}",
        "--config.augmentation.padding=0",
        "--config.method=standard",
        "--config.epochs=8",
        "--config.learning_rate_decay.start_epoch=6",
        "--config.batch_size=16",
        "--progress=none",
        "--workdir=crops",
    )
    assert done.status == 0, done.err
    done = shell("evaluate", "--workdir=crops")
    assert done.status == 0, done.err
    return types.SimpleNamespace(
        folder=shell.folder / "crops",
        test=benchmark.test,
        train=benchmark.train,
        evaluation=json.loads(done.out),
    )


def export(shell, run, *arguments):
    """Exports the student; returns the report, and its metadata."""
    arguments = ["--format=onnx", "--source=student", "--overwrite", *arguments]
    done = shell("export", f"--run={run.folder}", *arguments)
    assert done.status == 0, done.err
    folder = run.folder / "export"
    report = json.loads((folder / "exports.json").read_text())["model.onnx"]
    return report, read_metadata(folder / "model.onnx"), folder


def test_a_run_on_crops_is_served_as_it_was_evaluated(shell, run):
    """Stored images in, the evaluation's accuracy out; another size is not that."""
    report, found, folder = export(shell, run, "--resize=crop", "--input=uint8")
    assert found["input"]["resize_to"] == [STORED, STORED]
    assert found["input"]["seen_by_network"] == [SEEN, SEEN, 3]
    logits = serve(folder / "model.onnx", run.test.images)["logits"]
    student = keras.saving.load_model(run.folder / "model.keras").student
    check_close(logits, logits_of(student, run.test.images[:, 2:-3, 2:-3]))
    right = logits.argmax(axis=1) == run.test.labels
    assert right.mean() == pytest.approx(run.evaluation["accuracy"])
    assert 0.6 < right.mean() < 0.95  # Neither guessed nor always right.
    assert report["test"]["accuracy"] == pytest.approx(right[1::2].mean())
    text = f"resized inside to {STORED}x{STORED}, of which the network sees the middle"
    assert f"{text} {SEEN}x{SEEN}." in (folder / "README.md").read_text()

    report, found, folder = export(shell, run, "--resize=crop", f"--resize_to={SEEN}")
    assert found["input"]["resize_to"] == [SEEN, SEEN]
    images = run.test.images.astype("float32")
    other = serve(folder / "model.onnx", images)["logits"]
    assert (other.argmax(axis=1) != logits.argmax(axis=1)).any()
    others = other.argmax(axis=1) == run.test.labels
    assert report["test"]["accuracy"] == pytest.approx(others[1::2].mean())


def test_a_run_on_crops_without_resizing(shell, run):
    """It takes what the network sees; accuracies are those of the images' middle."""
    report, found, folder = export(shell, run, "--new_statistics")
    assert found["input"]["shape"] == [None, SEEN, SEEN, 3]
    assert found["input"]["resize_to"] is None
    seen = run.test.images[:, 2:-3, 2:-3].astype("float32")
    logits = serve(folder / "model.onnx", seen)["logits"]
    right = logits.argmax(axis=1) == run.test.labels
    assert report["test"]["accuracy"] == pytest.approx(right[1::2].mean())
    assert report["validation"]["accuracy"]["student"] == right[::2].mean()
    assert report["images"] == 1 + 2 + 33 + 1 + 1 + 5 + 30
    assert percent(report["test"]["accuracy"]) in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--resize_to=17"], "Received: resize_to=(17, 17) with resize=None. Choose"),
        (["--resize=crop", "--resize_to=11"], "of at least (12, 12), the size that"),
    ],
)
def test_what_is_refused(shell, run, flags, text):
    done = shell("export", f"--run={run.folder}", "--format=keras", *flags)
    assert (done.status, done.out) == (2, "")
    assert text in error_line(done.err)
