"""Kills a training at random moments, resumes it, and compares it with a whole run.

    python benchmarks/kills.py --kills=20 > kills.md
    python benchmarks/kills.py --kills=6 --backend=jax

The script trains the digits once without interruption. Further runs of the same
configuration are killed with SIGKILL a few times each, and resumed by the same command
after each kill. At their end, history and weights must be those of the whole run to the
last bit. If they are not, the exit status is 1. It runs on Linux and macOS.

Three kinds of moments take turns. `random time` is drawn from training alone, from the
first step to the last plot. `checkpoint write` is while the checkpoint's unfinished
folder is there. `between epochs` is during evaluation or as soon as the history has a
new row. A kill is counted by what it has left behind. The columns `same weights`, `same
history` and `nothing left` are about the end of the kill's run.
"""

import argparse
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np

from josrc_keras import _files

ROOT = Path(__file__).resolve().parent.parent
EPOCHS = 8
STEPS = 24
FLAGS = [
    "--config=digits8n_o:paper",
    "--progress=bar",
    f"--config.epochs={EPOCHS}",
    "--config.deterministic=always",
    f"--config.data.train_size={32 * STEPS}",
    "--config.checkpoint_every=1",
    "--config.batch_size=32",
    "--config.threshold.warmup_epochs=2",
    "--config.learning_rate_decay.start_epoch=4",
]
KINDS = ("random time", "checkpoint write", "between epochs")
PER_RUN = 4  # Kills in each run.
TIMEOUT = 300


class Training:
    """A training into the folder `run`, in a process whose output goes to `log`."""

    def __init__(self, run, log, backend="tensorflow"):
        self.run, self.log = run, log
        command = [sys.executable, "-m", "josrc_keras.train", *FLAGS]
        environment = {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [*command, f"--workdir={run.name}"],
                cwd=run.parent,
                env=os.environ | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def output(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def progress(self):
        """The number of epochs done, with the fraction of the next by the bar."""
        seen = re.findall(r"Epoch (\d+)/|(\d+)/\d+\x1b", self.output())
        epochs = [int(epoch) for epoch, _ in seen if epoch]
        if not epochs:
            return -1.0
        return epochs[-1] - 1 + int(seen[-1][1] or 0) / STEPS

    def rows(self):
        """Rows of the history, or none before this process has begun to train."""
        return rows_in(self.run) if self.progress() >= 0 else 0

    def unfinished(self):
        """Whether a checkpoint is being written, or was when the process died."""
        return any((self.run / "checkpoint").glob(f"{_files.PREFIX}*"))

    def in_write(self, delay):
        """Stops the process `delay` seconds into a write, and says whether it did."""
        if not self.unfinished():
            return False
        time.sleep(delay)
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(0.01)  # All of its threads have to stop.
        if self.unfinished():
            return True
        self.process.send_signal(signal.SIGCONT)
        return False

    def finish(self):
        """Waits for the end of the process, which must succeed."""
        if self.process.wait(TIMEOUT):
            raise RuntimeError(f"The training failed:\n{self.output()[-3000:]}")

    def resumed(self):
        """The epoch after which the process has resumed the run, or 0."""
        found = re.search(r"Resuming after epoch (\d+) of", self.output())
        return int(found[1]) if found else 0


def history(run):
    """The history of a run folder, as bytes."""
    path = run / "history.csv"
    return path.read_bytes() if path.exists() else b""


def rows_in(run):
    return max(history(run).count(b"\n") - 1, 0)


def strike(training, kind, moment, source, tail=0.0):
    """Kills a `Training`, and returns whether the moment came before its end.

    The moment is counted in epochs, and beyond the last epoch in tails: a tail is the
    seconds that a run takes after its epochs. `source`, a `random.Random`, adds some
    milliseconds.
    """
    has_come, delay = plan(training, kind, moment, source, tail)
    end = time.monotonic() + TIMEOUT
    while training.process.poll() is None and not has_come():
        if time.monotonic() > end:
            training.process.kill()
            raise TimeoutError(f"It still trains:\n{training.output()[-3000:]}")
        time.sleep(0.0005)
    time.sleep(delay)
    training.process.kill()
    if training.process.wait() == -signal.SIGKILL:
        return True
    training.finish()
    return False


def plan(training, kind, moment, source, tail):
    """A function that says whether the moment has come, and a delay after it."""
    delay, epoch = source.random(), min(int(moment), EPOCHS - 1)
    if kind == "checkpoint write":
        delay *= 0.003  # A write takes five milliseconds.
        return lambda: training.rows() >= epoch and training.in_write(delay), 0.0
    if kind == "between epochs":
        last = epoch + 1 - (1.5 / STEPS if source.random() < 0.5 else 0)
        return lambda: max(training.progress(), training.rows()) >= last, 0.02 * delay
    step = min(max(moment, 1 / STEPS), EPOCHS)
    delay = 0.05 * delay + tail * max(moment - EPOCHS, 0)
    return lambda: max(training.progress(), training.rows()) >= step, delay


def record(training, kind):
    """The middle of a row of the table: what a killed training has left behind."""
    run, reached = training.run, training.progress()
    if training.unfinished():
        kind = "checkpoint write"
    elif kind == "checkpoint write":
        kind = "random time"
    left = []
    for folder in run.rglob(f"{_files.PREFIX}*"):
        parts = [path for path in folder.rglob("*") if path.is_file()]
        sizes = [f"{path.name} of {path.stat().st_size} B" for path in parts]
        name = folder.name.removeprefix(_files.PREFIX)[: -len("-????????")]
        left.append(f"{name} ({', '.join(sizes) or 'empty'})")
    epoch = max(math.ceil(reached), 1)
    return {
        "kind": kind,
        "reached": f"epoch {epoch}, step {round((reached - epoch + 1) * STEPS)}",
        "rows": rows_in(run),
        "newest checkpoint": newest(run),
        "left unfinished": "; ".join(left) or "-",
    }


def newest(run):
    """The epoch of the newest checkpoint of a run folder, or 0."""
    paths = (run / "checkpoint").glob("epoch-*")
    return max((int(path.name[-5:]) for path in paths), default=0)


def weights(run):
    """All arrays of the newest checkpoint and of the saved model, by name."""
    folder = run / "checkpoint" / f"epoch-{newest(run):05d}"
    with np.load(folder / "variables.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with (
        zipfile.ZipFile(run / "model.keras") as archive,
        archive.open("model.weights.h5") as file,
        h5py.File(file, "r") as stored,
    ):
        stored.visititems(add)
    return arrays


def same_weights(first, second):
    """Whether two run folders hold the same arrays, bit for bit."""
    ours, theirs = weights(first), weights(second)
    return ours.keys() == theirs.keys() and all(
        array.dtype == theirs[name].dtype and np.array_equal(array, theirs[name])
        for name, array in ours.items()
    )


def train_whole(folder, backend):
    """Trains without interruption; returns the run folder and the tail's seconds."""
    folder.mkdir()
    training = Training(folder / "run", folder / "log", backend)
    training.finish()
    last = max(path.stat().st_mtime for path in training.run.rglob("*"))
    return training.run, last - (training.run / "history.csv").stat().st_mtime


def train_killed(folder, backend, kinds, source, tail):
    """Trains with kills spread over the run; returns the run folder and records."""
    folder.mkdir()
    records = []
    for index, kind in enumerate([*kinds, None]):
        training = Training(folder / "run", folder / f"log-{index}", backend)
        span = EPOCHS + (kind == "random time")
        moment = span * (index + source.random()) / len(kinds)
        killed = kind and strike(training, kind, moment, source, tail)
        if not killed:
            training.finish()
        if records:
            records[-1]["resumed after epoch"] = training.resumed()
        if not killed:
            break
        records.append(record(training, kind))
    return training.run, records


def say_what_it_ran_on(run):
    summary = json.loads((run / "summary.json").read_text())
    versions = ", ".join(f"{k} {v}" for k, v in summary["versions"].items())
    print(f"{summary['device']}, {os.cpu_count()} cores; {versions}.")
    print(f"`{' '.join(['python', *sys.argv])}` kills `{summary['command']}`.\n")


def say(row, header):
    """Prints a row of the table, and the header before the first row."""
    for cells in ([row, ["---"] * len(row)] if header else []) + [row.values()]:
        print("|", " | ".join(map(str, cells)), "|", flush=True)


def kill_all(folder, flags):
    """Kills `--kills` times; returns the number of kills, and of harmless ones."""
    whole, tail = train_whole(folder / "whole", flags.backend)
    say_what_it_ran_on(whole)
    source, count, good, number = random.Random(flags.seed), 0, 0, 0
    while count < flags.kills:
        number += 1
        many = min(PER_RUN, flags.kills - count)
        kinds = [KINDS[(count + index) % len(KINDS)] for index in range(many)]
        place = folder / str(number)
        run, records = train_killed(place, flags.backend, kinds, source, tail)
        same = {
            "same weights": same_weights(whole, run),
            "same history": history(whole) == history(run),
            "nothing left": not any(run.rglob(f"{_files.PREFIX}*")),
        }
        answers = {name: "yes" if one else "NO" for name, one in same.items()}
        for each in records:
            count += 1
            resumed = each["resumed after epoch"] == each["newest checkpoint"]
            good += all(same.values()) and resumed
            say({"kill": count, "run": number} | each | answers, header=count == 1)
    return count, good


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    backends = ["tensorflow", "jax"]
    parser.add_argument("--backend", choices=backends, default="tensorflow")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        count, good = kill_all(Path(folder), flags)
    print(
        f"\n{good} of {count} resumed after the newest checkpoint, ended with the "
        "weights and history of the uninterrupted run, and left nothing unfinished."
    )
    sys.exit(good != count)


if __name__ == "__main__":
    main()
