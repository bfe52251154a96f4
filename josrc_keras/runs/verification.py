"""How CleanNet is made from a configuration, and what it is told of labels."""

import numpy as np
from absl import logging

from josrc_keras.callbacks import VerifyLabels
from josrc_keras.runs.corrections import epoch_at, in_row_order

OF_DETECTOR = ("steps", "centres", "wrong_weight", "adam_rate")
CHOICE = 2 * 10**6  # A stream of random numbers apart from those of noise and epochs.


def verified_labels(config, train):
    """The verification labels of a training split, or some from its true labels.

    Args:
        config: A configuration.
        train: The training `data.Split`.

    Returns:
        `(N,)` int64: 1 right, 0 wrong, -1 not looked at.

    Raises:
        ValueError: If there are neither verification labels nor true ones, or the
            configured share is out of range.
    """
    if train.verified is not None:
        return train.verified
    if train.true_labels is None:
        raise ValueError(
            f"config.method={config.method} has to be told of some labels whether they "
            f"are right. Received: config.data.name={config.data.name}, without "
            "verification labels. Take data that have some, such as food101n, records "
            "with `verified`, or clothing1m with config.data.use_clean_train=True; "
            "written anew if they were written by an older version."
        )
    share = config.cleannet.verified_share
    if not 0 < share < 1:
        raise ValueError(
            "Expected config.cleannet.verified_share as a share of the training "
            f"labels, in (0, 1). Received: {share}. Take a number between."
        )
    random = np.random.default_rng([config.data.seed, CHOICE])
    chosen = random.permutation(len(train))[: max(1, round(share * len(train)))]
    verified = np.full(len(train), -1)
    verified[chosen] = (train.labels == train.true_labels)[chosen]
    logging.info("%d labels are verified by the truth.", len(chosen))
    return verified


def cleannet_arguments(weights):
    """A function that returns further arguments of `CleanNet` by a configuration."""
    return lambda config: {
        "weights": weights,
        "threshold": config.cleannet.threshold,
    }


def cleannet_callbacks(config, train, path):
    """The callback that finds the similarities, after a share of the epochs."""
    fields = config.cleannet
    start = epoch_at(config, "cleannet.start")
    if fields.rounds < 1:
        raise ValueError(
            f"Expected config.cleannet.rounds of at least 1. Received: {fields.rounds}."
        )
    after = (config.epochs - start) / fields.rounds
    at_epochs = {start + round(after * number) for number in range(fields.rounds)}
    return [
        VerifyLabels(
            in_row_order(train),
            verified_labels(config, train),
            sorted(at_epochs),
            **{name: fields[name] for name in OF_DETECTOR},
            seed=config.seed,
        )
    ]
