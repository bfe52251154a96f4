"""Python in a process of its own, on a backend."""

import os
import subprocess
import sys

from tests.support.forks import ROOT


def run(backend, *command):
    """Runs Python in a process of its own, on a backend."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
