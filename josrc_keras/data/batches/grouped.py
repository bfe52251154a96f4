"""Epochs whose batches are groups of samples of one given class each."""

import numpy as np

from josrc_keras.data.batches import balance

GROUPED = 10**6 + 33  # Its own stream of random numbers.


def check_group(group, batch_size):
    """Raises a `ValueError` unless batches can be made of groups.

    Args:
        group: Samples a group, at least 1; 1 groups nothing.
        batch_size: Samples a batch.
    """
    if group < 1 or batch_size % group:
        raise ValueError(
            "Expected a batch size that is a multiple of the samples a group. "
            f"Received: batch_size={batch_size}, group={group}. Change one of them."
        )


def epoch_size(labels, limit, group):
    """Number of samples in an epoch of whole groups.

    Args:
        labels: `(N,)` given labels.
        limit: The most samples of a class, or None; see `balance.limit_of`.
        group: Samples a group; 1 groups nothing.
    """
    counts = np.unique(labels, return_counts=True)[1]
    if limit is not None:
        counts = np.minimum(counts, limit)
    return int((-(-counts // group) * group).sum())


def epoch_order(labels, limit, group, seed, epoch):
    """The order of an epoch: random groups, each of one class.

    The samples of a class are shuffled and cut into groups. The last group of a class
    is filled up with its first samples, so that a class of fewer samples than a group
    is repeated. The result depends on the arguments alone.

    Args:
        labels: `(N,)` given labels.
        limit: As for `epoch_size`.
        group: Samples a group, at least 1.
        seed: Seed of the draw.
        epoch: Number of the epoch.

    Returns:
        int64 row numbers, as many as `epoch_size` says.
    """
    random = np.random.default_rng([seed, GROUPED, epoch])
    kept = balance.epoch_rows(labels, limit, seed, epoch)
    groups = []
    for label in np.unique(labels):
        rows = random.permutation(kept[labels[kept] == label])
        groups.append(np.resize(rows, (-(-len(rows) // group), group)))
    return random.permutation(np.concatenate(groups)).ravel().astype(np.int64)
