"""Export of a run on photos, whose labels are not known to be right."""

import numpy as np
import pytest

from josrc_keras import data
from josrc_keras.export import read_metadata, run_exports
from josrc_keras.runs import train
from tests.support import photos
from tests.support.exports import quick_proof
from tests.support.photo_runs import make_config
from tests.support.runs import without_plots

pytest.importorskip("PIL")
OPTIONS = {"format": "keras", "precision": "float32", "opset": 18}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on photos of two classes; 6 of them are set aside to report on."""
    folder = tmp_path_factory.mktemp("photos")
    photos.fill(folder / "photos", cat=32, dog=26)
    config = make_config(folder / "photos", epochs=1, deterministic="never")
    with pytest.MonkeyPatch.context() as patch:
        without_plots(patch)
        train.train(config, folder / "run", verbose=0)
    return folder / "run"


def test_few_photos_choose_and_report(run):
    """The findings, what is printed, the artefact and the card say so."""
    prepared, about = run_exports.prepare_run(run, serving={}, calibrate=True)
    found = prepared.findings
    assert found["validation"]["images"] == found["test"]["images"] == 6
    assert (found["test"]["labels"], found["test"]["chosen_on"]) == ("as given", True)
    line = run_exports.choice(found).splitlines()[0]
    assert line.endswith(" of 6 test images, labels as given, the same that choose.")
    path = run / "export" / "model.keras"
    with quick_proof():
        run_exports.export_one(prepared, about, path, OPTIONS)
    assert read_metadata(path)["test"] == found["test"]
    card = run_exports.write_card(run, prepared, about).read_text()
    assert "rightly labelled images" not in card and "nor used to choose" not in card
    assert " on 6 images, by labels as given, some of which may be wrong, th" in card
    assert "used to choose network or temperature, so that the figures of th" in card


def test_many_photos_report_on_others_than_choose(run, monkeypatch):
    """Every other one chooses."""
    monkeypatch.setattr(run_exports, "ENOUGH", 6)
    prepared, _ = run_exports.prepare_run(run, serving={}, calibrate=True)
    found = prepared.findings
    assert found["validation"]["images"] == found["calibration"]["images"] == 3
    assert (found["test"]["labels"], found["test"]["chosen_on"]) == ("as given", False)
    images = np.load(run / "images" / "validation.npy")
    np.testing.assert_array_equal(prepared.images, images[::2])
    np.testing.assert_array_equal(prepared.test[0], images[1::2])
    line = run_exports.choice(found).splitlines()[0]
    assert line.endswith(" of 3 test images, labels as given.")


def benchmark(*, known, held_out=False):
    """Of 8 test images; and of 4 that are held out, with labels as given."""
    split = data.Split(np.zeros((8, 2, 2, 1)), np.arange(8), None, np.arange(8))
    truth = np.arange(8) if known else None
    return data.Benchmark(
        train=split,
        test=data.Split(split.images + 1, split.labels, truth, split.ids),
        class_names=("a", "b"),
        noise_checksum="",
        validation=split.head(4) if held_out else None,
    )


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("enough", [8, 9])
def test_what_chooses_and_what_reports(known, held_out, enough, monkeypatch):
    """Held-out images where there are some; right labels are halved by `prepare`."""
    monkeypatch.setattr(run_exports, "ENOUGH", enough)
    found = run_exports._divided(
        benchmark(known=known, held_out=held_out),
        lambda split: (split.images, split.labels),
        None,
    )
    rows = {name: found[name][1].tolist() for name in found if name != "label_noise"}
    every = list(range(8))
    if held_out:
        assert rows == {"validation": every[:4], "test": every}
    elif known:
        assert rows == {"validation": every}
    elif enough == 8:
        assert rows == {"validation": every[::2], "test": every[1::2]}
    else:
        assert rows == {"validation": every, "test": every}
    assert found["label_noise"] == (0.0 if known and not held_out else None)
