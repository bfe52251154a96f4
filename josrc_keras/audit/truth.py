"""How good an audit is, where the true labels are known."""

from typing import TYPE_CHECKING, Any

import numpy as np

from josrc_keras import _checks
from josrc_keras.audit import scores

if TYPE_CHECKING:
    import pandas


def compare(table: "pandas.DataFrame", true_labels: Any) -> dict[str, Any]:
    """Compares an audit with the truth.

    Args:
        table: The table that `audit` returned.
        true_labels: `(N,)` true labels in the same order; -1 = out-of-distribution.

    Returns:
        A dict of numbers in [0, 1], with None where there is nothing to tell apart:

        - `label_auroc` and `label_average_precision`: how well `label_score` ranks
          wrong labels;
        - `issue_precision`, `issue_recall` and `issue_f1`, of `is_label_issue`;
        - `ood_auroc`: how well `ood_score` ranks out-of-distribution images among the
          samples whose label is truly wrong; `ood_auroc_all`: among all samples;
        - `suggestion_accuracy`: how often the suggested label of in-distribution noise
          is the true one;
        - `noise_rate` and `out_of_distribution_rate`, and both as `..._estimated`;
        - `verdicts`: for each verdict its precision, recall and share of all samples.
          Undecided says only that the label is wrong, and is measured by that.

    Raises:
        ValueError: If there is not one true label for each row.
        ImportError: If scikit-learn is needed and not installed.
    """
    true_labels = np.asarray(true_labels)
    if true_labels.shape != (len(table),):
        raise ValueError(
            f"Expected a true label for each of the {len(table)} rows. Received: shape "
            f"{true_labels.shape}."
        )
    given = table["given_label"].to_numpy()
    wrong, outside = given != true_labels, true_labels < 0
    issue = table["is_label_issue"].to_numpy(bool)
    score, ood = table["label_score"].to_numpy(), table["ood_score"].to_numpy()
    hits = int((issue & wrong).sum())
    precision = float(hits / issue.sum()) if issue.any() else None
    recall = float(hits / wrong.sum()) if wrong.any() else None
    noisy = wrong & ~outside
    right = table["predicted_label"].to_numpy()[noisy] == true_labels[noisy]
    verdict = table["verdict"].to_numpy()
    return {
        "label_auroc": auroc(-score, wrong),
        "label_average_precision": _average_precision(-score, wrong),
        "issue_precision": precision,
        "issue_recall": recall,
        "issue_f1": 2 * hits / max(int(issue.sum() + wrong.sum()), 1),
        "ood_auroc": auroc(ood[wrong], outside[wrong]),
        "ood_auroc_all": auroc(ood, outside),
        "suggestion_accuracy": float(right.mean()) if len(right) else None,
        "noise_rate": float(wrong.mean()),
        "noise_rate_estimated": float(issue.mean()),
        "out_of_distribution_rate": float(outside.mean()),
        "out_of_distribution_rate_estimated": float(
            (verdict == scores.OUT_OF_DISTRIBUTION).mean()
        ),
        "verdicts": {
            name: _quality(verdict == name, truth)
            for name, truth in zip(
                scores.VERDICTS, (~wrong, noisy, outside, wrong), strict=True
            )
        },
    }


def _quality(said, truth):
    hits = float((said & truth).sum())
    return {
        "precision": hits / int(said.sum()) if said.any() else None,
        "recall": hits / int(truth.sum()) if truth.any() else None,
        "share": float(said.mean()),
    }


def auroc(values, positive):
    """Area under the ROC curve; None unless there are positives and negatives."""
    if positive.all() or not positive.any():
        return None
    return float(_sklearn().roc_auc_score(positive, values))


def _average_precision(values, positive):
    if not positive.any():
        return None
    return float(_sklearn().average_precision_score(positive, values))


def _sklearn():
    return _checks.imported(
        "sklearn.metrics", "A comparison with the truth needs scikit-learn", "report"
    )
