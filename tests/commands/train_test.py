"""josrc-train and josrc-evaluate as commands: run, kill, resume, evaluate."""

import csv
import json
import os
import random
import re
import runpy
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from josrc_keras.runs import build_callbacks, train
from tests.support.runs import without_plots

ROOT = Path(__file__).parents[2]
kills = types.SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "kills.py")))
EPOCHS = kills.EPOCHS
FLAGS = [*kills.FLAGS, "--progress=none"]
KILLS = {"random time": 1.5, "checkpoint write": 2, "between epochs": 3}  # In epochs.
TIMEOUT = 300


def start(folder, workdir):
    """Starts a training in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "josrc_keras.train", *FLAGS, f"--workdir={workdir}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """`(exit status, standard output, standard error)` of a started training."""
    out, err = process.communicate(timeout=TIMEOUT)
    return process.returncode, out, err


def stop(process, history, rows, number):
    """Sends a signal once the history has as many rows; returns `finish`."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end and process.poll() is None:
        if history.exists() and len(history.read_text().splitlines()) > rows:
            process.send_signal(number)
            break
        time.sleep(0.01)
    return finish(process)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """`(folder of the run, standard output)` of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    code, out, err = finish(start(folder, "run"))
    assert code == 0, err
    assert [path.name for path in folder.iterdir()] == ["run"]  # And nothing else.
    return folder / "run", out


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run that is killed three times, then terminated, then resumed to its end.

    Returns:
        The folder, what each of the killed parts left behind, and `(exit status,
        standard output, standard error)` of the terminated and of the last part.
    """
    folder = tmp_path_factory.mktemp("interrupted")
    run, source, killed = folder / "run", random.Random(0), []
    for kind, moment in KILLS.items():
        backend = keras.backend.backend()
        training = kills.Training(run, folder / f"killed {kind}", backend)
        assert kills.strike(training, kind, moment, source), "it ended before"
        killed.append(kills.record(training, kind))
    terminated = stop(start(folder, "run"), run / "history.csv", 5, signal.SIGTERM)
    assert not (run / "summary.json").exists(), "it ended before the signal"
    return run, killed, [terminated, finish(start(folder, "run"))]


def rows_of(run):
    with open(run / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_run_folder_is_complete(whole):
    """All that DESIGN.md lists, but for the export, which another command makes."""
    run, out = whole
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.json",
        "history.csv",
        "sample_history.npz",
        "summary.json",
        "clean_likelihood.json",
        "checkpoint",
        "model.keras",
        "plots",
        *(["tensorboard"] if build_callbacks._tensorboard(run) else []),
    }
    summary = json.loads((run / "summary.json").read_text())
    *_, about, accuracy, judged, place, following = out.splitlines()
    assert about.startswith(f"Trained josrc: {EPOCHS} epochs of 768 images in ")
    assert f"student {summary['student']['last10_mean']:.1%}, teacher " in accuracy
    clean = summary["verdicts_last_epoch"]["clean_fraction"]
    assert judged.startswith(f"Of the training labels it trusts {clean:.1%} and doubts")
    assert place.endswith("summary.json") and "josrc-export --run=" in following
    config = json.loads((run / "config.json").read_text())
    assert (config["epochs"], config["data"]["train_size"]) == (EPOCHS, 768)
    assert config["model"]["smoothing"] == 0.3
    assert {path.name for path in (run / "plots").iterdir()} == {
        "accuracy.png",
        "fractions.png",
        "precision.png",
        "clean_likelihood.png",
    }
    histogram = json.loads((run / "clean_likelihood.json").read_text())
    assert sum(map(sum, (histogram[k] for k in ("clean", "id", "ood")))) == 768


def test_history_and_summary_agree(whole):
    """A row an epoch; the summary's numbers are the history's."""
    run, _ = whole
    rows = rows_of(run)
    assert [int(row["epoch"]) for row in rows] == list(range(1, EPOCHS + 1))
    taus = [0.375, 0.75, *(0.75 + 0.2 * t / 6 for t in range(1, 7))]
    assert [float(row["tau_clean"]) for row in rows] == pytest.approx(taus, rel=1e-6)
    summary = json.loads((run / "summary.json").read_text())
    for network, column in (
        ("student", "val_accuracy"),
        ("teacher", "val_teacher_accuracy"),
    ):
        values = [float(row[column]) for row in rows]
        assert summary[network]["last"] == values[-1]
        assert summary[network]["best"] == max(values)
        assert summary[network]["last10_mean"] == pytest.approx(np.mean(values))
    assert float(rows[-1]["val_accuracy"]) > 0.3  # It has learnt something.
    assert summary["noise_checksum"] == (
        train.make_benchmark(config_of(run)).noise_checksum
    )
    command = ["python", "-m", "josrc_keras.train", *FLAGS, "--workdir=run"]
    assert summary["command"] == " ".join(command)


def config_of(run):
    import ml_collections

    return ml_collections.ConfigDict(json.loads((run / "config.json").read_text()))


def test_killed_and_terminated_run_equals_the_whole(whole, interrupted, equal_arrays):
    """History, weights, teacher and optimizer, to the last digit."""
    (run, _), (other, _, parts) = whole, interrupted
    assert [part[0] for part in parts] == [143, 0]
    history = (run / "history.csv").read_text()
    assert (other / "history.csv").read_text() == history
    checkpoint = f"checkpoint/epoch-{EPOCHS:05d}/variables.npz"
    with np.load(run / checkpoint) as ours, np.load(other / checkpoint) as theirs:
        assert ours.files == theirs.files
        equal_arrays([ours[n] for n in ours.files], [theirs[n] for n in theirs.files])
    models = [keras.saving.load_model(f / "model.keras") for f in (run, other)]
    equal_arrays(*(model.get_weights() for model in models))
    summaries = [json.loads((f / "summary.json").read_text()) for f in (run, other)]
    for summary in summaries:
        assert summary.pop("wall_seconds") > 0 and summary.pop("cpu_seconds") > 0
    assert summaries[0] == summaries[1]


def test_sigterm_says_how_to_resume(interrupted):
    _, _, ((code, out, err), _) = interrupted
    assert code == 143
    assert "Stopped. Whole epochs are saved in run; the same command resumes." in err
    assert "Traceback" not in err
    assert out == ""


def test_kills_came_when_they_should(interrupted):
    """Within a step, within a checkpoint's write, and between two epochs."""
    _, killed, _ = interrupted
    in_step, in_write, between = killed
    assert in_step["rows"] >= 1 and in_step["reached"] >= "epoch 2, step 12"
    assert in_write["kind"] == "checkpoint write"
    assert "epoch-0000" in in_write["left unfinished"]
    assert in_write["rows"] > in_write["newest checkpoint"]
    assert between["rows"] >= 3


def test_resumption_is_told(interrupted):
    """After the last row but one at least: a row is written before its checkpoint."""
    _, killed, parts = interrupted
    for part, least in zip(parts, (killed[-1]["newest checkpoint"], 4), strict=True):
        (done,) = re.findall(rf"Resuming after epoch (\d+) of {EPOCHS}", part[2])
        assert least <= int(done) < EPOCHS


@pytest.mark.slow
def test_same_seed_same_history(quick_config, deterministic, tmp_path, monkeypatch):
    """Two runs are equal to the last digit; another seed is another run."""
    without_plots(monkeypatch)
    histories = []
    for number, seed in enumerate((0, 0, 1)):
        workdir = tmp_path / str(number)
        train.train(quick_config(epochs=2, seed=seed), workdir, verbose=0)
        histories.append((workdir / "history.csv").read_text())
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]
    summaries = [
        json.loads((tmp_path / str(n) / "summary.json").read_text()) for n in range(3)
    ]
    # The noise follows the seed.
    assert summaries[0]["noise_checksum"] == summaries[1]["noise_checksum"]
    assert summaries[0]["noise_checksum"] != summaries[2]["noise_checksum"]


def test_standard_makes_a_run_folder_too(quick_config, deterministic, tmp_path):
    """The baseline: the same folder, without verdicts and teacher."""
    summary = train.train(
        quick_config(epochs=2, method="standard"), tmp_path / "run", verbose=0
    )
    assert summary["method"] == "standard"
    assert summary["teacher"] is None and summary["verdicts_last_epoch"] == {}
    assert len(rows_of(tmp_path / "run")) == 2
    plots = [path.name for path in (tmp_path / "run" / "plots").iterdir()]
    assert plots == ["accuracy.png"]


def test_finished_run_is_left_as_it_is(
    quick_config, deterministic, tmp_path, monkeypatch
):
    """Training again in a finished folder trains nothing and changes no number."""
    without_plots(monkeypatch)
    config = quick_config(epochs=2)
    train.train(config, tmp_path, verbose=0)
    history = (tmp_path / "history.csv").read_bytes()
    summary = train.train(config, tmp_path, verbose=0)
    assert (tmp_path / "history.csv").read_bytes() == history
    assert summary["epochs"] == 2


def test_a_refused_configuration_can_be_corrected(
    quick_config, deterministic, tmp_path
):
    """One folder, one bad field after the other, each with its own error; then a run.

    What was refused before its first epoch does not claim the folder.
    """
    for field, value, text in (
        ("data.rate", 1.5, r"rate=1\.5"),
        ("model.alpha", 2.0, "alpha"),
        ("threshold.tau_c", 0.99, r"tau_c=0\.99"),
        ("checkpoint_every", 0, "every=0"),
        ("batch_size", 0, "batch_size=0"),
    ):
        config = quick_config(epochs=1, **{field: value})
        with pytest.raises(ValueError, match=text):
            train.train(config, tmp_path / "run", verbose=0)
    config = quick_config(epochs=1)
    summary = train.train(config, tmp_path / "run", verbose=0)
    assert summary["epochs"] == 1
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert written["data"]["rate"] == 0.5
