"""Trains the runs that are left, one after the other, and records each."""

import contextlib
import importlib.util
import math
import statistics
import time

import keras
from absl import logging

from josrc_keras import _files
from josrc_keras.reproduction import (
    budget,
    budget_page,
    figures,
    robustness,
    robustness_page,
    tables_page,
)
from josrc_keras.reproduction import results as records
from josrc_keras.runs import configuration, folder, large_sets, train


class Queue:
    """The runs of a reproduction: those that have a record, and those that are left.

    Args:
        runs: A list of `tables.Run`.
        workdirs: Folder of the run folders.
        results: Folder of the records.
        data: Folder for the records of large sets, one copy for all runs.
        manual_dir: Folder of files that were downloaded by hand, or None.

    Attributes:
        seconds: Dict from each run that is done to its wall time in seconds.
        left: List of the runs that are left.
        broken: Dict from each run that broke down to the reason.

    Raises:
        ValueError: If a record has a different configuration.
    """

    def __init__(self, runs, workdirs, results, data, manual_dir=None):
        self.workdirs = workdirs
        self.results = results
        self.configs = {run: _placed(run.config(), data, manual_dir) for run in runs}
        self.seconds = {}
        self.left = []
        self.broken = {}
        for run, config in self.configs.items():
            path = records.path_of(results, run)
            _files.remove_unfinished(path.parent, path.name)  # A killed one left it.
            if records.is_done(results, run, config.to_dict()):
                found = records.read(path)
                self.seconds[run] = found["summary"]["wall_seconds"]
            else:
                self.left.append(run)

    def describe(self):
        """Says in lines what is done and what is left."""
        lines = [f"  done  {run.name}" for run in self.seconds]
        lines += [f"  left  {run.name}{self._progress(run)}" for run in self.left]
        lines.append(
            f"{len(self.seconds)} of {len(self.configs)} runs done"
            f"{self.remaining() if self.left else ''}"
        )
        return "\n".join(lines)

    def remaining(self):
        """Says how long the rest should take, by the runs that are done."""
        estimates = [self._estimate(run) for run in self.left]
        if None in estimates:
            return ", the rest will take: unknown until a run like it is done"
        return f", the rest should take {_minutes(sum(estimates))}"

    def work(self, *, time_limit=None, say=logging.info, scope=contextlib.nullcontext):
        """Trains the runs that are left.

        A run that breaks down is passed over, and `broken` says why.

        Args:
            time_limit: Minutes after which to stop, at the end of an epoch, or None.
            say: Function that gets a line about each run that starts or ends.
            scope: Function that returns a context for each run, such as a strategy's.

        Returns:
            Whether everything is done.

        Raises:
            OSError: If data can't be read or results can't be written.
        """
        deadline = None if time_limit is None else time.monotonic() + 60 * time_limit
        while self.left:
            run = self.left[0]
            say(f"Training {run.name} ...")
            workdir = self.workdirs / run.name
            keras.backend.clear_session()  # Without this every run keeps its graphs.
            pace = Pace(deadline, lambda *found: say(self._forecast(*found)))
            try:
                with scope():
                    summary = train.train(
                        self.configs[run], workdir, verbose=0, callbacks=[pace]
                    )
            except FloatingPointError as error:
                self.broken[self.left.pop(0)] = f"{run.name}: {error}"
                say(f"{run.name} broke down.")
                continue
            if summary is None:
                return False
            records.write(self.results, run, workdir, run.audit(workdir))
            self.seconds[run] = summary["wall_seconds"]
            self.left.pop(0)
            rest = self.remaining() if self.left else ""
            say(f"{run.name}: {_outcome(summary)}{rest}")
            if self.left and deadline is not None and time.monotonic() > deadline:
                return False
        return not self.broken

    def _progress(self, run):
        """Says how far an unfinished run has come."""
        try:
            epochs = len(folder.read_history(self.workdirs / run.name))
        except OSError:
            return ""
        return f" (after epoch {epochs} of {self.configs[run].epochs})"

    def _forecast(self, epochs_done, pace):
        """Says how long the run in progress and all the others should take."""
        current, *others = self.left
        epochs = self.configs[current].epochs
        seconds = pace * (epochs - epochs_done)
        text = f"Epoch {epochs_done} of {epochs}; this run should end in "
        text += _minutes(seconds)
        for other in others:
            found = self._estimate(other)
            # Where no run of its kind is done, the pace of this run counts.
            seconds += pace * self.configs[other].epochs if found is None else found
        return text + (f", all in about {_minutes(seconds)}." if others else ".")

    def _estimate(self, run):
        """Seconds that a run should take, by runs of its kind; None without these."""
        kind = run.dataset, run.method
        epochs = self.configs[run].epochs
        paces = [
            seconds / self.configs[done].epochs
            for done, seconds in self.seconds.items()
            if (done.dataset, done.method) == kind
        ]
        return statistics.median(paces) * epochs if paces else None


def _placed(config, data, manual_dir):
    """The configuration, with the folders of a large set where it names one."""
    if config.data.name in large_sets.NAMES:
        config.data.dir = str(data / large_sets.folder_name(config))
        config.data.manual_dir = manual_dir
    return configuration.with_absolute_paths(config)


class Pace(keras.callbacks.Callback):
    """Reports how fast a run is, and stops it at a deadline.

    Args:
        deadline: A time of `time.monotonic()`, in seconds, or None.
        report: Function of the number of epochs that are done and the seconds of one
            epoch, called once.
    """

    MEASURED = 3  # Epochs to measure. The first, which compiles the step, is left out.

    def __init__(self, deadline, report):
        super().__init__()
        self.deadline = deadline
        self.report = report
        self.ends = []

    def on_epoch_end(self, epoch, logs=None):
        """Notes the time, and stops the run if it is past the deadline."""
        self.ends.append(time.monotonic())
        if len(self.ends) == self.MEASURED:
            pace = (self.ends[-1] - self.ends[0]) / (self.MEASURED - 1)
            self.report(epoch + 1, pace)
        if self.deadline is not None and self.ends[-1] > self.deadline:
            self.model.stop_training = True


def write_page(results, protocol):
    """Writes the page and the figures from the records, and returns the page's path.

    Raises:
        ValueError: If there are no records, or one is broken.
    """
    found = records.read_all(results)
    if not found:
        raise ValueError(
            f"Expected records of `josrc-reproduce`. Received: {results}, without any. "
            "Run it with --table or --suite first."
        )
    path = results / "README.md"
    _files.remove_unfinished(results, path.name)
    if protocol == robustness.NAME:
        _files.write_text(path, robustness_page.write(found))
        return path
    page = budget_page if protocol == budget.NAME else figures
    drawn = []
    if importlib.util.find_spec("matplotlib") is None:
        logging.info("No figures: `pip install josrc-keras[report]` adds them.")
    else:
        drawn = page.draw(found, results)
        _files.remove_unfinished(results, {name for _, name in drawn})
    if protocol == budget.NAME:
        text = budget_page.write(found, drawn)
    else:
        text = tables_page.write(found, protocol, drawn)
    _files.write_text(path, text)
    return path


def _outcome(summary):
    student = summary["student"]["last10_mean"]
    return f"student {student:.1%} in {_minutes(summary['wall_seconds'])}"


def _minutes(seconds):
    minutes = math.ceil(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
