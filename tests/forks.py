"""Command lines that are started, signalled and looked at one after the other."""

import contextlib
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIMEOUT = 300


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
            [sys.executable, Path(__file__).with_name("commands.py")],
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
