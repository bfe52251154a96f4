"""Class-balanced epochs: equally many samples of every given class, drawn each time."""

import numpy as np

BALANCE = 10**6 + 3  # Its own stream of random numbers.


def limit_of(labels, balanced):
    """The most samples of a class that an epoch takes, or None for all.

    Args:
        labels: `(N,)` given labels.
        balanced: False for all samples; True for as many of each class as the rarest
            class that occurs has; or a number, the most of a class.

    Raises:
        ValueError: If `balanced` is neither a bool nor a positive integer.
    """
    if balanced is False:
        return None
    if balanced is True:
        return int(np.unique(labels, return_counts=True)[1].min())
    if not isinstance(balanced, int | np.integer) or balanced < 1:
        raise ValueError(
            "Expected `balanced` as False, True, or the most samples of a class, at "
            f"least 1. Received: balanced={balanced!r}."
        )
    return int(balanced)


def epoch_size(labels, limit):
    """Number of samples in an epoch, with a `limit` as `limit_of` returns it."""
    counts = np.unique(labels, return_counts=True)[1]
    return int(counts.sum() if limit is None else np.minimum(counts, limit).sum())


def epoch_rows(labels, limit, seed, epoch):
    """The samples of an epoch: `limit` of each class, or all if it has fewer.

    The result depends on the arguments alone, so every process draws the same samples.

    Args:
        labels: `(N,)` given labels.
        limit: As `limit_of` returns it.
        seed: Seed of the draw.
        epoch: Number of the epoch.

    Returns:
        Increasing int64 row numbers.
    """
    if limit is None:
        return np.arange(len(labels))
    order = np.random.default_rng([seed, BALANCE, epoch]).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # Random within a class.
    starts = np.searchsorted(labels[order], labels[order])
    return np.sort(order[np.arange(len(order)) - starts < limit])
