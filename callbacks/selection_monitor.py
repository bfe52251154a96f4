"""The quality of the verdicts where the truth is known (Figure 4, Table 5)."""

import keras

from josrc_keras import files


class SelectionMonitor(keras.callbacks.Callback):
    """Adds precision, recall and F1 of the verdicts to what `fit` reports.

    The metrics are those of `metrics.SelectionQuality`: `clean_precision` to
    `ood_f1`, and `clean_auroc`. They need labels as `{"label", "true_label"}`, and
    cost no forward pass: they judge the selection that the step makes anyway.

    Args:
        histogram_path: JSON file for the histogram of the newest epoch, or None.

    Attributes:
        histogram: Counts of the clean likelihood by truth in the last epoch that was
            trained, as `SelectionQuality.histograms` returns; None before.
    """

    def __init__(self, histogram_path=None):
        super().__init__()
        self.histogram_path = histogram_path
        self.histogram = None

    def on_train_begin(self, logs=None):
        """Switches the metrics on.

        Raises:
            TypeError: If the model does not sort samples.
        """
        if not getattr(self.model, "selects_samples", False):
            raise TypeError(
                "SelectionMonitor judges how a model sorts its samples. Received: a "
                f"{type(self.model).__name__}, which does not. Leave the callback out."
            )
        self.model.set_monitored(True)

    def on_epoch_begin(self, epoch, logs=None):
        """Starts a new histogram."""
        self.histogram = None

    def on_test_begin(self, logs=None):
        """Takes the histogram before validation resets the metrics."""
        if self.histogram is None:
            self.histogram = self.model.selection_quality.histograms()

    def on_epoch_end(self, epoch, logs=None):
        """Takes the histogram of the clean likelihood, and writes it."""
        self.on_test_begin()
        if self.histogram_path is not None:
            files.write_json(self.histogram_path, self.histogram)

    def on_train_end(self, logs=None):
        """Switches the metrics off again."""
        self.model.set_monitored(False)
