"""josrc-train on many devices and with many workers: run, stop, resume."""

import csv
import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.support.workers import finish, launch, start_workers

ROOT = Path(__file__).parents[2]
EPOCHS = 12
COMMAND = [
    sys.executable,
    "-m",
    "josrc_keras.train",
    "--config=digits8n_o:paper",
    f"--config.epochs={EPOCHS}",
    "--config.data.train_size=256",
    "--config.checkpoint_every=1",
    "--config.threshold.warmup_epochs=2",
    "--config.learning_rate_decay.start_epoch=2",
    "--progress=none",
]
WHOLE = {"config.json", "history.csv", "summary.json", "checkpoint", "model.keras"}
BACKENDS = [
    "tensorflow",
    pytest.param(
        "jax",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("jax") is None, reason="JAX is not installed"
        ),
    ),
]


def environment(backend):
    return {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend}


def start(folder, backend, *flags):
    """Starts a training in `run` with these flags, in a process of its own."""
    command = [*COMMAND, "--workdir=run", *flags]
    return launch(command, cwd=folder, env=environment(backend))


def stop(processes, run, number):
    """Sends a signal once there is a checkpoint; returns `finish`."""
    end = time.monotonic() + 200
    while time.monotonic() < end and all(p.poll() is None for p in processes):
        if any((run / "checkpoint").glob("epoch-*")):
            for process in processes:
                process.send_signal(number)
            break
        time.sleep(0.01)
    return finish(processes)


def check_whole(run, *, devices, processes=1):
    """A run folder with all epochs, and nothing half-written."""
    names = {path.name for path in run.iterdir()}
    assert names >= WHOLE
    assert not any(name.startswith(".") for name in names)
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["devices"], summary["processes"]) == (devices, processes)
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, EPOCHS + 1))
    assert float(rows[-1]["loss"]) > 0
    return summary


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_run_on_two_devices_resumes_on_one(backend, tmp_path):
    """Killed on two devices; the same command without them goes on."""
    two = start(tmp_path, backend, "--strategy=mirrored", "--logical_devices=2")
    ((status, _, err),) = stop([two], tmp_path / "run", signal.SIGKILL)
    assert status == -signal.SIGKILL, err
    ((status, out, err),) = finish([start(tmp_path, backend)])
    assert status == 0, err
    assert "Resuming after epoch" in err
    summary = check_whole(tmp_path / "run", devices=1)
    assert f"student {summary['student']['last10_mean']:.1%}" in out


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_run_on_one_device_resumes_on_two(backend, tmp_path):
    """Terminated with how to resume; and it goes on with two devices."""
    ((status, out, err),) = stop(
        [start(tmp_path, backend)], tmp_path / "run", signal.SIGTERM
    )
    assert (status, out) == (143, "")
    assert "the same command resumes" in err
    two = start(tmp_path, backend, "--strategy=mirrored", "--logical_devices=2")
    ((status, out, err),) = finish([two])
    assert status == 0, err
    assert "Resuming after epoch" in err
    summary = check_whole(tmp_path / "run", devices=2)
    assert "--strategy=mirrored --logical_devices=2" in summary["command"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_workers_are_killed_and_resume(backend, tmp_path):
    """Both end with 0, resume after the same epoch, and print the same numbers."""

    def both():
        command = [*COMMAND, "--workdir=run", "--strategy=multi_worker"]
        return start_workers([command, command], cwd=tmp_path, env=environment(backend))

    for status, _, err in stop(both(), tmp_path / "run", signal.SIGKILL):
        assert status == -signal.SIGKILL, err
    results = finish(both())
    for status, _, err in results:
        assert status == 0, err
        assert "Resuming after epoch" in err
    summary = check_whole(tmp_path / "run", devices=2, processes=2)
    for _, out, _ in results:
        for network in ("student", "teacher"):
            assert f"{network} {summary[network]['last10_mean']:.1%}" in out


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_worker_that_does_not_see_the_run_refuses(backend, tmp_path):
    """The chief's folder holds a run, the other's none: both end with status 2."""
    ((status, _, err),) = finish([start(tmp_path, backend)])
    assert status == 0, err
    before = (tmp_path / "run" / "summary.json").read_bytes()
    commands = [
        [*COMMAND, f"--workdir={name}", "--strategy=multi_worker"]
        for name in ("run", "elsewhere")
    ]
    workers = start_workers(commands, cwd=tmp_path, env=environment(backend))
    for status, out, err in finish(workers):
        assert (status, out) == (2, ""), err
        assert f"Received: [{EPOCHS}, 0], one of each" in err
    assert (tmp_path / "run" / "summary.json").read_bytes() == before
    assert list((tmp_path / "elsewhere").iterdir()) == []
