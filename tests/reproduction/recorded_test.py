"""The pages in the repository's results/ are those of the records beside them."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from josrc_keras.reproduction import (
    budget,
    budget_page,
    figures,
    results,
    robustness,
    robustness_page,
    runner,
    tables,
    tables_page,
)
from josrc_keras.runs.methods import METHODS
from tests.support import synthetic

RESULTS = Path(__file__).parents[2] / "results"
COLUMNS = {"student": "val_accuracy", "teacher": "val_teacher_accuracy"}


def committed():
    """The folders of results/ that hold records."""
    return sorted({path.parents[2] for path in RESULTS.glob("*/*/*/*.json")})


def check_folder(folder, tmp_path):
    """The page is what its records give, and so are their summaries."""
    found = results.read_all(folder)
    check_summaries(found)
    text = (folder / "README.md").read_text(encoding="utf-8")
    if folder.name == robustness.NAME:
        assert text == robustness_page.write(found)
        return
    if folder.name == budget.NAME:
        drawn = budget_page.draw(found, tmp_path)
        assert text == budget_page.write(found, drawn)
    else:
        drawn = figures.draw(found, tmp_path)
        assert text == tables_page.write(found, folder.name, drawn)
    pictures = [name for _, name in drawn]
    assert sorted(pictures) == sorted(path.name for path in folder.glob("*.png"))


def check_summaries(found):
    """What a summary says, its history gives to 1e-5."""
    assert found
    for record in found:
        history, summary = record["history"], record["summary"]
        for network, column in COLUMNS.items():
            if column not in history:
                assert summary[network] is None
                continue
            values = [value for value in history[column] if value is not None]
            said = [summary[network][name] for name in ("last10_mean", "best", "last")]
            given = [np.mean(values[-10:]), max(values), values[-1]]
            assert said == pytest.approx(given, abs=1e-5)
        # The best epoch is that of the network that a method delivers.
        best = [int(np.argmax(history[c])) for c in COLUMNS.values() if c in history]
        best_at = history["epoch"].index(summary["best_epoch"])
        assert best_at in best
        assert summary["epochs"] == len(history["epoch"]) == record["config"]["epochs"]
        for when, at in (("best", best_at), ("last", -1)):
            verdicts = summary[f"verdicts_{when}_epoch"]
            given = {name: history[name][at] for name in verdicts}
            assert verdicts == pytest.approx(given, abs=1e-5)
            judged = METHODS.get(
                record["run"]["method"], METHODS["josrc"]
            ).model.verdicts
            assert len(verdicts) >= 3 * len(judged)
            assert bool(verdicts) == bool(judged)


@pytest.mark.parametrize(
    "folder",
    committed()
    or [pytest.param(None, marks=pytest.mark.skip(reason="no results/*/ has records"))],
    ids=lambda folder: getattr(folder, "name", "none"),
)
def test_the_committed_page_is_that_of_its_records(folder, tmp_path):
    assert folder.name in (*tables.PROTOCOLS, budget.NAME, robustness.NAME)
    check_folder(folder, tmp_path)


@pytest.fixture(scope="module")
def real(trained_run, tmp_path_factory):
    """Page and record of the run of two epochs, in a folder `digits`."""
    folder = tmp_path_factory.mktemp("real") / "digits"
    results.write(folder, *trained_run)
    runner.write_page(folder, "digits")
    return folder


def doctored(real, tmp_path, change):
    """A copy of the folder in which a function has changed the record."""
    (path,) = real.glob("*/*/*.json")
    record = json.loads(path.read_text())
    change(record)
    folder = tmp_path / "digits"
    synthetic.write_all(folder, [record])
    (folder / "README.md").write_text((real / "README.md").read_text())
    return folder


def test_a_real_page_passes_the_same_check(real, tmp_path):
    check_folder(real, tmp_path)
    numbers = re.findall(r"\*\*(\d+\.\d)\*\*", (real / "README.md").read_text())
    (record,) = results.read_all(real)
    assert numbers == [f"{100 * np.mean(record['history']['val_accuracy']):.1f}"]


def shift(values, at=-1):
    values[at] = math.fmod(values[at] + 0.3, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: shift(record["history"]["val_accuracy"]),
        lambda record: shift(record["history"]["val_teacher_accuracy"]),
        lambda record: shift(record["history"]["id_recall"]),
        lambda record: record["summary"]["student"].update(best=0.99),
        lambda record: record["summary"].update(device="a faster one"),
    ],
    ids=["student", "teacher", "verdict", "summary", "page"],
)
def test_the_check_sees_a_change(real, tmp_path, change):
    """So that it would see one in the repository's results."""
    folder = doctored(real, tmp_path, change)
    with pytest.raises(AssertionError):
        check_folder(folder, tmp_path / "figures")
    unchanged = doctored(real, tmp_path / "same", lambda record: None)
    check_folder(unchanged, tmp_path / "figures")
