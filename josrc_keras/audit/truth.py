"""How good an audit is, where the true labels are known."""

import numpy as np

from josrc_keras import _checks
from josrc_keras.audit import scores


def compare(table, true_labels):
    """Compares an audit with the truth.

    Args:
        table: What `audit` returned.
        true_labels: `(N,)` true labels in the same order; -1 = out of distribution.

    Returns:
        A dict of numbers, None where there is nothing to tell apart. `label_auroc` and
        `label_average_precision`: `label_score` for wrong labels; `issue_precision`,
        `issue_recall`, `issue_f1`: `is_label_issue`; `ood_auroc`: `ood_score` for
        foreign images among those whose label is truly wrong; `ood_auroc_all`: among
        all; `suggestion_accuracy`: how often the suggested label is the true one, of
        in-distribution noise; then each noise rate as it is and as it was estimated;
        `verdicts`: of each verdict its precision, recall and share of all samples.
    """
    true_labels = np.asarray(true_labels)
    if true_labels.shape != (len(table),):
        raise ValueError(
            f"Expected a true label for each of the {len(table)} rows. Received: shape "
            f"{true_labels.shape}."
        )
    given = table["given_label"].to_numpy()
    wrong, foreign = given != true_labels, true_labels < 0
    issue = table["is_label_issue"].to_numpy(bool)
    score, ood = table["label_score"].to_numpy(), table["ood_score"].to_numpy()
    hits = int((issue & wrong).sum())
    precision = float(hits / issue.sum()) if issue.any() else None
    recall = float(hits / wrong.sum()) if wrong.any() else None
    noisy = wrong & ~foreign
    right = table["predicted_label"].to_numpy()[noisy] == true_labels[noisy]
    verdict = table["verdict"].to_numpy()
    return {
        "label_auroc": _auroc(-score, wrong),
        "label_average_precision": _average_precision(-score, wrong),
        "issue_precision": precision,
        "issue_recall": recall,
        "issue_f1": 2 * hits / max(int(issue.sum() + wrong.sum()), 1),
        "ood_auroc": _auroc(ood[wrong], foreign[wrong]),
        "ood_auroc_all": _auroc(ood, foreign),
        "suggestion_accuracy": float(right.mean()) if len(right) else None,
        "noise_rate": float(wrong.mean()),
        "noise_rate_estimated": float(issue.mean()),
        "out_of_distribution_rate": float(foreign.mean()),
        "out_of_distribution_rate_estimated": float(
            (verdict == scores.OUT_OF_DISTRIBUTION).mean()
        ),
        "verdicts": {
            name: _quality(verdict == name, truth)
            for name, truth in zip(
                scores.VERDICTS, (~wrong, noisy, foreign), strict=True
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


def _auroc(values, positive):
    """Area under the ROC curve; None unless there are both kinds."""
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
