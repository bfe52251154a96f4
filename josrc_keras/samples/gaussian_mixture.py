"""A mixture of two Gaussians of one variable, by which losses are told apart.

Wrong labels have larger losses than right ones as long as a network has not learnt them
by heart (Arpit et al., ICML 2017). Li, Socher and Hoi, "DivideMix", ICLR 2020, section
3.1, fit a mixture of two Gaussians to them.
"""

from typing import Any, NamedTuple

import numpy as np
from absl import logging

ITERATIONS = 10  # The most of EM, in the published code.
TOLERANCE = 1e-2  # Least gain of the mean log-likelihood, in nats.
FLOOR = 5e-4  # Variance that both components get on top.
LEAST_WEIGHT = LEAST_GAP = 1e-3


class Mixture(NamedTuple):
    """Two components, the one with the smaller mean first.

    Attributes:
        means: `(2,)`.
        variances: `(2,)`, above 0.
        weights: `(2,)`, sum to 1.
    """

    means: Any
    variances: Any
    weights: Any


def fit(values: Any, *, iterations: int = ITERATIONS) -> Mixture:
    """Fits the mixture by expectation and maximisation, always from the same start.

    The start is a division of the values into two groups by their nearer mean (Lloyd's
    algorithm, from the 5th and the 95th percentile on).

    Args:
        values: `(N,)` finite numbers, of which two at least differ.
        iterations: The most iterations, at least 1.

    Returns:
        A `Mixture`.
    """
    values = np.asarray(values, "float64")
    mixture, before = maximise(values, _two_groups(values)), -np.inf
    for _ in range(iterations):
        joint = log_densities(values, mixture)
        total = np.logaddexp(joint[0], joint[1])
        mixture = maximise(values, np.exp(joint - total))
        if abs(total.mean() - before) < TOLERANCE:
            break
        before = total.mean()
    order = np.argsort(mixture.means, kind="stable")
    return Mixture(*(np.asarray(each)[order] for each in mixture))


def maximise(values: Any, shares: Any) -> Mixture:
    """The mixture that fits best, given how the values are shared out.

    Args:
        values: `(N,)`.
        shares: `(2, N)` in [0, 1], columns sum to 1.

    Returns:
        A `Mixture`, in the order of the shares.
    """
    counts = shares.sum(axis=1) + 1e-12
    means = shares @ values / counts
    squares = (shares * (values - means[:, None]) ** 2).sum(axis=1)
    return Mixture(means, squares / counts + FLOOR, counts / counts.sum())


def log_densities(values: Any, mixture: Mixture) -> Any:
    """`(2, N)`: the logarithm of each component's weight times its density."""
    means, variances, weights = (np.asarray(each)[:, None] for each in mixture)
    exponents = (values - means) ** 2 / variances + np.log(2 * np.pi * variances)
    return np.log(weights) - exponents / 2


def posterior(values: Any, mixture: Mixture) -> Any:
    """The probability of the first component: `(N,)` float64 in [0, 1].

    Args:
        values: `(N,)`.
        mixture: A `Mixture`.
    """
    first, second = log_densities(np.asarray(values, "float64"), mixture)
    return np.exp(first - np.logaddexp(first, second))


def rescaled(losses: Any) -> Any:
    """The losses, moved and scaled to [0, 1]; zeros if all are equal.

    Args:
        losses: `(N,)` numbers.

    Raises:
        ValueError: If a loss is not finite, or there is none.
    """
    losses = np.asarray(losses, "float64")
    broken = int((~np.isfinite(losses)).sum())
    if broken or not len(losses):
        raise ValueError(
            f"Expected finite losses of at least one sample. Received: {broken} of "
            f"{len(losses)} that are NaN or infinite. The network has broken down: "
            "train with a lower learning rate."
        )
    low, high = losses.min(), losses.max()
    return np.zeros_like(losses) if low == high else (losses - low) / (high - low)


def clean_probability(values: Any) -> Any:
    """The probability that each label is right, by its loss.

    All labels are trusted where the values do not fall into two groups: where they are
    all equal, where a component is empty or both have one mean, or where a single
    Gaussian explains them as well (by the Bayesian information criterion). DivideMix
    itself would divide such values all the same.

    Args:
        values: `(N,)` losses in [0, 1], as `rescaled` returns them.

    Returns:
        `(N,)` float32 in [0, 1]; 1 = clean.
    """
    values = np.asarray(values, "float64")
    trusted = np.ones(len(values), "float32")
    if len(np.unique(values)) < 2:
        logging.warning("All losses are equal: every label is trusted.")
        return trusted
    mixture = fit(values)
    gap = mixture.means[1] - mixture.means[0]
    least = mixture.weights.min()
    if least < LEAST_WEIGHT or gap < LEAST_GAP or not _is_better(values, mixture):
        logging.warning(
            "The losses do not fall into two groups (means %.3f and %.3f, weights %.3f "
            "and %.3f): every label is trusted.",
            *mixture.means,
            *mixture.weights,
        )
        return trusted
    return posterior(values, mixture).astype("float32")


def _is_better(values, mixture):
    """Whether two components explain the values better than a single one."""
    two = np.logaddexp(*log_densities(values, mixture)).sum()
    variance = values.var() + FLOOR
    exponents = (values - values.mean()) ** 2 / variance
    one = -(exponents + np.log(2 * np.pi * variance)).sum() / 2
    return two - one > 1.5 * np.log(len(values))  # There are three more parameters.


def _two_groups(values):
    """`(2, N)` of 0 and 1: the values by the nearer of two means."""
    means = np.percentile(values, (5, 95))
    if means[0] == means[1]:
        means = np.array([values.min(), values.max()])
    for _ in range(ITERATIONS):
        upper = np.abs(values - means[1]) < np.abs(values - means[0])
        if upper.all() or not upper.any():
            break
        means = np.array([values[~upper].mean(), values[upper].mean()])
    return np.stack([~upper, upper]).astype("float64")
