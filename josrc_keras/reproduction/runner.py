"""Does the runs that are left, one after the other, and records each."""

import contextlib
import importlib.util
import math
import statistics
import time

import keras
from absl import logging

from josrc_keras import _files
from josrc_keras.reproduction import figures, robustness, robustness_page, tables_page
from josrc_keras.reproduction import results as records
from josrc_keras.runs import configuration, folder, large_sets, train


class Queue:
    """The runs of a reproduction: those that have a record, and those that are left.

    Args:
        runs: A list of `grid.Run`.
        workdirs: Folder of the run folders.
        results: Folder of the records.
        data: Folder for the images of large sets, one copy for all runs.
        manual_dir: Folder of what was downloaded by hand, or None.

    Raises:
        ValueError: If a record belongs to another configuration.
    """

    def __init__(self, runs, workdirs, results, data, manual_dir=None):
        self.workdirs = workdirs
        self.results = results
        self.configs = {run: _placed(run.config(), data, manual_dir) for run in runs}
        self.seconds = {}
        self.left = []
        self.broken = {}
        for run, config in self.configs.items():
            if records.is_done(results, run, config.to_dict()):
                found = records.read(records.path_of(results, run))
                self.seconds[run] = found["summary"]["wall_seconds"]
            else:
                self.left.append(run)

    def describe(self):
        """What is done and what is left, in lines."""
        lines = [f"  done  {run.name}" for run in self.seconds]
        lines += [f"  left  {run.name}{self._progress(run)}" for run in self.left]
        lines.append(
            f"{len(self.seconds)} of {len(self.configs)} runs done"
            f"{self.remaining() if self.left else ''}"
        )
        return "\n".join(lines)

    def remaining(self):
        """How long what is left should take, by the runs that are done, in words."""
        estimates = [self._estimate(run) for run in self.left]
        if None in estimates:
            return ", the rest will take: unknown until a run like it is done"
        return f", the rest should take {_minutes(sum(estimates))}"

    def work(self, *, time_limit=None, say=logging.info, scope=contextlib.nullcontext):
        """Does what is left.

        Args:
            time_limit: Minutes after which to stop, at the end of an epoch, or None.
            say: Function that is told, in a line, of each run that starts or ends.
            scope: Function that opens a context for each run, of its strategy.

        A run that breaks down is passed over: `broken` says why.

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
            keras.backend.clear_session()  # Else every run keeps its graphs.
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
            records.write(self.results, run, workdir)
            self.seconds[run] = summary["wall_seconds"]
            self.left.pop(0)
            rest = self.remaining() if self.left else ""
            say(f"{run.name}: {_outcome(summary)}{rest}")
            if self.left and deadline is not None and time.monotonic() > deadline:
                return False
        return not self.broken

    def _progress(self, run):
        """How far an unfinished run has come."""
        try:
            epochs = len(folder.read_history(self.workdirs / run.name))
        except OSError:
            return ""
        return f" (after epoch {epochs} of {self.configs[run].epochs})"

    def _forecast(self, epochs_done, pace):
        """How long the run in progress and all the others should take, in words."""
        current, *others = self.left
        epochs = self.configs[current].epochs
        seconds = pace * (epochs - epochs_done)
        text = f"Epoch {epochs_done} of {epochs}; this run should end in "
        text += _minutes(seconds)
        for other in others:
            found = self._estimate(other)
            # By the pace of this one where none of its kind is done.
            seconds += pace * self.configs[other].epochs if found is None else found
        return text + (f", all in about {_minutes(seconds)}." if others else ".")

    def _estimate(self, run):
        """Seconds that a run should take, by those of its kind; None without any."""
        kind = run.dataset, run.method
        epochs = self.configs[run].epochs
        paces = [
            seconds / self.configs[done].epochs
            for done, seconds in self.seconds.items()
            if (done.dataset, done.method) == kind
        ]
        return statistics.median(paces) * epochs if paces else None


def _placed(config, data, manual_dir):
    """The configuration, which says of a large set where it is and where it goes."""
    if config.data.name in large_sets.NAMES:
        config.data.dir = str(data / large_sets.folder_name(config))
        config.data.manual_dir = manual_dir
    return configuration.with_absolute_paths(config)


class Pace(keras.callbacks.Callback):
    """Reports how fast a run is, and stops it at a deadline.

    Args:
        deadline: A time of `time.monotonic()`, or None.
        report: Function of the number of epochs that are done and the seconds of one,
            called once.
    """

    MEASURED = 3  # Epochs; the first is left out, in which the step is compiled.

    def __init__(self, deadline, report):
        super().__init__()
        self.deadline = deadline
        self.report = report
        self.ends = []

    def on_epoch_end(self, epoch, logs=None):
        """Notes the time."""
        self.ends.append(time.monotonic())
        if len(self.ends) == self.MEASURED:
            pace = (self.ends[-1] - self.ends[0]) / (self.MEASURED - 1)
            self.report(epoch + 1, pace)
        if self.deadline is not None and self.ends[-1] > self.deadline:
            self.model.stop_training = True


def write_page(results, protocol):
    """Writes the page and the figures from the records; returns the page's path.

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
    if protocol == robustness.NAME:
        _files.write_text(path, robustness_page.write(found))
        return path
    drawn = []
    if importlib.util.find_spec("matplotlib") is None:
        logging.info("No figures: `pip install josrc-keras[report]` adds them.")
    else:
        drawn = figures.draw(found, results)
    _files.write_text(path, tables_page.write(found, protocol, drawn))
    return path


def _outcome(summary):
    student = summary["student"]["last10_mean"]
    return f"student {student:.1%} in {_minutes(summary['wall_seconds'])}"


def _minutes(seconds):
    minutes = math.ceil(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
