"""Prototypes of classes by the density of their images' features.

The equations are those of Han, Luo and Wang, "Deep Self-Learning From Noisy Labels",
ICCV 2019, section 3.2. The paper's own text could not be checked. What is known comes
from two reports of others, which differ in the threshold and in the choice.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

LIMIT = 0.95  # Two prototypes of a class are less alike than this.
QUANTILE = 0.6  # Two fifths of a class's pairs are more alike than the threshold.
LEAST = 1e-8


def cosines(rows: Any, others: Any = None) -> Any:
    """The cosine of the angle between rows: `(M, K)` in [-1, 1].

    Args:
        rows: `(M, D)` features.
        others: `(K, D)`, or None for the rows themselves.

    Returns:
        `(M, K)`; 0 for a row of zeros.
    """
    first = _directions(rows)
    return first @ (first if others is None else _directions(others)).T


def _directions(rows):
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(lengths, LEAST)


def threshold_of(similarity: Any, quantile: float = QUANTILE) -> float:
    """The similarity that this share of the pairs of different rows stays below.

    Args:
        similarity: `(M, M)` symmetric.
        quantile: In [0, 1]. The value is an entry, the upper one of two.
    """
    pairs = similarity[~np.eye(len(similarity), dtype=bool)]
    if not len(pairs):
        return 0.0
    return float(np.quantile(pairs, quantile, method="higher"))


def density(similarity: Any, threshold: float) -> Any:
    """How many rows are near each row: `sum_j sign(S_ij - threshold)`, `(M,)`.

    Args:
        similarity: `(M, M)` cosines.
        threshold: In [-1, 1].
    """
    return np.sign(similarity - threshold).sum(axis=1)


def closeness(similarity: Any, density: Any) -> Any:
    """How alike each row is to the most alike row of higher density: `(M,)`.

    A row of the highest density gets its least similarity to any row.

    Args:
        similarity: `(M, M)` cosines.
        density: `(M,)` as `density` returns it.
    """
    denser = density[None, :] > density[:, None]
    most = np.where(denser, similarity, -np.inf).max(axis=1)
    return np.where(denser.any(axis=1), most, similarity.min(axis=1))


def choose(similarity: Any, count: int, threshold: float, limit: float = LIMIT) -> Any:
    """The rows that stand for a class: dense ones that are not alike.

    The densest rows come first of those whose `closeness` is below the limit, and of
    equally dense ones the earlier row. Where they are too few, the densest other rows
    follow.

    Args:
        similarity: `(M, M)` cosines.
        count: The most rows to choose.
        threshold: As for `density`.
        limit: In [-1, 1].

    Returns:
        int64 row numbers, `min(count, M)` of them.
    """
    dense = density(similarity, threshold)
    alike = closeness(similarity, dense) >= limit
    return np.lexsort((np.arange(len(dense)), -dense, alike))[:count]


def of_class(
    features: Any, count: int, quantile: float = QUANTILE, limit: float = LIMIT
) -> Any:
    """The prototypes of a class.

    Args:
        features: `(M, D)` of images with this given label.
        count: The most prototypes.
        quantile: As for `threshold_of`.
        limit: As for `choose`.

    Returns:
        `(P, D)` with `P = min(count, M)`.
    """
    similarity = cosines(features)
    return features[
        choose(similarity, count, threshold_of(similarity, quantile), limit)
    ]


def class_similarity(features: Any, prototypes: Sequence[Any]) -> Any:
    """How alike each row is to a class: the mean cosine to its prototypes.

    Args:
        features: `(N, D)`.
        prototypes: For each of C classes `(P, D)`, or an empty array.

    Returns:
        `(N, C)` in [-1, 1]; minus infinity for a class without prototypes.
    """
    found = np.full((len(features), len(prototypes)), -np.inf)
    for label, rows in enumerate(prototypes):
        if len(rows):
            found[:, label] = cosines(features, rows).mean(axis=1)
    return found
