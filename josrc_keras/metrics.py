"""Metrics for benchmarks, where the true labels are known (Figures 4, 5; Table 5)."""

from typing import Any

import keras
from keras import ops

KINDS = ("clean", "id", "ood")
BINS = 200  # Bins of the clean likelihood between 0 and 1.


def kind_of_noise(labels: Any, true_labels: Any) -> Any:
    """What each sample is: 0 clean, 1 in-distribution noise, 2 out-of-distribution.

    Args:
        labels: `(N,)` integer given labels.
        true_labels: `(N,)` integer true labels; -1 = out-of-distribution.

    Returns:
        `(N,)` int32.
    """
    true_labels = ops.cast(true_labels, "int32")
    wrong = ops.cast(ops.cast(labels, "int32") != true_labels, "int32")
    return ops.where(true_labels < 0, 2, wrong)


@keras.saving.register_keras_serializable(package="josrc_keras")
class SelectionQuality(keras.metrics.Metric):
    """Precision, recall and F1 of each verdict, and AUROC of the clean likelihood.

    `result()` is a dict: `clean_precision`, `clean_recall`, `clean_f1`, the same for
    `id` and `ood`, and `clean_auroc`, the chance that a clean sample has a higher
    likelihood than an unclean one. All are in [0, 1], where 1 is best. A precision
    with nothing selected, or a recall with nothing to find, is 0.

    Args:
        name: Name of the metric.
        **kwargs: Arguments of `keras.metrics.Metric`.
    """

    def __init__(self, name: str = "selection_quality", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.confusion = self.add_variable((3, 3), "zeros", name="confusion")
        self.histogram = self.add_variable((3, BINS), "zeros", name="histogram")

    def update_state(
        self, labels: Any, true_labels: Any, selection: Any, clean_likelihood: Any
    ) -> None:
        """Adds a batch.

        Args:
            labels: `(N,)` integer given labels.
            true_labels: `(N,)` integer true labels; -1 = out-of-distribution.
            selection: A `selection.Selection` of boolean `(N,)`.
            clean_likelihood: `(N,)` of eq. 3, or trust in the label, in [0, 1].
        """
        truth = ops.one_hot(kind_of_noise(labels, true_labels), 3, dtype="float32")
        verdict = ops.cast(ops.stack(selection, axis=1), "float32")
        bins = ops.cast(clean_likelihood * BINS, "int32")
        binned = ops.one_hot(ops.clip(bins, 0, BINS - 1), BINS, dtype="float32")
        columns = ops.transpose(truth)
        self.confusion.assign_add(ops.matmul(columns, verdict))
        self.histogram.assign_add(ops.matmul(columns, binned))

    def result(self) -> dict[str, Any]:
        """Returns the dict that the class docstring describes."""
        results = {}
        hits = ops.diagonal(self.confusion)
        precision = _ratio(hits, ops.sum(self.confusion, axis=0))
        recall = _ratio(hits, ops.sum(self.confusion, axis=1))
        f1 = _ratio(2 * precision * recall, precision + recall)
        for index, kind in enumerate(KINDS):
            results[f"{kind}_precision"] = precision[index]
            results[f"{kind}_recall"] = recall[index]
            results[f"{kind}_f1"] = f1[index]
        clean, unclean = self.histogram[0], ops.sum(self.histogram[1:], axis=0)
        below = ops.cumsum(unclean) - 0.5 * unclean  # A tie counts half.
        pairs = ops.sum(clean) * ops.sum(unclean)
        results["clean_auroc"] = _ratio(ops.sum(clean * below), pairs)
        return results

    @classmethod
    def result_names(cls) -> list[str]:
        """The keys of `result()`."""
        scores = [f"{k}_{s}" for k in KINDS for s in ("precision", "recall", "f1")]
        return [*scores, "clean_auroc"]

    def histograms(self) -> dict[str, list]:
        """Counts of the clean likelihood by truth.

        Returns:
            A dict of lists: `edges`, `BINS + 1` numbers, and for `clean`, `id` and
            `ood` `BINS` counts each.
        """
        counts = ops.convert_to_numpy(self.histogram).astype(int).tolist()
        edges = [index / BINS for index in range(BINS + 1)]
        return {"edges": edges, **dict(zip(KINDS, counts, strict=True))}


@keras.saving.register_keras_serializable(package="josrc_keras")
class AccuracyByKind(keras.metrics.Metric):
    """Training accuracy by kind of sample, which shows what is memorised (Figure 5).

    `result()` is a dict of accuracies in [0, 1], of the network in training mode.
    `accuracy_clean` is that on clean samples. For in-distribution noise there are
    `accuracy_id_given`, against the given, wrong labels, and `accuracy_id_true`,
    against the true ones. `accuracy_ood_given` is that on out-of-distribution samples,
    which have no true label. Without such samples an accuracy is 0.

    Args:
        name: Name of the metric.
        **kwargs: Arguments of `keras.metrics.Metric`.
    """

    def __init__(self, name: str = "accuracy_by_kind", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        # Rows: numbers of samples, of predicted given labels, of predicted true labels.
        self.counts = self.add_variable((3, len(KINDS)), "zeros", name="counts")

    def update_state(self, labels: Any, true_labels: Any, logits: Any) -> None:
        """Adds a batch.

        Args:
            labels: `(N,)` integer given labels.
            true_labels: `(N,)` integer true labels; -1 = out-of-distribution.
            logits: `(N, C)`.
        """
        predicted = ops.cast(ops.argmax(logits, axis=-1), "int32")
        rows = [
            ops.ones_like(predicted, dtype="float32"),
            ops.cast(predicted == ops.cast(labels, "int32"), "float32"),
            ops.cast(predicted == ops.cast(true_labels, "int32"), "float32"),
        ]
        kinds = ops.one_hot(kind_of_noise(labels, true_labels), 3, dtype="float32")
        self.counts.assign_add(ops.matmul(ops.stack(rows), kinds))

    def result(self) -> dict[str, Any]:
        """Returns the dict that the class docstring describes."""
        given = _ratio(self.counts[1], self.counts[0])
        true = _ratio(self.counts[2], self.counts[0])
        values = (given[0], given[1], true[1], given[2])
        return dict(zip(self.result_names(), values, strict=True))

    @classmethod
    def result_names(cls) -> list[str]:
        """The keys of `result()`."""
        kinds = ("clean", "id_given", "id_true", "ood_given")
        return [f"accuracy_{kind}" for kind in kinds]


def _ratio(numerator, denominator):
    """The quotient, or 0 where the denominator is 0."""
    return ops.divide_no_nan(numerator, denominator)
