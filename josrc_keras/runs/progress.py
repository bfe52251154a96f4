"""How far a training is, in a form that fits a terminal."""

from typing import Any

import keras

from josrc_keras.runs.folder import network_columns
from josrc_keras.training import progress

SHOWN = {
    "loss": "loss",
    "clean_fraction": "clean",
    "id_fraction": "id",
    "ood_fraction": "ood",
    "tau_clean": "tau",
}


class Progress(keras.callbacks.ProgbarLogger):
    """Keras's progress bar with the few numbers that are of interest during training.

    Pass it to `fit(verbose=0)`. The history has all numbers.

    Args:
        verbose: 0 is silent, 1 a progress bar, 2 a line an epoch, as in Keras.
    """

    def __init__(self, verbose=1):
        super().__init__()
        self.level = verbose

    def set_params(self, params):
        """Takes the run's parameters, with a verbosity of its own."""
        super().set_params({**params, "verbose": self.level})

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar."""
        super().on_train_batch_end(batch, _shown(logs))

    def on_epoch_end(self, epoch, logs=None):
        """Ends the epoch's line."""
        super().on_epoch_end(epoch, _shown(logs))


class WholeRun(keras.callbacks.Callback):
    """Tells how far the whole run is, and how long it still takes.

    On a terminal it is a bar, elsewhere a line now and then. Pass it to
    `fit(verbose=0, steps_per_epoch=...)`.
    """

    def __init__(self):
        super().__init__()
        self.told: Any = None
        self.before = 0

    def on_epoch_begin(self, epoch, logs=None):
        """Starts at the first epoch, which is a later one where a run is resumed."""
        steps = self.params["steps"]
        if self.told is None:
            self.before = epoch
            total = (self.params["epochs"] - epoch) * steps
            self.told = progress.Progress(total, "steps")
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Goes on by a step, or by several that were one call."""
        done = (self.epoch - self.before) * self.params["steps"] + batch + 1
        about = f"epoch {self.epoch + 1} of {self.params['epochs']}"
        self.told.go_to(done, about, lambda: _said(logs))

    def on_train_end(self, logs=None):
        """Takes the bar away."""
        if self.told is not None:
            self.told.close()


class Evaluation(keras.callbacks.Callback):
    """Tells how far an evaluation is. Pass it to `evaluate(verbose=0)`.

    Args:
        steps: Number of batches.
    """

    def __init__(self, steps):
        super().__init__()
        self.told = progress.Progress(steps, "batches")

    def on_test_batch_end(self, batch, logs=None):
        """Goes on by a batch, or by several that were one call."""
        self.told.go_to(batch + 1)

    def on_test_end(self, logs=None):
        """Takes the bar away."""
        self.told.close()


def _said(logs):
    return ", ".join(f"{name} {value:.4g}" for name, value in _shown(logs).items())


def _shown(logs):
    logs = logs or {}
    shown = SHOWN | {name: network for network, name in network_columns(logs).items()}
    return {short: logs[name] for name, short in shown.items() if name in logs}
