"""Runs on JAX where TensorFlow is not installed: train, stop, resume, evaluate.

One process imports the package, and one fork of it does each command.
"""

import csv
import importlib.util
import json
import os

import numpy as np
import pytest

from tests.support.forks import ROOT, run_all

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)

# As if it were not installed, for importing it and for asking whether it could be.
SITECUSTOMIZE = """
import sys
from importlib.machinery import PathFinder


class WithoutTensorFlow(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tensorflow_datasets"):
            return None
        return super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutTensorFlow
"""
TRAIN = [
    "--config=digits8n_o:paper",
    "--config.epochs=2",
    "--config.data.train_size=192",
    "--config.threshold.warmup_epochs=1",
    "--config.learning_rate_decay.start_epoch=1",
    "--progress=none",
    "--workdir=run",
]
CASES = {
    "hidden": ("tensorflow_is_absent", []),
    "train": ("josrc_keras.train", TRAIN),
    "evaluate": ("josrc_keras.evaluate", ["--workdir=run"]),
    "runs": ("tests.support.jax_runs", ["."]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all cases ran: what they wrote, and `<name> out` and `<name> err`."""
    folder = tmp_path_factory.mktemp("jax")
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(SITECUSTOMIZE)
    (site / "tensorflow_is_absent.py").write_text("import tensorflow")
    cases = {n: {"module": m, "arguments": a} for n, (m, a) in CASES.items()}
    found = run_all(
        cases,
        folder,
        folder,
        timeout=600,
        KERAS_BACKEND="jax",
        PYTHONPATH=f"{site}{os.pathsep}{ROOT}",
        # Most of the time is compilation, and much of it is the same in all forks.
        XLA_FLAGS=f"{os.environ.get('XLA_FLAGS', '')} "
        "--xla_backend_optimization_level=0",
        JAX_COMPILATION_CACHE_DIR=str(site / "compiled"),
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
    )
    statuses = {name: status for name, (status, _, _) in found.items()}
    (folder / "statuses.json").write_text(json.dumps(statuses))
    return folder


@pytest.fixture
def ended(folder):
    """A function from a name to its standard output, if it ended well."""

    def output(name):
        status = json.loads((folder / "statuses.json").read_text())[name]
        assert status == 0, (folder / f"{name} err").read_text()[-2000:]
        return (folder / f"{name} out").read_text()

    return output


@pytest.fixture
def found(folder, ended):
    """What `jax_runs.py` found."""
    ended("runs")
    return json.loads((folder / "found.json").read_text())


def history_of(run):
    with open(run / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_tensorflow_was_absent(folder, found):
    """Else the other tests would say nothing: importing it fails there, by name."""
    assert json.loads((folder / "statuses.json").read_text())["hidden"] == 70
    text = (folder / "hidden err").read_text()
    assert "ModuleNotFoundError: No module named 'tensorflow'" in text
    assert found["imported"] == []


def test_the_commands_train_and_evaluate(folder, ended):
    """Backend, device and versions in the summary; the last epoch's accuracies."""
    assert "run" in ended("train")
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert summary["epochs"] == 2
    assert summary["device"].startswith("CPU (")
    assert summary["versions"]["backend"] == "jax"
    assert set(summary["versions"]) == {
        *("python", "josrc_keras", "keras", "jax", "numpy", "backend")
    }
    assert "tensorboard" not in {path.name for path in (folder / "run").iterdir()}
    rows = history_of(folder / "run")
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    assert {"accuracy_clean", "clean_auroc", "val_accuracy"} < set(rows[-1])

    results = json.loads(ended("evaluate"))
    assert results == json.loads((folder / "run" / "evaluation.json").read_text())
    assert results["test_images"] == summary["test_images"] == 356
    for name in ("accuracy", "teacher_accuracy", "loss", "teacher_loss"):
        value = float(rows[-1][f"val_{name}"])
        assert results[name] == pytest.approx(value, abs=1e-6)
    assert summary["student"]["last"] == float(rows[-1]["val_accuracy"])


def test_a_stopped_run_equals_the_uninterrupted(folder, found):
    """To the last digit: history, weights, teacher, optimizer, seeds."""
    assert found["stopped"] is None
    assert "checkpoint" in found["stopped_files"]
    assert not {"summary.json", "model.keras"} & set(found["stopped_files"])
    assert found["resumed"]["epochs"] == found["whole"]["epochs"] == 4
    texts = [(folder / run / "history.csv").read_text() for run in ("whole", "stopped")]
    assert texts[0] == texts[1] and len(texts[0].splitlines()) == 5
    ours, theirs = (
        np.load(folder / run / "checkpoint" / "epoch-00004" / "variables.npz")
        for run in ("whole", "stopped")
    )
    assert ours.files == theirs.files
    for name in ours.files:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_seven_steps_an_execution_are_seven_steps(folder, found):
    """In one `lax.scan`, so to rounding, which training makes grow by and by."""
    assert found["many"]["epochs"] == 4
    one, many = (history_of(folder / run) for run in ("whole", "many"))
    assert one[0].keys() == many[0].keys()
    for epoch, tolerance in enumerate((1e-4, 1e-3, 1e-2, 1e-2)):
        for name in ("loss", "val_loss", "val_teacher_loss", "clean_likelihood"):
            ours, theirs = (float(run[epoch][name]) for run in (one, many))
            assert ours == pytest.approx(theirs, rel=tolerance), (epoch, name)
    assert [row["tau_clean"] for row in one] == [row["tau_clean"] for row in many]


@pytest.mark.parametrize(
    ("count", "ends"), [(84, [3, 7, 11, 3, 7, 11]), (60, [3, 7, 3, 7])]
)
def test_what_is_left_of_finite_data_is_trained_on(found, count, ends):
    """Eleven batches in fours, and eight; the last batch holds four samples of eight.

    With SGD on a linear network the numbers are those of single steps.
    """
    single, fours = (found["finite"][f"{count} by {steps}"] for steps in (1, 4))
    assert isinstance(fours, dict), fours
    total = 2 * -(-count // 8)
    assert single["iterations"] == fours["iterations"] == total
    assert len(single["batches"]) == total
    assert fours["batches"] == ends
    assert single["history"].keys() == fours["history"].keys()
    for name, values in single["history"].items():
        np.testing.assert_allclose(
            fours["history"][name], values, rtol=1e-4, atol=1e-5, err_msg=name
        )
    for kind in ("clean", "id", "ood"):
        assert min(single["history"][f"{kind}_fraction"]) > 0
    for ours, theirs in zip(single["weights"], fours["weights"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
