"""The targets of the adaptive method, between label and teacher's prediction."""

from typing import Any

from keras import ops


def check_temperature(temperature: float) -> float:
    """Returns `temperature`; raises a `ValueError` unless it is positive."""
    if not temperature > 0:
        raise ValueError(
            f"`temperature` must be positive. Received: temperature={temperature}. 1 "
            "leaves the teacher's probabilities as they are."
        )
    return temperature


def temper(probs: Any, temperature: float) -> Any:
    """Sharpens (T below 1) or flattens distributions: `p ** (1 / T)`, normalised.

    Args:
        probs: `(N, C)` probabilities.
        temperature: T, positive; 1 changes nothing.

    Returns:
        `(N, C)` float32, rows sum to 1.

    Raises:
        ValueError: If `temperature` is not positive.
    """
    probs = ops.cast(probs, "float32")
    if check_temperature(temperature) == 1:
        return probs
    # Shares of the largest, since the powers of all probabilities may underflow.
    largest = ops.max(probs, axis=-1, keepdims=True)
    powers = ops.power(probs / largest, 1.0 / temperature)
    return powers / ops.sum(powers, axis=-1, keepdims=True)


def trusted(label_probs: Any, teacher_probs: Any, trust: Any, weight: Any) -> Any:
    """Targets between the given label and the teacher's prediction.

    The target is `trust * label + (1 - trust) * weight * teacher`: its rows sum to 1
    where the label is trusted, and to less where neither label nor teacher is.

    Args:
        label_probs: `(N, C)` smoothed given labels.
        teacher_probs: `(N, C)` the teacher's probabilities.
        trust: `(N,)` how far each label is trusted, in [0, 1].
        weight: `(N,)` how much the teacher's prediction counts, in [0, 1].

    Returns:
        `(N, C)` float32, rows sum to `trust + (1 - trust) * weight`.
    """
    trust = ops.expand_dims(ops.cast(trust, "float32"), -1)
    weight = ops.expand_dims(ops.cast(weight, "float32"), -1)
    label_probs = ops.cast(label_probs, "float32")
    teacher_probs = ops.cast(teacher_probs, "float32")
    return trust * label_probs + (1.0 - trust) * weight * teacher_probs


def weight(teacher_probs: Any, kind: str) -> Any:
    """How much the teacher's prediction counts where the label is not trusted.

    Args:
        teacher_probs: `(N, C)` the teacher's probabilities.
        kind: `"confidence"` for the largest probability; `"one"`; or `"zero"`.

    Returns:
        `(N,)` in [0, 1].
    """
    confidence = ops.max(teacher_probs, axis=-1)
    if kind == "confidence":
        return confidence
    return ops.full_like(confidence, 1.0 if kind == "one" else 0.0)
