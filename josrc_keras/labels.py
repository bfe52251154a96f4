"""Label smoothing, flattening and re-assignment (eq. 5 to 7)."""

import math
from typing import Any

import numpy as np
from keras import ops

from josrc_keras._layout import moved_names
from josrc_keras._values import SCALE as SCALE
from josrc_keras._values import SMOOTHING as SMOOTHING

__getattr__ = moved_names(__name__)


def check_smoothing(smoothing: float, num_classes: int) -> float:
    """Returns `smoothing`; raises unless the given class keeps the largest share.

    Raises:
        ValueError: If `num_classes` is below 2, or `smoothing` is outside
            `[0, (C - 1) / C)`. Above it, eq. 5 would put more on every other class
            than on the given one.
    """
    if num_classes < 2:
        raise ValueError(
            "A classifier needs at least two classes. "
            f"Received: num_classes={num_classes}. Pass the number of classes "
            "that the network has outputs for."
        )
    largest = (num_classes - 1) / num_classes
    if not 0 <= smoothing < largest:
        fix = math.floor(50 * largest) / 100
        raise ValueError(
            f"`smoothing` must be at least 0 and below (C - 1) / C = {largest:.4g} "
            f"for {num_classes} classes, or the given class is no longer the likeliest "
            f"(eq. 5). Received: smoothing={smoothing}. Try smoothing={fix}."
        )
    return smoothing


def check_scale(scale: float) -> float:
    """Returns `scale`; raises a `ValueError` unless it is positive."""
    if scale <= 0:
        raise ValueError(
            f"`scale` must be positive. Received: scale={scale}. The paper uses 10."
        )
    return scale


def _check_label_values(labels, num_classes):
    """Checks labels that are plain Python or NumPy values; tensors pass through."""
    if ops.is_tensor(labels):
        return labels
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == num_classes:
        return labels
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            "Labels must be integers of shape (N,) or one-hot rows of shape (N, "
            f"{num_classes}). Received: shape {labels.shape}, dtype {labels.dtype}."
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"Labels must be in [0, {num_classes - 1}]. Received values from "
            f"{labels.min()} to {labels.max()}. Re-number the classes from 0."
        )
    return labels


def smooth_labels(labels: Any, num_classes: int, smoothing: float) -> Any:
    """The label distribution of a clean sample (eq. 5).

    It puts `1 - smoothing` on the given class and `smoothing / (C - 1)` on every other.
    This is not Keras's `label_smoothing`, which also gives the given class its share
    of the smoothing.

    Args:
        labels: `(N,)` integers in `[0, C)`, or `(N, C)` one-hot rows.
        num_classes: `C`, at least 2.
        smoothing: The paper's epsilon, in `[0, (C - 1) / C)`.

    Returns:
        `(N, C)` float32, rows sum to 1.

    Raises:
        ValueError: If `num_classes` or `smoothing` is out of range, or `labels` are
            Python or NumPy values of another shape, type or range. A compiled step
            can't raise: there, a label out of range gives a row of NaN.
    """
    check_smoothing(smoothing, num_classes)
    labels = ops.convert_to_tensor(_check_label_values(labels, num_classes))
    if len(labels.shape) == 2:
        given = ops.cast(labels, "float32")
    else:
        labels = ops.cast(labels, "int32")  # A uint8 can't hold `num_classes` = 256.
        given = ops.one_hot(labels, num_classes, dtype="float32")
        in_range = ops.logical_and(labels >= 0, labels < num_classes)
        given = ops.where(ops.expand_dims(in_range, -1), given, math.nan)
    return (1.0 - smoothing) * given + smoothing / (num_classes - 1) * (1.0 - given)


def flatten_labels(teacher_probs: Any, scale: float = SCALE) -> Any:
    """The label distribution of an out-of-distribution sample (eq. 7).

    It is a softmax of the teacher's *probabilities* over `scale`, so nearly uniform.

    Args:
        teacher_probs: `(N, C)` the teacher's probabilities, rows sum to 1.
        scale: The paper's s, positive; the larger, the flatter.

    Returns:
        `(N, C)` float32, rows sum to 1.

    Raises:
        ValueError: If `scale` is not positive.
    """
    scores = ops.cast(teacher_probs, "float32") / check_scale(scale)
    return ops.softmax(scores, axis=-1)


def reassign(
    selection: Any, label_probs: Any, teacher_probs: Any, scale: float = SCALE
) -> Any:
    """The training target of every sample of a partitioned batch (eq. 5 to 7).

    Args:
        selection: A `selection.Selection` of boolean `(N,)`.
        label_probs: `(N, C)` smoothed given labels, the targets of the clean samples.
        teacher_probs: `(N, C)` the teacher's probabilities, the targets of the
            in-distribution noise and, flattened, of the out-of-distribution samples.
        scale: The paper's s, positive.

    Returns:
        `(N, C)` float32, rows sum to 1.

    Raises:
        ValueError: If `scale` is not positive.
    """
    label_probs = ops.cast(label_probs, "float32")
    teacher_probs = ops.cast(teacher_probs, "float32")
    relabelled = ops.where(
        ops.expand_dims(selection.out_of_distribution, -1),
        flatten_labels(teacher_probs, scale),
        teacher_probs,
    )
    return ops.where(ops.expand_dims(selection.clean, -1), label_probs, relabelled)
