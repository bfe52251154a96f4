"""Runs through `josrc_keras.runs.train`: without pictures, stopped, read."""

import csv

import keras

from josrc_keras.runs import build_callbacks, summary


def without_plots(patch):
    """Runs draw nothing, which takes seconds; `patch` is a `MonkeyPatch`."""
    patch.setattr(summary, "draw", lambda *arguments: [])


def without_pictures(patch):
    """Neither plots nor a TensorBoard log."""
    without_plots(patch)
    patch.setattr(build_callbacks, "_tensorboard", lambda workdir: [])


class StopAfter(keras.callbacks.Callback):
    """Stops after an epoch, counted from 1; has `seen` so many."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(epoch + 1)
        if epoch + 1 == self.epoch:
            self.model.stop_training = True


def history_of(workdir):
    """The rows of a run's `history.csv`."""
    with open(workdir / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def columns_of(workdir):
    """The columns of a run's `history.csv`, lists of numbers by name."""
    rows = [{k: float(v) for k, v in row.items()} for row in history_of(workdir)]
    return {name: [row[name] for row in rows] for name in rows[0]}
