"""Centres of groups of rows: k-means in NumPy, the same for the same seed."""

from typing import Any

import numpy as np


def centres(
    rows: Any, count: int, *, restarts: int = 10, iterations: int = 50, seed: Any = 0
) -> np.ndarray:
    """The centres of k-means, started by k-means++ (Arthur and Vassilvitskii, 2007).

    Args:
        rows: `(M, D)`.
        count: The most centres, at least 1.
        restarts: Number of starts, of which that with the least distances counts.
        iterations: The most iterations of each start.
        seed: As `numpy.random.default_rng` takes it.

    Returns:
        `(min(count, M), D)` float32; the rows themselves where there are at most
        `count`.
    """
    rows = np.asarray(rows, "float32")
    if len(rows) <= count:
        return rows
    random = np.random.default_rng(seed)
    best, least = rows[:count], np.inf
    for _ in range(restarts):
        found, distance = _lloyd(rows, _start(rows, count, random), iterations)
        if distance < least:
            best, least = found, distance
    return best


def _start(rows, count, random):
    """`(count, D)` rows, each drawn by its squared distance to those before it."""
    chosen = [int(random.integers(len(rows)))]
    nearest = _squared_distances(rows, rows[chosen])[:, 0]
    while len(chosen) < count:
        total = nearest.sum(dtype="float64")
        chances = nearest / total if total > 0 else None
        if chances is not None:
            chances = chances / chances.sum(dtype="float64")
        chosen.append(int(random.choice(len(rows), p=chances)))
        newest = _squared_distances(rows, rows[chosen[-1:]])[:, 0]
        nearest = np.minimum(nearest, newest)
    return rows[chosen]


def _lloyd(rows, found, iterations):
    """Centres that no longer move, and the sum of the squared distances to them."""
    before = None
    for _ in range(iterations):
        nearest = _squared_distances(rows, found).argmin(axis=1)
        if before is not None and (nearest == before).all():
            break
        before = nearest
        sizes = np.bincount(nearest, minlength=len(found))
        members = np.eye(len(found), dtype="float32")[nearest].T
        sums = members @ rows
        moved = sums / np.maximum(sizes, 1)[:, None].astype("float32")
        found = np.where(sizes[:, None] > 0, moved, found)  # An empty one stays.
    return found, float(_squared_distances(rows, found).min(axis=1).sum())


def _squared_distances(rows, others):
    """`(M, K)`, at least 0."""
    products = rows @ others.T
    lengths = np.square(rows).sum(axis=1)[:, None] + np.square(others).sum(axis=1)
    return np.maximum(lengths - 2 * products, 0)
