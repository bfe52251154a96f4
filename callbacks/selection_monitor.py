"""Verdicts and predictions against the truth (Figures 4 and 5, Table 5)."""

import os
from typing import Any

import keras

from josrc_keras import _files
from josrc_keras.devices import replicas


class SelectionMonitor(keras.callbacks.Callback):
    """Adds precision, recall and F1 of the verdicts to what `fit` reports.

    A model that sorts its samples reports the metrics of `metrics.SelectionQuality`
    (`clean_precision` to `ood_f1`, and `clean_auroc`). Every model reports those of
    `metrics.AccuracyByKind` (`accuracy_clean` to `accuracy_ood_given`). The metrics
    need labels as `{"label", "true_label"}`. They cost no forward pass, since they use
    what the step computes anyway.

    Args:
        histogram_path: JSON file for the histogram of the newest epoch, or None.

    Attributes:
        histogram: Counts of the clean likelihood by truth in the last epoch that was
            trained, as `SelectionQuality.histograms` returns; None before, and for a
            model that does not sort its samples.
    """

    def __init__(self, histogram_path: str | os.PathLike | None = None) -> None:
        super().__init__()
        self.histogram_path = histogram_path
        self.histogram: dict[str, list] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Switches the metrics on.

        Raises:
            TypeError: If the model has no such metrics.
        """
        if not hasattr(self.model, "set_monitored"):
            raise TypeError(
                "SelectionMonitor judges the models of josrc_keras. Received: a "
                f"{type(self.model).__name__}. Leave the callback out."
            )
        self.model.set_monitored(True)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts a new histogram."""
        self.histogram = None

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Reads the histogram before evaluation resets the metrics."""
        if self.histogram is None and self.model.verdicts:
            self.histogram = self.model.selection_quality.histograms()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Reads the histogram of the clean likelihood, and writes it to a file."""
        self.on_test_begin()
        wanted = self.histogram_path is not None and self.histogram is not None
        if wanted and replicas.is_chief(self.model):
            _files.write_json(self.histogram_path, self.histogram)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Switches the metrics off again."""
        self.model.set_monitored(False)
