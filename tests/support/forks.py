"""Command lines that are started, signalled and looked at one after the other."""

import contextlib
import csv
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("commands.py")
TIMEOUT = 300
TRAIN = "josrc_keras.train"
# A run of two steps.
QUICK = [
    "--config=digits8n_o:paper",
    "--config.epochs=1",
    "--config.data.train_size=128",
    "--progress=none",
]
# Lines of the log: TensorFlow's, and the package's own, which are no errors.
LOG = re.compile(
    r"[IWE]\d{4} |WARNING: ?(All log messages before absl)?|[\w.-]+: (?!error: )"
)


def contents(folder):
    """Path and bytes of each file, and the path of each folder."""
    return {
        str(path.relative_to(folder)): path.is_file() and path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def error_line(err):
    """The one line on the standard error that is not TensorFlow's log."""
    lines = [line for line in err.splitlines() if line and not LOG.match(line)]
    assert len(lines) == 1, err
    return lines[0]


def run_all(cases, folder, logs, *, timeout=TIMEOUT, **environment):
    """Runs command lines one after the other, each in a fork of one process.

    Args:
        cases: Name to a case of `commands.py`, but for `out` and `err`.
        folder: Working directory.
        logs: Folder of what they write to their output, `<name> out` and `<name> err`.
        timeout: Seconds for all together.
        **environment: Variables of the environment of all.

    Returns:
        A dict from a name to `(exit status, standard output, standard error)`.
    """
    streams = {n: {key: logs / f"{n} {key}" for key in ("out", "err")} for n in cases}
    lines = []
    for name, case in cases.items():
        paths = {key: str(path) for key, path in streams[name].items()}
        lines.append(json.dumps(case | paths) + "\n")
    done = subprocess.run(
        [sys.executable, SCRIPT],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        input="".join(lines),
        stdout=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=True,
    )
    statuses = map(int, done.stdout.splitlines()[1::2])
    return {
        name: (status, *(path.read_text() for path in streams[name].values()))
        for name, status in zip(cases, statuses, strict=True)
    }


class Forks:
    """A command in forks of one process; see `commands.py`.

    Args:
        module: Module of the command.
        folder: Working directory.
        logs: Folder of what the commands write to their output.
    """

    def __init__(self, module, folder, logs):
        self.module = module
        self.logs = logs
        self.count = 0
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, *arguments):
        """Starts a command; `finish` ends it."""
        self.count += 1
        out, err = (self.logs / f"{self.count} {name}" for name in ("out", "err"))
        case = {"module": self.module, "arguments": arguments}
        case |= {"out": str(out), "err": str(err)}
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()), out, err

    def finish(self, started):
        """`(exit status, standard output, standard error)`."""
        status = int(self.process.stdout.readline())
        return status, *(path.read_text() for path in started[1:])

    def run(self, *arguments):
        return self.finish(self.start(*arguments))

    def stop(self, history, rows, number, *arguments):
        """Sends a signal once the history has more than so many rows."""
        started = self.start(*arguments)
        end = time.monotonic() + TIMEOUT
        with contextlib.suppress(ProcessLookupError):  # It has ended by itself.
            while time.monotonic() < end and len(rows_of(history)) <= rows:
                os.kill(started[0], 0)
                time.sleep(0.01)
            os.kill(started[0], number)
        return self.finish(started)

    def close(self):
        self.process.stdin.close()
        self.process.wait(TIMEOUT)
        self.process.stdout.close()


def rows_of(history):
    if not history.exists():
        return []
    with open(history, newline="") as file:
        return list(csv.DictReader(file))
