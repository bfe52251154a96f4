"""Classes that overlap so much that they should be merged: pure functions on arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from josrc_keras.probe.ranks import mean_ranks

MERGE = 0.7  # The overlap from which on two classes should be merged.
LISTED = 50  # The most pairs that are returned.
NEAREST = 10  # Other classes that are compared with each class.
NORMAL = 1.96  # The quantile of the normal distribution for 95% intervals.


def overlapping_classes(
    probs: Any, labels: Any, class_names: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Pairs of classes whose images a classifier can't tell apart.

    Two classes are compared by the samples that are labelled as one of them. These are
    ranked by the odds of the two classes. The area under the ROC curve is 1 where the
    labels follow that order and 1/2 where they follow chance, and the overlap is twice
    what it lacks of 1. The temperature of the probabilities and the numbers of samples
    have no influence on it. Wrong labels have one: if a share r of the labels of each
    class is of the other one, and the images look different, the overlap is 2 r. On
    photos of clothes, with 40% of the labels wrong, it was at most 0.71 for two classes
    and at least 0.87 for two halves of one class.

    Args:
        probs: `(N, C)` float, rows that sum to 1. They must be out-of-sample, as from
            cross-fitting: a network tells the images apart that it learnt by heart.
        labels: `(N,)` integers in [0, C): the labels as they were given.
        class_names: Names of the C classes, or None for their numbers.

    Returns:
        A list of dicts that JSON can hold, the largest overlap first, at most 50:

        - `labels` and `names` of the two classes, and `images`, their numbers;
        - `overlap`, in [0, 1]: 0 = told apart, 1 = the same;
        - `overlap_low` and `overlap_high`: its 95% interval by the standard error of
          Hanley and McNeil (1982), which is that of the area under the ROC curve;
        - `suggestion`: `"merge"` where all of the interval is at least 0.7, `"keep"`
          everywhere else.

        Pairs without overlap are left out, as are classes of one image. Each class is
        compared with the ten that get most of its probability.

    Raises:
        ValueError: If the shapes do not fit, a label is no class, or a probability is
            not in [0, 1].
    """
    probs, labels = _checked(probs, labels)
    count = probs.shape[1]
    names = [str(n) for n in (range(count) if class_names is None else class_names)]
    if len(names) != count:
        raise ValueError(
            f"Expected a name for each of the {count} classes. Received: {len(names)} "
            "class_names. Pass one for each column of probs."
        )
    rows = np.split(
        np.argsort(labels, kind="stable"),
        np.cumsum(np.bincount(labels, minlength=count))[:-1],
    )
    pairs = []
    for one, other in _compared(probs, rows):
        overlap, error = _overlap(probs, rows[one], rows[other], one, other)
        low, high = max(overlap - NORMAL * error, 0), min(overlap + NORMAL * error, 1)
        pairs.append(
            {
                "labels": [one, other],
                "names": [names[one], names[other]],
                "images": [len(rows[one]), len(rows[other])],
                "overlap": overlap,
                "overlap_low": low,
                "overlap_high": high,
                "suggestion": "merge" if low >= MERGE else "keep",
            }
        )
    pairs = [pair for pair in pairs if pair["overlap"] > 0]
    return sorted(pairs, key=lambda pair: (-pair["overlap"], pair["labels"]))[:LISTED]


def _compared(probs, rows):
    """Sorted pairs of classes, each of which is among the nearest of the other."""
    present = [label for label, each in enumerate(rows) if len(each) > 1]
    pairs = set()
    for one in present:
        mean = probs[rows[one]].mean(axis=0)
        others = [label for label in present if label != one]
        others.sort(key=lambda label: -mean[label])
        pairs |= {tuple(sorted((one, other))) for other in others[:NEAREST]}
    return sorted(pairs)


def _overlap(probs, rows, other_rows, one, other):
    """The overlap of two classes and its standard error."""
    tiny = np.finfo("float64").tiny
    both = np.concatenate([rows, other_rows])
    first, second = (
        np.maximum(probs[both, label].astype("float64"), tiny) for label in (one, other)
    )
    odds = np.log(first) - np.log(second)
    counts = len(rows), len(other_rows)
    area = (mean_ranks(odds)[: counts[0]].sum() - counts[0] * (counts[0] + 1) / 2) / (
        counts[0] * counts[1]
    )
    area = min(max(float(area), 0.5), 1.0)
    # Q1 and Q2 of Hanley and McNeil: two of one class on the right side of one of the
    # other class.
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (counts[0] - 1) * (q1 - area**2)
    variance += (counts[1] - 1) * (q2 - area**2)
    return 2 * (1 - area), 2 * float(max(variance, 0) / (counts[0] * counts[1])) ** 0.5


def _checked(probs, labels):
    probs, labels = np.asarray(probs), np.asarray(labels)
    if probs.ndim != 2 or labels.shape != probs.shape[:1]:
        raise ValueError(
            "Expected probs (N, C) and labels (N,). Received: shapes "
            f"{probs.shape} and {labels.shape}. Pass a row of probabilities for each "
            "label."
        )
    if not np.all((probs >= 0) & (probs <= 1)):
        raise ValueError(
            "Expected probabilities in [0, 1]. Received: values from "
            f"{np.min(probs)} to {np.max(probs)}. Apply softmax to logits first."
        )
    whole = np.issubdtype(labels.dtype, np.integer)
    if not whole or not np.all((labels >= 0) & (labels < probs.shape[1])):
        raise ValueError(
            f"Expected integer labels in [0, {probs.shape[1]}). Received: "
            f"{labels.dtype} labels, such as {labels[:5].tolist()}. Number the classes "
            "as the columns of probs."
        )
    return probs, labels
