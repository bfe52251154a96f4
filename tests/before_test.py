"""Files of before the package was rearranged still load, resume, audit and export.

`tests/before/RECIPE` is what `tests/golden_test.py`'s commands left at commit f264176,
on TensorFlow, without plots and without the last checkpoint. `expected.json` holds what
that commit's code computed from them.
"""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support import golden
from tests.support.forks import ROOT, Forks

BEFORE = Path(__file__).with_name("before")
RECIPES = ("adaptive", "paper")
ONE_OR_BOTH = ("adaptive", pytest.param("paper", marks=pytest.mark.slow))
EXPECTED = json.loads((BEFORE / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def digits():
    from josrc_keras import data

    return data.digits8n_o(noise="symmetric", rate=0.5, seed=0)


def load(recipe):
    import keras

    import josrc_keras  # noqa: F401  (registers the classes)

    return keras.saving.load_model(BEFORE / recipe / "model.keras")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_saved_model_computes_what_it_computed(digits, recipe):
    model = load(recipe)
    images = digits.test.images[:4].astype("float32")
    for name in ("student", "teacher"):
        logits = getattr(model, name)(images, training=False)
        np.testing.assert_allclose(logits, EXPECTED[recipe][name], atol=2e-5)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_saved_model_goes_on_training(digits, recipe):
    from josrc_keras import callbacks

    model = load(recipe)
    index = np.arange(len(digits.train))
    labels = {"label": digits.train.labels, "index": index}
    decides = {
        "adaptive": callbacks.LabelTrust(len(index)),
        "paper": callbacks.CleanThreshold(),
    }
    history = model.fit(
        digits.train.images,
        labels,
        batch_size=64,
        verbose=0,
        callbacks=[decides[recipe], callbacks.MeanTeacher()],
    )
    assert np.isfinite(history.history["loss"]).all()


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """`run(name, *arguments)` in forks, by the name of a command's module."""
    started = {}

    def run(module, *arguments):
        if module not in started:
            logs = tmp_path_factory.mktemp("logs")
            started[module] = Forks(module, ROOT, logs)
        status, out, err = started[module].run(*arguments)
        assert status == 0, err
        return out

    yield run
    for each in started.values():
        each.process.stdin.close()
        each.process.wait()


@pytest.mark.parametrize("recipe", ONE_OR_BOTH)
def test_a_run_folder_is_audited(tmp_path, commands, recipe):
    """As before; only the paper's run is too short to be audited by its history."""
    run = shutil.copytree(BEFORE / recipe, tmp_path / "run")
    commands("josrc_keras.commands.audit", f"--run={run}")
    with open(run / "audit" / "audit.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    verdicts = [row["verdict"] for row in rows]
    expected = EXPECTED[recipe]
    assert {v: verdicts.count(v) for v in set(verdicts)} == expected["verdicts"]
    for name in ("label_score", "ood_score"):
        mean = np.mean([float(row[name]) for row in rows])
        assert mean == pytest.approx(expected[f"{name}_mean"], abs=2e-5)


@pytest.mark.parametrize("recipe", ONE_OR_BOTH)
def test_a_run_folder_is_exported(tmp_path, commands, recipe):
    run = shutil.copytree(BEFORE / recipe, tmp_path / "run")
    commands("josrc_keras.commands.export", f"--run={run}", "--format=keras")
    about = json.loads((run / "export" / "exports.json").read_text(encoding="utf-8"))
    assert "keras" in json.dumps(about)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_folder_is_resumed_to_the_same_numbers(tmp_path, commands, recipe):
    run = shutil.copytree(BEFORE / recipe, tmp_path / "run")
    fields = ["epochs=3", "decay.start_epoch=2", "network.width=0.25"]
    if recipe == "paper":
        fields.append("threshold.warmup_epochs=2")
    commands(
        "josrc_keras.train",
        *(f"--config=digits8n_o:{recipe}", f"--workdir={run}"),
        *(f"--config.{field}" for field in fields),
    )
    found = golden.rows(run / "history.csv")
    expected = golden.golden("tensorflow", recipe)
    assert len(found) == 3
    known = json.loads((golden.GOLDEN / "machine.json").read_text())
    if golden.machine("tensorflow") == known["tensorflow"]:
        assert found == expected
    else:
        assert found[:2] == expected[:2]
