"""What training and evaluation report: metrics by phase, for every method."""

import contextlib
from typing import Any, ClassVar

import keras
from keras import ops

from josrc_keras import _runtime, metrics
from josrc_keras.data.checks import contract
from josrc_keras.training.step import Outcome, StepModel


class ReportingModel(StepModel):
    """A model that reports some metrics in training and others in evaluation.

    The constructor of a subclass ends with `make_metrics`.

    Attributes:
        verdicts: The kinds of `metrics.KINDS` that the model tells apart from other
            samples, and whose verdicts are compared with the truth; empty if it does
            not sort samples.
        training_metrics: Names of the metrics that only training reports.
        evaluation_metrics: Names of the metrics that only evaluation reports.
        monitored: Whether predictions and verdicts are compared with the true labels;
            see `callbacks.SelectionMonitor`.
    """

    verdicts: ClassVar[tuple] = ()
    training_metrics: ClassVar[tuple] = ()
    evaluation_metrics: ClassVar[tuple] = ()

    def make_metrics(self) -> None:
        """Creates the metrics that every method has."""
        self.monitored = False
        self._evaluating = False
        self._training_means = {
            name: keras.metrics.Mean(name=name) for name in self.training_metrics
        }
        self.selection_quality = metrics.SelectionQuality()
        self.accuracy_by_kind = metrics.AccuracyByKind()
        self.built = True

    def update_metrics(
        self, batch: contract.Batch, outcome: Outcome, penalty: Any
    ) -> dict[str, Any]:
        """Updates every metric with a batch; returns their values.

        Args:
            batch: A `contract.Batch`.
            outcome: What the step found, an `Outcome`.
            penalty: The sum of the networks' own losses, a scalar.
        """
        for per_sample, included in outcome.terms:
            total = weighted(per_sample, batch.sample_weight) + penalty
            _runtime.loss_metric(self).update_state(
                total, ops.cast(included, "float32")
            )
        for name, update in outcome.means.items():
            self._training_means[name].update_state(*update)
        self.update_truth(batch, outcome)
        return self.compute_metrics(
            None, batch.labels, outcome.logits, sample_weight=batch.sample_weight
        )

    def update_truth(self, batch: contract.Batch, outcome: Outcome) -> None:
        """Where `monitored`, compares predictions and verdicts with the true labels."""
        if not self.monitored:
            return
        given, truth = batch.integer_labels(), batch.true_labels
        self.accuracy_by_kind.update_state(given, truth, outcome.logits)
        if outcome.selection is not None:
            self.selection_quality.update_state(
                given, truth, outcome.selection, outcome.likelihood
            )

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the compiled metrics with the given labels; returns all results."""
        given = y["label"] if isinstance(y, dict) else y
        return super().compute_metrics(x, given, y_pred, sample_weight)

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of the metrics of the phase: training or evaluation."""
        hidden = set(
            self.training_metrics if self._evaluating else self.evaluation_metrics
        )
        if self._evaluating or not self.monitored:
            hidden.update(metrics.AccuracyByKind.result_names())
        judged = () if self._evaluating or not self.monitored else self.verdicts
        hidden.update(
            name
            for name in metrics.SelectionQuality.result_names()
            if not name.startswith(judged)
        )
        results = super().get_metrics_result()
        return {name: value for name, value in results.items() if name not in hidden}

    @contextlib.contextmanager
    def _reporting_evaluation(self):
        before, self._evaluating = self._evaluating, True
        try:
            yield
        finally:
            self._evaluating = before

    def set_monitored(self, monitored: bool) -> None:
        """Turns the comparison with the true labels on or off."""
        if monitored != self.monitored:
            self.monitored = monitored
            if self.train_function is not None:
                self.make_train_function(force=True)


def weighted(per_sample, sample_weight):
    """The `(N,)` values times their weights, if there are any."""
    if sample_weight is None:
        return per_sample
    return per_sample * ops.cast(sample_weight, per_sample.dtype)
