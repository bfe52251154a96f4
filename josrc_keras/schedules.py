"""Schedules of thresholds and learning rates."""

import math
from typing import Any

import keras
from keras import ops

from josrc_keras._values import TAU_C as TAU_C
from josrc_keras._values import TAU_M as TAU_M
from josrc_keras._values import WARMUP_EPOCHS as WARMUP_EPOCHS

# The paper's values of eq. 12 for CIFAR.


def _check_epochs(warmup_epochs, epochs):
    if epochs < 1 or warmup_epochs < 0:
        raise ValueError(
            "`epochs` must be at least 1 and `warmup_epochs` at least 0. Received: "
            f"epochs={epochs}, warmup_epochs={warmup_epochs}."
        )


def check_thresholds(tau_c: float, tau_m: float) -> None:
    """Raises a `ValueError` unless `0 <= tau_c <= tau_m <= 1`."""
    if not 0 <= tau_c <= tau_m <= 1:
        raise ValueError(
            "The clean threshold climbs from tau_c to tau_m and is compared with a "
            "likelihood, so 0 <= tau_c <= tau_m <= 1 must hold. Received: "
            f"tau_c={tau_c}, tau_m={tau_m}. The paper uses 0.75 and 0.95."
        )


def clean_threshold(
    epoch: int, *, tau_c: float, tau_m: float, warmup_epochs: int, epochs: int
) -> float:
    """The threshold on the clean likelihood (eq. 12).

    It climbs from 0 to `tau_c` over the warm-up and on to `tau_m` at the last epoch.

    Args:
        epoch: The paper's t, counted from 1. (Its published code counts from 0.)
        tau_c: Threshold at the end of the warm-up, in [0, 1].
        tau_m: Threshold at the last epoch, in [tau_c, 1].
        warmup_epochs: The paper's t_w, at least 0.
        epochs: The paper's t_max, at least 1; later epochs keep its threshold.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: If a threshold or a number of epochs is out of range.
    """
    check_thresholds(tau_c, tau_m)
    _check_epochs(warmup_epochs, epochs)
    if warmup_epochs > 0 and epoch <= warmup_epochs:
        return epoch / warmup_epochs * tau_c
    progress = (min(epoch, epochs) - warmup_epochs) / max(epochs - warmup_epochs, 1)
    return tau_c + max(progress, 0.0) * (tau_m - tau_c)


def forget_rate(epoch: int, *, rate: float, warmup_epochs: int) -> float:
    """The share of a batch that Co-teaching and its successors leave out.

    It grows linearly over the warm-up (Han et al., NeurIPS 2018: 1 - R(T)).

    Args:
        epoch: Counted from 1.
        rate: The share after the warm-up, in [0, 1).
        warmup_epochs: T_k in their papers, at least 0.

    Returns:
        A float in [0, 1).

    Raises:
        ValueError: If an argument is out of range.
    """
    if not 0 <= rate < 1 or warmup_epochs < 0:
        raise ValueError(
            "The forget rate must be in [0, 1) and its warm-up at least 0 epochs. "
            f"Received: rate={rate}, warmup_epochs={warmup_epochs}."
        )
    return rate * min(epoch / warmup_epochs, 1.0) if warmup_epochs else rate


def linear_decay(epoch: int, *, decay_start: int, epochs: int) -> float:
    """Factor on the learning rate: 1, then linear to zero.

    This is the schedule of the paper's published code, and of JoCoR's. After epoch
    `decay_start` the factor falls in equal steps, which would reach 0 one epoch after
    the last.

    Args:
        epoch: Counted from 1.
        decay_start: Number of epochs at the full rate, in `[0, epochs]`.
        epochs: Number of epochs in all.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: If `decay_start` is outside `[0, epochs]`.
    """
    if not 0 <= decay_start <= epochs:
        raise ValueError(
            "`decay_start` must be in [0, epochs]. Received: "
            f"decay_start={decay_start}, epochs={epochs}."
        )
    if epoch <= decay_start:
        return 1.0
    return max(epochs - epoch + 1, 0) / max(epochs - decay_start, 1)


def cosine_decay(epoch: int, *, epochs: int) -> float:
    """Factor on the learning rate: half a cosine from 1 to 0 (Loshchilov, Hutter 2017).

    Args:
        epoch: Counted from 1; the first epoch has the factor 1.
        epochs: Number of epochs in all, at least 1. The factor would reach 0 in the
            epoch after the last.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: If `epochs` is below 1.
    """
    if epochs < 1:
        raise ValueError(f"`epochs` must be at least 1. Received: epochs={epochs}.")
    return 0.5 * (1 + math.cos(math.pi * min(epoch - 1, epochs) / epochs))


def contradiction_confidence(num_classes: int) -> float:
    """The probability of a wrong class at which a threshold should reject a label.

    With two classes 0.4 would not contradict the label, so there it is 0.6.
    """
    return 0.4 if num_classes > 2 else 0.6


def contradiction_likelihood(
    num_classes: int, smoothing: float, confidence: float | None = None
) -> float:
    """The clean likelihood (eq. 3) of a prediction that contradicts the label.

    The prediction is `confidence` on one wrong class and uniform on the others. A
    threshold below this value lets such a sample pass as clean. With few classes and
    strong smoothing this is the case until late in the climb of eq. 12.

    Args:
        num_classes: `C`, at least 2.
        smoothing: The paper's epsilon, in `[0, (C - 1) / C)`.
        confidence: Probability of the wrong class, in (0, 1); None takes
            `contradiction_confidence`.

    Returns:
        A float in [0, 1].
    """
    if confidence is None:
        confidence = contradiction_confidence(num_classes)
    rest = (1.0 - confidence) / (num_classes - 1)
    other = smoothing / (num_classes - 1)

    def half(p, y):
        """This pair's share of the Jensen-Shannon divergence, in nats."""
        mean = (p + y) / 2
        return sum(0.5 * v * math.log(v / mean) for v in (p, y) if v > 0)

    divergence = (
        half(rest, 1.0 - smoothing)
        + half(confidence, other)
        + (num_classes - 2) * half(rest, other)
    )
    return 1.0 - divergence / math.log(2.0)


def smoothing_for(num_classes: int, tau_c: float) -> float:
    """A smoothing for a number of classes: the paper's 0.6 where it is small enough.

    It is three quarters of `largest_useful_smoothing`, at least 0.1 and at most 0.6:
    0.3 for 8 classes, as chosen for the digits, and 0.6 for 80 classes or more.

    Args:
        num_classes: `C`, at least 2.
        tau_c: Threshold at the end of the warm-up, in (0, 1].

    Returns:
        A float in [0.1, 0.6].
    """
    return min(0.6, max(0.1, 0.75 * largest_useful_smoothing(num_classes, tau_c)))


def largest_useful_smoothing(num_classes: int, tau_c: float) -> float:
    """The largest smoothing, in steps of 0.05, at which tau_c rejects contradictions.

    At that smoothing the `contradiction_likelihood` is still below tau_c.

    Args:
        num_classes: `C`, at least 2.
        tau_c: Threshold at the end of the warm-up, in (0, 1].

    Returns:
        A float; 0.0 if there is none.
    """
    largest = math.ceil(20 * (num_classes - 1) / num_classes) - 1
    for step in range(largest, 0, -1):
        if contradiction_likelihood(num_classes, step / 20) < tau_c:
            return step / 20
    return 0.0


@keras.saving.register_keras_serializable(package="josrc_keras")
class WarmupLinear(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that climbs linearly, then falls linearly to zero at the end.

    It changes with every step, which short trainings need.

    Args:
        peak: The highest learning rate, positive.
        steps: Number of steps in all, at least 1.
        warmup_share: Share of the steps in which it climbs, in [0, 1).

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, peak: float, steps: int, warmup_share: float = 0.2) -> None:
        super().__init__()
        if not peak > 0 or steps < 1 or not 0 <= warmup_share < 1:
            raise ValueError(
                "Expected a positive peak, at least one step, and a warmup_share in "
                f"[0, 1). Received: peak={peak}, steps={steps}, warmup_share="
                f"{warmup_share}."
            )
        self.peak = peak
        self.steps = steps
        self.warmup_share = warmup_share

    def __call__(self, step: Any) -> Any:
        """The rate of a step, counted from 0: a float32 scalar."""
        done = (ops.cast(step, "float32") + 0.5) / self.steps
        left = (1.0 - done) / (1.0 - self.warmup_share)
        climbed = done / max(self.warmup_share, 1e-9)
        return self.peak * ops.maximum(ops.minimum(climbed, left), 0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("peak", "steps", "warmup_share")
        return {name: getattr(self, name) for name in names}
