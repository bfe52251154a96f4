"""Kills commands at every file event, fills disks, and looks at what is left.

    python benchmarks/faults.py > results/scale/faults.md
    python benchmarks/faults.py --only=move --only=undo --kind=kills

A process that has imported everything once runs each command in a fork. The fork kills
itself with SIGKILL right before its first file event; the next one before the second,
and so on until a command ends before its turn. File events are what Python itself does
to a file: open it to write, rename, exchange, remove, link, make a folder, set a time.
Libraries that write files by themselves (HDF5, TensorFlow) have no event of their own.

After each kill the command runs again (after a move: undo, then move). Then everything
must be as if there had been no kill. "Nothing lost" also holds before that: each photo
is somewhere, and what was to be replaced is there, old or new. Each task runs within
one file system and between two; the second one is in memory (`--second`).

A full disk is a tmpfs of some ten sizes up to what is needed, and a read-only one a
tmpfs that is mounted again with `ro`. Both need root; without it they are left out, and
the page says so. The proof of an export runs in the process, since a process of its own
writes to the temporary folder only. If one answer is not "all", the exit status is 1.
"""

import argparse
import contextlib
import dataclasses
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from josrc_keras import _files

sys.path.insert(0, str(Path(__file__).resolve().parent))
import fault_tasks

EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link"}
EVENTS |= {"os.truncate", "os.utime", "os.chmod", "os.setxattr", "shutil.rmtree"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
PAGE = 4096
SIZES = 10  # Sizes of a full disk, or a few more.
SECOND = "/dev/shm"


@dataclasses.dataclass
class Outcome:
    """How many faults a task was put to, and how many of them did no harm."""

    task: str
    place: str
    fault: str
    faults: int = 0
    kept: int = 0
    whole: int = 0
    clean: int = 0
    notes: list = dataclasses.field(default_factory=list)

    def add(self, number, *, kept, whole, clean, note=""):
        self.faults += 1
        self.kept += kept
        self.whole += whole
        self.clean += clean
        if not (kept and whole and clean):
            self.notes.append(f"{number}: {kept=} {whole=} {clean=} {note[-600:]}")

    def is_good(self):
        return self.faults == self.kept == self.whole == self.clean

    def row(self):
        def share(count):
            return "all" if count == self.faults else f"**{count}**"

        counts = map(share, (self.kept, self.whole, self.clean))
        return [self.task, self.place, self.fault, str(self.faults), *counts]


HEADER = ["task", "file systems", "fault", "faults", "nothing lost"]
HEADER += ["nothing half", "nothing left over"]


def killer(number, folders):
    """An audit hook that kills the process before its file event of that number."""
    seen = 0

    def is_event(event, arguments):
        if event == "open":
            path, _, flags = arguments
            return isinstance(flags, int) and flags & WRITES and is_ours(path)
        if event == "ctypes.dlsym":
            return arguments[-1] == "renameat2"
        return event in EVENTS and any(map(is_ours, arguments[:2]))

    def is_ours(path):
        return str(path).startswith(folders)

    def hook(event, arguments):
        nonlocal seen
        if is_event(event, arguments):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def run(command, log, *, kill=None, folders=()):
    """Runs a command line in a fork; returns its exit status, negative if killed."""
    child = os.fork()
    if not child:
        status = 71
        try:
            descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            if kill is not None:
                sys.addaudithook(killer(kill, folders))
            status = call(command)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def call(command):
    """The exit status of a command line, run in this process."""
    sys.argv = list(command)
    try:
        importlib.import_module(f"josrc_keras.commands.{command[0]}").main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


class Bench:
    """A task in two folders, which are made anew before each fault.

    `first` and `second` are paths of folders, `log` that of a file for all output.
    """

    def __init__(self, task, log, first, second):
        self.task = task
        self.log = log
        self.first, self.second = first, second
        self.begin()
        self.goal = None
        self.before = task.state(first, second)

    def begin(self):
        """Makes both folders as they are before the task."""
        for folder in (self.first, self.second):
            for path in folder.iterdir() if folder.exists() else ():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            folder.mkdir(parents=True, exist_ok=True)
        self.task.make(self.first, self.second)
        self.begun = time.time_ns()

    def run(self, commands, **options):
        """Runs commands up to the first that fails; returns the last exit status."""
        for command in commands:
            line = [
                part.replace("FIRST", str(self.first)).replace(
                    "SECOND", str(self.second)
                )
                for part in command
            ]
            status = run(line, self.log, **options)
            if status:
                return status
        return 0

    def reach_goal(self):
        self.begin()
        if self.run([self.task.command]):
            raise RuntimeError(f"{self.task.name}: {self.said()}")
        self.goal = self.task.state(self.first, self.second)

    def attempt(self):
        """Runs the task; returns its status, and whether one line was its only harm."""
        status = self.run([self.task.command])
        is_line = status in (0, 2) and "Traceback" not in self.said()
        return status, is_line and self.kept()

    def said(self):
        return self.log.read_text(errors="replace")

    def mend(self):
        """Runs the task again; returns whether all is whole, and nothing left over."""
        for command in self.task.again:
            self.run([command])
        now = self.task.state(self.first, self.second)
        whole = self.task.is_whole(self.goal, now, self.before)
        left = [
            path
            for folder in (self.first, self.second)
            for path in folder.rglob(f"{_files.PREFIX}*")
        ]
        changed = [k for k in {*now, *self.goal} if now.get(k) != self.goal.get(k)]
        note = f"{self.said()[-300:]} {left=} {changed=}"
        return {"whole": whole, "clean": not left, "note": note}

    def kept(self):
        return self.task.is_kept(
            self.before, self.task.state(self.first, self.second), self.goal
        )


def kill_all(bench, place, *, first=1, limit=None, step=1):
    """Kills a task before each of its file events, from the first-th one on."""
    outcome = Outcome(bench.task.name, place, "killed")
    bench.reach_goal()
    folders = (str(bench.first), str(bench.second))
    number = first
    while limit is None or number <= limit:
        bench.begin()
        status = bench.run([bench.task.command], kill=number, folders=folders)
        if status == 0:
            break
        if status != -signal.SIGKILL:
            raise RuntimeError(f"{bench.task.name}, event {number}: {bench.said()}")
        kept = bench.kept()
        outcome.add(number, kept=kept, **bench.mend())
        number += step
    return outcome


def fill_all(bench, place, small):
    """Runs a task on a disk that is a little larger each time, until it succeeds."""
    outcome = Outcome(bench.task.name, place, "disk full")
    bench.reach_goal()
    parts = [path.lstat() for path in small.rglob("*")]
    new = sum(each.st_blocks for each in parts if each.st_ctime_ns > bench.begun) * 512
    step = max(new // PAGE // SIZES, 1) * PAGE
    size = step
    while True:
        bench.begin()
        now = os.statvfs(small)
        room = size + (now.f_blocks - now.f_bfree) * now.f_frsize
        subprocess.run(["mount", "-o", f"remount,size={room}", small], check=True)
        status, kept = bench.attempt()
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        if status == 0:
            return outcome
        outcome.add(size, kept=kept, **bench.mend())
        size += step


def lock_all(bench, place, small):
    """Runs a task on a disk that can only be read."""
    outcome = Outcome(bench.task.name, place, "read-only")
    bench.reach_goal()
    bench.begin()
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    _, kept = bench.attempt()
    subprocess.run(["mount", "-o", "remount,rw", small], check=True)
    outcome.add(1, kept=kept, **bench.mend())
    return outcome


@contextlib.contextmanager
def disk(folder):
    """Mounts a small file system; yields whether it could."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder]
    is_linux = sys.platform == "linux"
    is_mounted = (
        is_linux and not subprocess.run(command, capture_output=True).returncode
    )
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", folder], check=True)


def outcomes(flags):
    """The outcome of each task with each fault, one after the other."""
    tasks = fault_tasks.tasks(run)
    for name in flags.only or tasks:
        for count in flags.disks if "kills" in flags.kind else ():
            with (
                tempfile.TemporaryDirectory() as one,
                tempfile.TemporaryDirectory(dir=flags.second) as two,
            ):
                first, second = Path(one, "first"), Path(two, "second")
                if count == 1:
                    second = Path(one, "second")
                task = tasks[name](Path(one))
                bench = Bench(task, Path(one, "log"), first, second)
                part = {k: getattr(flags, k) for k in ("first", "limit", "step")}
                yield kill_all(bench, str(count), **part)
        if "disks" not in flags.kind:
            continue
        with tempfile.TemporaryDirectory() as one, disk(Path(one, "disk")) as is_there:
            if not is_there:
                continue
            task = tasks[name](Path(one))
            small, large = Path(one, "disk"), Path(one, "first")
            places = (small, large) if name == "undo" else (large, small)
            bench = Bench(task, Path(one, "log"), *places)
            yield fill_all(bench, "2", small)
            yield lock_all(bench, "2", small)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=fault_tasks.NAMES)
    kinds = ["kills", "disks"]
    parser.add_argument("--kind", action="append", choices=kinds, help="both if absent")
    parser.add_argument(
        "--disks", action="append", type=int, help="kills: 1, 2 or both"
    )
    parser.add_argument("--second", default=SECOND, help="folder on another disk")
    parser.add_argument("--first", type=int, default=1, help="event of the first kill")
    parser.add_argument("--limit", type=int, help="event of the last kill")
    parser.add_argument("--step", type=int, default=1, help="events between two kills")
    flags = parser.parse_args()
    flags.kind, flags.disks = flags.kind or kinds, flags.disks or (1, 2)
    fault_tasks.import_all()
    print(f"`python {' '.join(sys.argv)}`, on {sys.platform}.\n")
    print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}")
    found = []
    for outcome in outcomes(flags):
        found.append(outcome)
        print(f"| {' | '.join(outcome.row())} |", flush=True)
        for note in outcome.notes[:5]:
            sys.stderr.write(f"{outcome.task}, {outcome.place}: {note}\n")
    good = sum(outcome.is_good() for outcome in found)
    print(f"\n{good} of {len(found)} rows are without harm.")
    if os.geteuid() and "disks" in flags.kind:
        print("Full and read-only disks were left out: they need root.")
    sys.exit(any(not outcome.is_good() for outcome in found))


if __name__ == "__main__":
    main()
