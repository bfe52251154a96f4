"""Runs on folders of photos: trained, resumed, evaluated, exported, refused."""

import json
import shutil

import keras
import numpy as np
import pytest

from josrc_keras import schedules
from josrc_keras.export import read_metadata
from josrc_keras.runs import train as experiment
from tests.support import photos
from tests.support.forks import Forks, contents, rows_of
from tests.support.photo_runs import EPOCHS, make_config
from tests.support.runs import StopAfter, without_plots

Image = pytest.importorskip("PIL.Image")
CLASSES = {"cat": 14, "dog": 12, "eel": 9}


@pytest.fixture
def folder(tmp_path):
    """Photos of three classes."""
    photos.fill(tmp_path / "photos", **CLASSES)
    return tmp_path / "photos"


@pytest.fixture
def train(monkeypatch, deterministic):
    """A function that trains, without plots: `(folder, run, *callbacks, **fields)`."""
    without_plots(monkeypatch)

    def call(folder, run, *callbacks, **fields):
        fields = {name.replace("__", "."): value for name, value in fields.items()}
        config = make_config(folder, **fields)
        return experiment.train(config, run, verbose=0, callbacks=callbacks)

    return call


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with `photos` and a run on them, and its summary."""
    from tensorflow.python.framework import config as determinism

    base = tmp_path_factory.mktemp("whole")
    photos.fill(base / "photos", **CLASSES)
    (base / "photos/cat/broken.jpg").write_text("no image")
    summary = experiment.train(make_config(base / "photos"), base / "run", verbose=0)
    determinism.disable_op_determinism()
    return base, summary


def test_what_a_run_says(whole):
    """Labels of the validation photos are as given; nothing is said of the truth."""
    base, summary = whole
    assert summary["test_labels"] == "as given"
    assert (summary["train_images"], summary["test_images"]) == (35 - 3, 3)
    assert set(summary["verdicts_last_epoch"]) == {
        "clean_fraction",
        "clean_likelihood",
        "id_fraction",
        "ood_fraction",
    }
    names = {path.name for path in (base / "run").iterdir()}
    assert {"images", "data.json", "sample_history.npz", "model.keras"} < names
    assert "clean_likelihood.json" not in names  # Which is by the truth.
    assert len(rows_of(base / "run/history.csv")) == EPOCHS


def test_the_smoothing_follows_the_number_of_classes(whole):
    model = keras.saving.load_model(whole[0] / "run/model.keras")
    assert model.smoothing == schedules.smoothing_for(3, 0.75)
    assert model.num_classes == 3
    assert model.student.input_shape == (None, photos.SIZE, photos.SIZE, 3)


def test_a_stopped_run_equals_the_whole(whole, train, tmp_path, equal_arrays):
    """Resumed without decoding anything anew; and trained in another folder."""
    base, summary = whole
    run = tmp_path / "run"
    assert train(base / "photos", run, StopAfter(2)) is None
    made = (run / "images/train.npy").stat().st_mtime_ns
    found = train(base / "photos", run)
    assert (run / "images/train.npy").stat().st_mtime_ns == made
    history = (base / "run/history.csv").read_text()
    assert (run / "history.csv").read_text() == history
    models = [keras.saving.load_model(f / "model.keras") for f in (run, base / "run")]
    equal_arrays(*(model.get_weights() for model in models))
    with (
        np.load(run / "sample_history.npz") as ours,
        np.load(base / "run/sample_history.npz") as theirs,
    ):
        equal_arrays([ours[n] for n in ours.files], [theirs[n] for n in theirs.files])
    assert found["student"] == summary["student"]


def add(folder):
    photos.save(folder / "cat/new.png", 99)


def remove(folder):
    (folder / "dog/003.png").unlink()


def relabel(folder):
    (folder / "dog/003.png").rename(folder / "eel/003b.png")


def swap(folder):
    """The same number of photos of each class, and of all labels."""
    (folder / "dog/003.png").rename(folder / "dog/3.png")


def repaint(folder):
    """Another photo of the same name."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9), "uint8")
    Image.fromarray(pixels).save(folder / "dog/003.png")


CHANGES = {add: (0, 1), remove: (1, 0), relabel: (1, 1), swap: (1, 1), repaint: (1, 1)}


SLOW = [
    pytest.param(change, marks=pytest.mark.slow)
    for change in (relabel, repaint, remove)
]


@pytest.mark.parametrize("change", [add, swap, *SLOW])
def test_photos_that_changed_are_not_trained_on(train, folder, tmp_path, change):
    """The run is as it was, and goes on once they are back; another begins."""
    run = tmp_path / "run"
    train(folder, run, StopAfter(1), epochs=2)
    shutil.copytree(folder, tmp_path / "backup")
    before = contents(run)
    change(folder)
    with pytest.raises(ValueError) as caught:
        train(folder, run, epochs=2)
    line = str(caught.value)
    gone, new = CHANGES[change]
    assert (
        f"Expected the photos that {run} was trained on, 35 files. Received: {gone} of "
        f"them are gone or changed, and {new} are there instead."
    ) in line
    assert "train on what there is now in another --workdir" in line
    assert contents(run) == before  # The decoded photos, too.
    if change is swap:
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "backup", folder)
        assert train(folder, run, epochs=2)["epochs"] == 2


def test_labels_that_changed_without_a_cache_are_not_trained_on(
    train, folder, tmp_path
):
    """Where the decoded photos were deleted, the names still tell."""
    run = tmp_path / "run"
    train(folder, run, StopAfter(1), epochs=2)
    shutil.rmtree(run / "images")
    swap(folder)
    with pytest.raises(ValueError) as caught:
        train(folder, run, epochs=2)
    assert (
        f"Expected the images that {run} was trained on, 32 and 3 to report on. "
        "Received: 32 and 3, of other names or labels."
    ) in str(caught.value)


def test_photos_may_change_before_the_first_epoch(train, folder, tmp_path):
    with pytest.raises(ValueError, match="'vgg'"):
        train(folder, tmp_path / "run", network__name="vgg")
    add(folder)
    summary = train(folder, tmp_path / "run", epochs=1)
    assert summary["train_images"] + summary["test_images"] == 36


@pytest.mark.slow
def test_paths_are_made_absolute(train, folder, tmp_path, monkeypatch):
    """So that a run goes on elsewhere; `~` is the home folder."""
    monkeypatch.chdir(tmp_path)
    train("photos", "run", StopAfter(1), epochs=2)
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["data"]["dir"] == str(folder)
    assert config["data"]["validation_dir"] is None
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert train("~/photos", tmp_path / "run", epochs=2)["epochs"] == 2
    with pytest.raises(ValueError, match=r"data\.dir: '.*/photos' there, '.*elsewhere"):
        train("photos", tmp_path / "run", epochs=2)


def test_a_folder_to_report_on(train, folder, tmp_path):
    photos.fill(tmp_path / "held", cat=3, eel=1)
    held = str(tmp_path / "held")
    summary = train(folder, tmp_path / "run", epochs=1, data__validation_dir=held)
    assert (summary["train_images"], summary["test_images"]) == (35, 4)


def test_two_classes_and_one_of_a_single_photo(train, tmp_path):
    photos.fill(tmp_path / "photos", many=12, one=1)
    summary = train(tmp_path / "photos", tmp_path / "run", epochs=2)
    assert (summary["train_images"], summary["test_images"]) == (12, 1)
    model = keras.saving.load_model(tmp_path / "run/model.keras")
    assert model.num_classes == 2
    assert model.smoothing == schedules.smoothing_for(2, 0.75)
    assert np.isfinite(
        [float(row["loss"]) for row in rows_of(tmp_path / "run/history.csv")]
    ).all()


def test_another_method_that_is_told_nothing(train, folder, tmp_path):
    summary = train(folder, tmp_path / "run", epochs=1, method="standard")
    assert summary["teacher"] is None
    assert not (tmp_path / "run/sample_history.npz").exists()


@pytest.mark.parametrize("method", ["coteaching", "coteaching_plus", "jocor"])
def test_a_method_that_has_to_be_told(train, folder, tmp_path, method):
    with pytest.raises(ValueError, match=r"forget\.rate=None, .*Set config\.forget\.r"):
        train(folder, tmp_path / "run", method=method)


@pytest.mark.slow
def test_with_a_forget_rate_it_trains(train, folder, tmp_path):
    fields = {"method": "coteaching", "forget__rate": 0.2}
    assert train(folder, tmp_path / "run", epochs=1, **fields)["epochs"] == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 0}, r"number of images, 32\. Received: batch_size=0"),
        ({"data__image_size": 4}, r"image_size=4\. 64 is a good start"),
        ({"data__broken": "keep"}, r"Received: broken='keep'"),
        ({"data__validation_share": 0.0}, r"validation_share=0\.0\. Choose 0\.1, or"),
        ({"data__validation_share": 1.0}, r"validation_share=1\.0\. Choose 0\.1, or"),
        ({"data__train_size": 33}, r"images, 32\. Received: train_size=33"),
        ({"data__validation_dir": "/absent"}, "Received: /absent, which does not ex"),
    ],
)
def test_fields_out_of_range_are_refused(train, folder, tmp_path, fields, message):
    with pytest.raises(ValueError, match=message):
        train(folder, tmp_path / "run", **fields)


def test_a_batch_of_more_than_all_photos_is_of_all(train, folder, tmp_path, caplog):
    """With a warning; and the run goes on as it began."""
    with caplog.at_level("WARNING"):
        train(folder, tmp_path / "run", StopAfter(1), batch_size=99)
    message = "batch_size=99 is more than the 32 images of an epoch: batches of 32"
    assert message in caplog.text
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["batch_size"] == 99
    assert train(folder, tmp_path / "run", batch_size=99)["epochs"] == EPOCHS


def test_broken_photos_can_be_refused(train, folder, tmp_path):
    (folder / "cat/broken.jpg").write_text("no image")
    with pytest.raises(ValueError, match=r"1 broken, such as 'cat/broken\.jpg'"):
        train(folder, tmp_path / "run", data__broken="refuse")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "absent, which does not exist"),
        ("empty", "with no usable image, and 0 hidden or other files"),
        ("photos/cat", r"14 images that lie in no class folder, such as '000\.png'"),
    ],
)
def test_no_folder_of_photos(train, folder, tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=rf"FOLDER/CLASS/photo\.jpg .*{message}"):
        train(tmp_path / name, tmp_path / "run")


@pytest.fixture(scope="module")
def commands(whole, tmp_path_factory):
    """A function that runs a command in the folder of `whole`."""
    forks = Forks("josrc_keras.evaluate", whole[0], tmp_path_factory.mktemp("logs"))

    def run(module, *arguments):
        forks.module = f"josrc_keras.{module}"
        return forks.run(*arguments)

    yield run
    forks.close()


def test_evaluate(whole, commands):
    _, summary = whole
    status, out, err = commands("evaluate", "--workdir=run")
    assert status == 0, err
    results = json.loads(out)
    assert results["test_images"] == 3
    assert results["accuracy"] == pytest.approx(summary["student"]["last"])


def test_export(whole, commands):
    """The network that was trained, with the names of its classes."""
    export = whole[0] / "run/export"
    flags = ["--workdir=run", "--format=saved_model"]
    status, _, err = commands("commands.export", *flags)
    assert status == 0, err
    (report,) = json.loads((export / "exports.json").read_text()).values()
    assert report["agreement"] == 1.0 and report["max_difference"] < 1e-3
    # There are no labels that are known to be right: all photos that were set aside.
    assert report["validation"]["images"] == report["test"]["images"] == 3
    assert report["validation"]["label_noise"] is None
    metadata = read_metadata(export / "saved_model")
    assert metadata["class_names"] == list(CLASSES)
    assert metadata["training"]["data"] == "image_folder"


def test_without_a_folder(commands):
    flags = ["--config=image_folder", "--workdir=new", "--progress=none"]
    status, out, err = commands("train", *flags)
    assert (status, out) == (2, "")
    assert "needs a folder of photos, one sub-folder a class. Received: conf" in err
