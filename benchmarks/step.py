"""Times one training step: `josrc_keras` through `fit`, against plain PyTorch.

    step.py --out=step.json
    step.py --torch_python=/path/to/python --rounds=20

Each row is a process with an environment of its own. A round asks every process in
turn for the same number of steps while the others wait, so that other load on the
machine affects all of them alike. Ratios are taken within a round. Both sides train the
same network on batches of the same size with the arithmetic of the joint phase.
`josrc_keras` also makes both views, updates its metrics and runs its callbacks. The row
`matmul` is the machine's ceiling, a product of two large matrices, and "of matmul"
counts the network's arithmetic (convolutions and dense layers) against it.

The torch rows need PyTorch (`pip install torch`), here or under --torch_python.
"""

import contextlib
import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

from absl import app, flags

# glibc returns large buffers to the kernel after every step, and gets them again, page
# by page, in the next. These settings make it keep the buffers.
KEEP_BUFFERS = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}
JAX = {"KERAS_BACKEND": "jax"}
WORKERS = {  # name: (script, environment, arguments)
    "matmul": ("matmul_step.py", {}, ()),
    "torch": ("torch_step.py", {}, ()),
    "torch-malloc": ("torch_step.py", KEEP_BUFFERS, ()),
    "josrc": ("josrc_step.py", {}, ()),
    "josrc-onednn0": ("josrc_step.py", {"TF_ENABLE_ONEDNN_OPTS": "0"}, ()),
    "josrc-xla": ("josrc_step.py", {}, ("--xla",)),
    "josrc-2-devices": ("josrc_step.py", {}, ("--devices=2",)),
    "keras-lean": ("josrc_step.py", {}, ("--lean",)),
    "torch-lean": ("torch_step.py", {}, ("--lean",)),
    "torch-lean-malloc": ("torch_step.py", KEEP_BUFFERS, ("--lean",)),
    "josrc-jax": ("josrc_step.py", JAX, ()),
    "josrc-jax-2-devices": ("josrc_step.py", JAX, ("--devices=2",)),
}
REFERENCES = ("torch", "torch-malloc", "torch-lean", "torch-lean-malloc", "josrc")
# The recipe `lean` has half of the arithmetic, so its rows are measured by themselves:
# --workers=matmul,torch-lean,torch-lean-malloc,keras-lean.
PAPERS = [name for name in WORKERS if "lean" not in name]
# Settings of the caller's shell that would make a row something other than its name.
CLEARED = (
    *KEEP_BUFFERS,
    "TF_ENABLE_ONEDNN_OPTS",
    "KERAS_BACKEND",
    "XLA_FLAGS",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
)

_WORKERS = flags.DEFINE_list(
    "workers", PAPERS, f"Rows to measure, of {', '.join(WORKERS)}."
)
_ROUNDS = flags.DEFINE_integer("rounds", 8, "Rounds to measure.", lower_bound=2)
_WARMUP = flags.DEFINE_integer("warmup", 2, "Rounds to drop first.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 3, "Steps in a round.", lower_bound=1)
_BATCH = flags.DEFINE_integer("batch", 128, "Images in a batch.", lower_bound=2)
_TORCH_PYTHON = flags.DEFINE_string(
    "torch_python", sys.executable, "The interpreter of the torch rows."
)
_OUT = flags.DEFINE_string("out", None, "JSON file to write the result to.")
flags.register_validator(
    "workers",
    lambda names: set(names) <= set(WORKERS),
    f"Expected some of {[*WORKERS]}",
)


class Worker:
    """A process that runs training steps when asked, and waits otherwise.

    Attributes:
        about: What the worker said of itself, such as its versions.
        seconds: Seconds a step, a number for every round measured.
        peak: The most memory that the worker has used, in MiB.
    """

    def __init__(self, name):
        script, environment, arguments = WORKERS[name]
        python = _TORCH_PYTHON.value if name.startswith("torch") else sys.executable
        inherited = {k: v for k, v in os.environ.items() if k not in CLEARED}
        script = str(Path(__file__).with_name(script))
        self.name = name
        self.seconds = []
        self._process = subprocess.Popen(
            [python, script, str(_STEPS.value), str(_BATCH.value), *arguments],
            env={"TF_CPP_MIN_LOG_LEVEL": "2", **inherited, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.about = self._read()

    def measure(self):
        """Seconds a step over one round."""
        self._process.stdin.write(f"{_STEPS.value}\n")
        self._process.stdin.flush()
        answer = self._read()
        self.peak = answer["peak_mebibytes"]
        return answer["seconds"] / _STEPS.value

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise RuntimeError(
                f"The worker {self.name!r} ended with exit status {code}; its own "
                "message is above."
            )
        return json.loads(line)


def has_torch():
    command = [_TORCH_PYTHON.value, "-c", "import torch"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def available_workers():
    """The rows that were asked for, without torch's where it is missing."""
    names = _WORKERS.value
    if any(name.startswith("torch") for name in names) and not has_torch():
        print(
            f"The torch rows are skipped: {_TORCH_PYTHON.value} can't import torch. "
            f"Install it (pip install torch), or pass --torch_python.\n"
        )
        names = [name for name in names if not name.startswith("torch")]
    if not names:
        raise app.UsageError("No row is left to measure.")
    return names


def measure(names):
    """Starts the workers, one at a time, and alternates rounds between them."""
    workers = []
    try:
        for name in names:
            print(f"starting {name}", file=sys.stderr)
            workers.append(Worker(name))
            workers[-1].measure()  # It traces and compiles alone.
        for index in range(_WARMUP.value + _ROUNDS.value):
            for worker in workers:
                seconds = worker.measure()
                if index >= _WARMUP.value:
                    worker.seconds.append(seconds)
            print(f"round {index + 1}", file=sys.stderr)
    finally:
        for worker in workers:
            worker.close()
    return workers


def quartiles(values):
    """Lower quartile, median, upper quartile."""
    return statistics.quantiles(values, n=4, method="inclusive")


def summarise(workers):
    """A row of numbers for each worker. A ratio above 1 means faster than the other."""
    seconds = {worker.name: worker.seconds for worker in workers}
    rows = []
    for worker in workers:
        low, median, high = quartiles(worker.seconds)
        row = {
            "name": worker.name,
            "median_seconds": median,
            "quartile_seconds": [low, high],
            "samples_per_second": _BATCH.value / median,
            "peak_mebibytes": worker.peak,
            "flops": worker.about.pop("flops", None),
            "seconds": worker.seconds,
            "about": worker.about,
        }
        worker.about.pop("peak_mebibytes")
        for other in REFERENCES:
            if other in seconds and worker.name != "matmul":
                pairs = zip(seconds[other], worker.seconds, strict=True)
                low, median, high = quartiles([a / b for a, b in pairs])
                row[f"ratio_to_{other}"] = {"median": median, "quartiles": [low, high]}
        rows.append(row)
    add_shares(rows)
    return rows


def add_shares(rows):
    """Each row's share of the rate of matrix products, in the network's arithmetic."""
    by_name = {row["name"]: row for row in rows}
    if "matmul" not in by_name:
        return
    ceiling = rate(by_name["matmul"])
    counted = next((r["flops"] for r in rows if r["name"].startswith("josrc")), None)
    for row in rows:
        row["flops"] = row["flops"] or counted
        row["share_of_matmul"] = rate(row) / ceiling if row["flops"] else None


def rate(row):
    """Floating-point operations a second."""
    return row["flops"] / row["median_seconds"] if row["flops"] else 0.0


def table(rows):
    """The rows as lines of Markdown. The spread of a ratio is its quartiles."""

    def ratio(row, other):
        value = row.get(f"ratio_to_{other}")
        if not value:
            return "-"
        return "{:.2f} ({:.2f} to {:.2f})".format(value["median"], *value["quartiles"])

    names = {row["name"] for row in rows}
    references = [other for other in REFERENCES if other in names]
    titles = [f"times {other}" for other in references]
    titles = ["row", "s a step", "samples/s", "GFLOP/s", "of matmul", "MiB", *titles]
    yield f"| {' | '.join(titles)} |"
    yield "|" + "---|" * len(titles)
    for row in rows:
        share = row.get("share_of_matmul")
        samples = "-" if row["name"] == "matmul" else f"{row['samples_per_second']:.0f}"
        cells = [
            row["name"],
            f"{row['median_seconds']:.3f}",
            samples,
            f"{rate(row) / 1e9:.0f}",
            f"{share:.0%}" if share else "-",
            str(row["peak_mebibytes"]),
            *(ratio(row, other) for other in references),
        ]
        yield f"| {' | '.join(cells)} |"


def cpu_model():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def cores():
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def command():
    """The command line, with paths that hold on any machine."""
    arguments = [
        a for a in sys.argv[1:] if not a.startswith(("--torch_python", "--out"))
    ]
    return shlex.join(["python", "benchmarks/step.py", *arguments])


def report(rows):
    versions = {"python": platform.python_version()}
    for row in rows:
        versions |= row.pop("about")
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        versions["josrc_keras"] = importlib.metadata.version("josrc_keras")
    return {
        "command": command(),
        "cpu": cpu_model(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
        "batch": _BATCH.value,
        "steps_per_round": _STEPS.value,
        "rounds": _ROUNDS.value,
        "rows": rows,
    }


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    rows = summarise(measure(available_workers()))
    result = report(rows)
    print(f"\n{result['cpu']}, {result['cores']} cores, batch of {_BATCH.value}")
    print("\n".join(table(rows)))
    if _OUT.value:
        Path(_OUT.value).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
