"""How `step.py` talks to its workers: requests on stdin, replies on stdout.

Each request and each reply is a line. Only the standard library is used, since a worker
may run under a different interpreter.
"""

import json
import os
import resource
import sys
import time


class Pipe:
    """The worker's end of the pipe. Other output to stdout goes to stderr."""

    def __init__(self):
        self._replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def reply(self, **values):
        # Linux counts in KiB.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        values["peak_mebibytes"] = round(peak)
        self._replies.write(json.dumps(values) + "\n")

    def wait(self):
        """Waits for a request: a number of steps, or 0 when there are no more."""
        line = sys.stdin.readline()
        return int(line) if line.strip() else 0


def serve(step, **about):
    """Says that the worker is ready, then times the steps that are asked for."""
    pipe = Pipe()
    pipe.reply(**about)
    while steps := pipe.wait():
        start = time.perf_counter()
        for _ in range(steps):
            step()
        pipe.reply(seconds=time.perf_counter() - start)
