"""Two processes that train together equal one, and only the chief writes."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.workers import finish, start_workers

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow  # Two processes, each for minutes.
BACKENDS = ["tensorflow", "jax"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """From a backend to the folder, and what both workers and one process found."""
    kept = {}

    def run(backend):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        if backend not in kept:
            folder = tmp_path_factory.mktemp(backend)
            command = [sys.executable, "-m", "tests.support.strategy_runs"]
            environment = {**os.environ, "KERAS_BACKEND": backend}
            workers = start_workers(
                [[*command, "multi_worker", folder]] * 2, cwd=ROOT, env=environment
            )
            for status, _, err in finish(workers):
                assert status == 0, err[-2000:]
            subprocess.run(
                [*command, "none", folder], cwd=ROOT, env=environment, check=True
            )
            found = [
                json.loads((folder / f"{name}.json").read_text())
                for name in ("0", "1", "none")
            ]
            kept[backend] = folder, *found
        return kept[backend]

    return run


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_workers_equal_one_process(backend, results):
    """Weights, teacher, optimizer and metrics of a whole `runs.train.train`.

    With batch normalisation, the model's own augmentation, and 4 steps an execution.
    """
    _, chief, _, one = results(backend)
    assert chief["processes"] == 2
    ours, theirs = chief["run"], one["run"]
    for first, second in zip(ours["end"], theirs["end"], strict=True):
        np.testing.assert_allclose(first, second, atol=1e-4)
    assert len(ours["history"]) == 3
    for first, second in zip(ours["history"], theirs["history"], strict=True):
        assert first == pytest.approx(second, abs=1e-4)
        assert 0.05 < first["clean_precision"] < 0.95


def test_two_workers_equal_one_process_without_batch_norm(results):
    """Thirty steps of `fit` on arrays; unclean samples in the warm-up, too."""
    _, chief, other, one = results("tensorflow")
    for found in (chief["views"], other["views"]):
        for phase in ("warm-up", "end"):
            for first, second in zip(found[phase], one["views"][phase], strict=True):
                np.testing.assert_allclose(first, second, atol=1e-5)
        assert found["iterations"] == 30
        assert found["history"].keys() == one["views"]["history"].keys()
        for name, values in one["views"]["history"].items():
            np.testing.assert_allclose(values, found["history"][name], atol=1e-5)
    assert 0.05 < one["views"]["history"]["clean_fraction"][1] < 0.95


@pytest.mark.parametrize("backend", BACKENDS)
def test_summary_counts_workers(backend, results):
    """All agree on the numbers, also those that wrote none."""
    _, chief, other, one = results(backend)
    summaries = [found["run"]["summary"] for found in (chief, other, one)]
    assert [s["processes"] for s in summaries] == [2, 2, 1]
    assert [s["devices"] for s in summaries] == [2, 2, 1]
    for name in ("student", "teacher"):
        last = [summary[name]["last"] for summary in summaries]
        assert last[0] == last[1] == pytest.approx(last[2], abs=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_the_chief_writes(backend, results):
    folder, *_ = results(backend)
    written = {path.name for path in (folder / "run 0").iterdir()}
    assert {"config.json", "history.csv", "summary.json", "model.keras"} <= written
    assert list((folder / "run 1").iterdir()) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_folder_that_workers_do_not_share_is_refused(backend, results):
    """The chief would resume after epoch 3, the other one begin: both say so."""
    _, chief, other, _ = results(backend)
    for found in (chief, other):
        error = found["run"]["again"]
        assert error.startswith(
            "ValueError: The processes disagree on the number of epochs that are done. "
            "Received: [3, 0], one of each. Expected a run folder that all of them see"
        )


def test_partial_last_batch_is_refused(results):
    """Both workers end with the error, also the one that has no sample."""
    for found in results("tensorflow")[1:3]:
        error = found["partial"]
        assert error.startswith("ValueError: Replicas got parts of a batch that differ")
