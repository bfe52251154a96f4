"""`josrc-predict`: new photos to a table of classes, by a run and by exported files."""

import csv
import json
import sys

import keras
import numpy as np
import pytest

from josrc_keras import JoSRC
from josrc_keras.commands import predict
from josrc_keras.data.photos import tables
from josrc_keras.export import Serving, export_classifier
from josrc_keras.prediction import classifiers, listing, writing

pytest.importorskip("PIL", reason="needs josrc-keras[report]")

from PIL import Image

from tests.support.exports import quick_proof

NAMES = ["dark", "grey", "bright"]
CENTRES = np.array([0.0, 128.0, 255.0])
SIZE = 6


def network(channels=3):
    """Logits of a grey value g: -((g - centre) / 40)^2, up to what classes share."""
    inputs = keras.Input((SIZE, SIZE, channels))
    mean = keras.layers.GlobalAveragePooling2D()(inputs)
    outputs = keras.layers.Dense(3)(mean)
    made = keras.Model(inputs, outputs)
    kernel = np.repeat(2 * CENTRES[None] / 40**2 / channels, channels, axis=0)
    made.layers[-1].set_weights([kernel, -((CENTRES / 40) ** 2)])
    return made


def expected(grey):
    """The probabilities, in NumPy."""
    logits = -(((grey - CENTRES) / 40) ** 2)
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def save(path, grey):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 7), (grey,) * 3).save(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Photos, a run folder and three exported files."""
    folder = tmp_path_factory.mktemp("predict")
    greys = {"a.png": 5, "deep/b.png": 120, "deep/er/=c.png": 250, "d.png": 64}
    for name, grey in greys.items():
        save(folder / "photos" / name, grey)
    (folder / "photos/broken.jpg").write_bytes(b"no photo")
    (folder / "photos/.hidden.png").write_bytes(b"")
    (folder / "photos/notes.txt").write_text("none")
    made = network()
    run = folder / "run"
    run.mkdir()
    model = JoSRC(made, 3)
    model(np.zeros((1, SIZE, SIZE, 3), "float32"))
    model.save(run / "model.keras")
    (run / "config.json").write_text(json.dumps({"method": "josrc"}))
    (run / "summary.json").write_text(json.dumps({"class_names": NAMES}))
    serving = Serving(class_names=NAMES)
    with quick_proof():
        for format, name in (("onnx", "m.onnx"), ("saved_model", "m")):
            export_classifier(made, folder / name, format=format, serving=serving)
    return folder, greys


def run_command(capsys, monkeypatch, *arguments):
    """`(exit status, output, errors)` of the command, in this process."""
    from absl import flags

    monkeypatch.setattr(sys, "argv", ["josrc-predict", *map(str, arguments)])
    flags.FLAGS.unparse_flags()
    names = ("run", "model", "photos", "table", "output", "sort_into", "none_below")
    for name in (*names, "top_k"):
        flags.FLAGS[name].unparse()
    status = 0
    try:
        predict.main()
    except SystemExit as stop:
        status = stop.code or 0
    return status, *capsys.readouterr()


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("source", ["run", "m.onnx", "m"])
def test_classes_and_probabilities(source, world, tmp_path):
    """Those of the network in NumPy, from each source."""
    folder, greys = world
    photos = listing.read([folder / "photos"])
    classifier = classifiers.load(folder / source)
    assert classifier.class_names == NAMES and classifier.size == (SIZE, SIZE)
    counts = writing.write(photos, classifier, tmp_path / "out.csv", top_k=2)
    assert counts["photos"] == 5 and counts["broken"] == 1
    rows = {
        tables._files.value_of(row["path"]): row
        for row in rows_of(tmp_path / "out.csv")
    }
    assert set(rows) == {*greys, "broken.jpg"}
    for name, grey in greys.items():
        probs = expected(grey)
        first, second = np.argsort(-probs)[:2]
        assert rows[name]["class"] == NAMES[first]
        assert rows[name]["class_2"] == NAMES[second]
        assert float(rows[name]["probability"]) == pytest.approx(probs[first], abs=1e-4)
        assert float(rows[name]["probability_2"]) == pytest.approx(
            probs[second], abs=1e-4
        )
    assert "no image of a known format" in rows["broken.jpg"]["error"]
    assert rows["broken.jpg"]["class"] == rows["broken.jpg"]["none"] == ""


def test_what_looks_like_no_class(tmp_path):
    """Half of the mean of the largest probabilities, or the probability given."""
    largest = {"a": 0.9, "b": 0.8, "c": 0.36, "d": 0.4}  # Half of the mean: 0.3075.
    for number, name in enumerate(largest):
        save(tmp_path / f"{name}.png", number)
    probs = np.array([[p, (1 - p) / 2, (1 - p) / 2] for p in largest.values()])

    def probabilities(images):
        return probs[images[:, 0, 0, 0]]

    classifier = classifiers.Classifier(
        NAMES, classifiers.decoding.decode, (4, 4), probabilities
    )
    photos = listing.read([tmp_path])
    out = tmp_path / "out.csv"
    assert writing.write(photos, classifier, out)["none"] == 0
    probs[2:] = [[0.34, 0.33, 0.33], [0.25, 0.05, 0.7]]
    probs[:2] = [[1.0, 0, 0], [0.98, 0.02, 0.0]]  # Half of the mean: 0.3775.
    assert writing.write(photos, classifier, out)["none"] == 1
    assert [row["none"] for row in rows_of(out)] == ["0", "0", "1", "0"]
    assert writing.write(photos, classifier, out, none_below=0.8)["none"] == 2
    with pytest.raises(ValueError, match=r"top_k between 1 and 3.*top_k=4"):
        writing.write(photos, classifier, out, top_k=4)


def test_the_command(world, tmp_path, capsys, monkeypatch):
    """A table, photos in folders, and lines that say what came out."""
    folder, greys = world
    status, out, err = run_command(
        capsys,
        monkeypatch,
        f"--run={folder / 'run'}",
        f"--photos={folder / 'photos'}",
        f"--output={tmp_path / 'out.csv'}",
        f"--sort_into={tmp_path / 'sorted'}",
    )
    assert status == 0, err
    assert "5 photos of 3 classes: 0 look like none of them, 1 can't be read." in out
    copied = {
        path.relative_to(tmp_path / "sorted").as_posix()
        for path in (tmp_path / "sorted").rglob("*.png")
    }
    nearest = {n: NAMES[int(np.argmax(expected(g)))] for n, g in greys.items()}
    assert copied == {f"{kind}/{name}" for name, kind in nearest.items()}
    again = run_command(
        capsys,
        monkeypatch,
        f"--run={folder / 'run'}",
        f"--photos={folder / 'photos'}",
        f"--output={tmp_path / 'out.csv'}",
        f"--sort_into={tmp_path / 'sorted'}",
    )
    assert again[0] == 2 and "which has something in it" in again[2]


def test_photos_of_a_table(world, tmp_path):
    """By `path`, or by Hugging Face's `file_name`, relative to the table's folder."""
    folder, _ = world
    table = folder / "photos" / "metadata.csv"
    table.write_text("file_name,note\nd.png,x\ndeep/b.png,y\n")
    assert listing.read([], table) == [
        ("d.png", folder / "photos/d.png"),
        ("deep/b.png", folder / "photos/deep/b.png"),
    ]
    table.write_text("path\nd.png\nlost.png\n")
    with pytest.raises(ValueError, match=r"1 that are not there, such as 'lost\.png'"):
        listing.read([], table)
    table.unlink()
    with pytest.raises(OSError, match="which is not there"):
        listing.read([tmp_path / "absent"])
    with pytest.raises(ValueError, match="Received: none in"):
        listing.read([tmp_path])
    with pytest.raises(OSError, match=r"run folder, or a file that josrc-export wrote"):
        classifiers.load(tmp_path / "absent")


def test_a_network_of_grey_images(tmp_path):
    """The grey of a colour by BT.601: of (255, 0, 0) it is 76."""
    images = np.zeros((1, 2, 2, 3), "uint8")
    images[..., 0] = 255
    np.testing.assert_allclose(classifiers._with_channels(images, 1)[0, 0, 0], [76.245])
    assert classifiers._with_channels(images, 3).shape == (1, 2, 2, 3)
    with pytest.raises(ValueError, match="have 4 channels"):
        classifiers._check_channels(4, "model.onnx")
