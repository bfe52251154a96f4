"""A mixture of two Beta distributions of the losses: which labels look wrong.

The second component is that of the large losses. Arazo et al., "Unsupervised Label
Noise Modeling and Loss Correction", ICML 2019, sections 3.1 and 3.2; the numbers that
limit values are those of its published code unless a docstring says otherwise.
"""

import math
from typing import Any, NamedTuple

import numpy as np

ITERATIONS = 10
POINTS = 100  # Entries of the table of posteriors.
EDGE = 1e-4  # Values are kept this far from 0 and 1, where the densities end.
FIT_EDGE = 1e-3  # The same for values that are fitted.
LEAST_RESPONSIBILITY = 1e-12
# These limits are ours: a component of equal values has no variance, and components
# that hardly differ, or of which one is all but empty, say nothing about labels.
LEAST_VARIANCE = 1e-6
LEAST_WEIGHT = 1e-3
LEAST_DISTANCE = 1e-3


class Mixture(NamedTuple):
    """Two Beta distributions and their shares, the one with the smaller mean first.

    Attributes:
        alpha: `(2,)` positive.
        beta: `(2,)` positive.
        weight: `(2,)` positive, sums to 1.
    """

    alpha: Any
    beta: Any
    weight: Any

    def means(self):
        """`(2,)` in (0, 1): the mean of each distribution."""
        return self.alpha / (self.alpha + self.beta)


FIRST = Mixture(np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.array([0.5, 0.5]))


def responsibilities(values, mixture):
    """`(2, N)`: how likely each value is of each component; columns sum to 1."""
    values = np.clip(np.asarray(values, "float64"), EDGE, 1 - EDGE)
    rows = []
    for alpha, beta, weight in zip(*mixture, strict=True):
        constant = math.lgamma(alpha + beta) - math.lgamma(alpha) - math.lgamma(beta)
        exponent = (alpha - 1) * np.log(values) + (beta - 1) * np.log1p(-values)
        rows.append(weight * np.exp(constant + exponent))
    limited = np.maximum(rows, LEAST_RESPONSIBILITY)
    return limited / limited.sum(axis=0)


def step(values, mixture):
    """One step of expectation maximisation, by the moments of each component.

    Args:
        values: `(N,)` in (0, 1).
        mixture: A `Mixture`.

    Returns:
        A `Mixture`, whose components are in the same order.
    """
    values = np.asarray(values, "float64")
    share = responsibilities(values, mixture)
    total = share.sum(axis=1)
    mean = (share * values).sum(axis=1) / total
    variance = (share * (values - mean[:, None]) ** 2).sum(axis=1) / total
    variance = np.maximum(variance, LEAST_VARIANCE)
    # A Beta distribution has a variance below mean (1 - mean).
    factor = np.maximum(mean * (1 - mean) / variance - 1, LEAST_VARIANCE)
    return Mixture(mean * factor, (1 - mean) * factor, total / total.sum())


def fit(values, iterations=ITERATIONS):
    """Fits the mixture.

    Args:
        values: `(N,)` in [0, 1].
        iterations: Number of steps, at least 1.

    Returns:
        A `Mixture`; None where the values have no two components: fewer than two
        different values, a component of almost no weight, or almost equal means.

    Raises:
        ValueError: If a value is NaN or infinite.
    """
    values = np.asarray(values, "float64")
    if not np.isfinite(values).all():
        raise ValueError(
            f"Expected finite losses. Received: {int((~np.isfinite(values)).sum())} of "
            f"{len(values)} with NaN or infinity. Lower the learning rate."
        )
    values = np.clip(values, FIT_EDGE, 1 - FIT_EDGE)
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    mixture = FIRST
    for _ in range(iterations):
        mixture = step(values, mixture)
    order = np.argsort(mixture.means(), kind="stable")
    mixture = Mixture(*(part[order] for part in mixture))
    near = np.ptp(mixture.means()) < LEAST_DISTANCE
    return None if near or mixture.weight.min() < LEAST_WEIGHT else mixture


def posterior_table(mixture):
    """The probability of the second component at equally spaced values of [0, 1].

    The tails of Beta distributions may bend: behind its largest entry the table stays
    there, so that no loss is too large for a wrong label.

    Args:
        mixture: A `Mixture`, or None.

    Returns:
        `(POINTS,)` float32 in [0, 1]; zeros without a mixture, which trust all labels.
    """
    if mixture is None:
        return np.zeros(POINTS, "float32")
    table = responsibilities(np.linspace(0, 1, POINTS), mixture)[1]
    largest = int(np.argmax(table))
    table[largest:] = table[largest]
    return table.astype("float32")


def normalised(losses):
    """The losses between their 5th and 95th percentile, as values of [0, 1].

    Args:
        losses: `(N,)` in nats, N at least 1.

    Returns:
        `(values, low, span)`: `(M,)` in [0, 1] of the losses that are kept, and the
        numbers with which any loss becomes `(loss - low) / span`; `span` is positive.
    """
    losses = np.asarray(losses, "float64")
    low, high = np.percentile(losses, [5, 95])
    kept = losses[(losses >= low) & (losses <= high)]
    low = low + 1e-5
    span = max(high - low + 1e-6, 1e-6)  # Equal losses would make it negative.
    return np.clip((kept - low) / span, 0, 1), float(low), float(span)
