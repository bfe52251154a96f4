"""How the methods that correct labels or losses are made from a configuration."""

from josrc_keras.callbacks import (
    EstimateTransition,
    LossMixture,
    PencilStages,
    UpdateLabels,
)
from josrc_keras.data import batches

PENCIL_BATCH = 128  # The batch size that `config.pencil.label_rate` belongs to.
SECTIONS = ("f_correction.", "m_correction.", "joint_optim.", "pencil.")


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


def pencil_arguments(config):
    """Further arguments of `Pencil`, but for the number of samples."""
    names = ("alpha", "beta", "scale", "double_softmax")
    rate = config.pencil.label_rate * config.batch_size / PENCIL_BATCH
    return {name: config.pencil[name] for name in names} | {"label_rate": rate}


def pencil_callbacks(config, train, path):
    """The callback that begins the stages."""
    correct_from = epoch_at(config, "pencil.correct_from")
    least = correct_from + 1
    return [
        PencilStages(correct_from, epoch_at(config, "pencil.fixed_from", least=least))
    ]


def shortened_ramp(ramp, steps):
    """The first and the last step of a ramp, at most an eighth and a half of all."""
    return min(ramp[0], steps // 8), min(ramp[1], steps // 2)


def joint_optim_arguments(config):
    """Further arguments of `JointOptim`, but for the number of samples."""
    return {name: config.joint_optim[name] for name in ("alpha", "beta", "prior")}


def joint_optim_callbacks(config, train, path):
    """The callback that replaces labels and begins the second stage."""
    start = epoch_at(config, "joint_optim.start")
    second_stage = epoch_at(config, "joint_optim.second_stage", least=start + 1)
    return [UpdateLabels(start, config.joint_optim.memory, second_stage)]


def m_correction_arguments(config):
    """Further arguments of `MCorrection`."""
    return {name: config.m_correction[name] for name in ("mixup", "eta", "soft")}


def m_correction_callbacks(config, train, path):
    """The callback that fits the mixture to the losses of all training images."""
    start = epoch_at(config, "m_correction.start")
    return [LossMixture(in_row_order(train), train.labels, start)]
