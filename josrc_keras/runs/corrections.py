"""How the methods that correct labels or losses are made from a configuration."""

from josrc_keras.callbacks import EstimateTransition
from josrc_keras.data import batches

SECTIONS = ("f_correction.",)


def epoch_at(config, name, *, least=1):
    """The number of epochs before the share that a field of the configuration names.

    Args:
        config: A configuration.
        name: Dotted name of a field that holds a share of the epochs.
        least: The least number of epochs to return.

    Returns:
        An integer, at least `least`.

    Raises:
        ValueError: If the share is out of range.
    """
    share = config
    for part in name.split("."):
        share = share[part]
    if not 0 < share < 1:
        raise ValueError(
            f"Expected config.{name} as a share of the epochs, in (0, 1). Received: "
            f"{share}. Take a number between."
        )
    return max(least, round(share * config.epochs))


def in_row_order(split):
    """A function that returns batches of a whole split in the order of its rows."""
    return lambda: batches.evaluation_batches(split, batch_size=100)


def f_correction_callbacks(config, train, path):
    """The callback that estimates the transition matrix, from all training images."""
    at_epoch = epoch_at(config, "f_correction.estimate_at")
    quantile = config.f_correction.quantile
    return [EstimateTransition(in_row_order(train), at_epoch, quantile)]
