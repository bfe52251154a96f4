"""The mean teacher: an exponential moving average of the student (eq. 8)."""

from typing import Any, Literal

import keras
from keras import ops

from josrc_keras._values import DECAY as DECAY
from josrc_keras.networks import copying


def clone(network: keras.Model) -> keras.Model:
    """A copy of `network` that no gradient changes.

    Its variables are frozen one by one while its layers stay trainable, since Keras's
    batch normalisation uses batch statistics only in a trainable layer.

    Args:
        network: A built `keras.Model` that can be cloned.

    Returns:
        A `keras.Model` of its own that computes the same.

    Raises:
        ValueError: If the clone does not have the network's weights, or computes
            something else.
    """
    copy = copying.clone(network)
    follow_freezing(copy, network)
    return copy


def follow_freezing(teacher: keras.Model, student: keras.Model) -> None:
    """Freezes the layers of the teacher that are frozen in the student.

    Every variable of the teacher is frozen as well. The teacher copies the weights of a
    frozen layer, since weights that do not move need no average.

    Args:
        teacher: What `clone` made of `student`.
        student: The trained network.
    """
    teacher.trainable = student.trainable
    for ours, theirs in copying.layer_pairs(teacher, student):
        ours.trainable = theirs.trainable
        if not theirs.trainable:
            ours.set_weights(theirs.get_weights())
            copying.take_state(ours, theirs)
    for variable in teacher.weights:
        variable.trainable = False


def update(
    teacher: keras.Model,
    student: keras.Model,
    decay: Any,
    *,
    statistics: Literal["batch", "moving"],
    predicted: Any = 1.0,
) -> None:
    """Moves the teacher a step towards the student (eq. 8).

    `teacher <- decay * teacher + (1 - decay) * student`. Weights that are not floats
    are copied.

    Args:
        teacher: What `clone` made of `student`.
        student: The trained network.
        decay: The paper's omega, a scalar in [0, 1]; 0 copies the student.
        statistics: `"moving"` averages every weight. `"batch"` leaves out the weights
            that no gradient trains (batch normalisation's moving statistics) where the
            teacher's own forward passes update them.
        predicted: Scalar, 1 if the teacher has made such a pass in this step, else 0.
    """
    for ours, theirs in zip(teacher.weights, student.weights, strict=True):
        own = statistics == "batch" and not theirs.trainable
        if "float" in ours.dtype:
            share = 1.0 - predicted if own else 1.0
            rate = ops.cast(share * (1.0 - decay), ours.dtype)
            ours.assign_add(rate * (ops.cast(theirs, ours.dtype) - ours))
        elif not own:
            ours.assign(theirs)


def statistics_of(teacher: keras.Model, student: keras.Model) -> list:
    """The teacher's float weights that no gradient trains in the student.

    With `"batch"` statistics only the teacher's own forward passes change them.
    """
    pairs = zip(teacher.weights, student.weights, strict=True)
    return [
        ours for ours, theirs in pairs if not theirs.trainable and "float" in ours.dtype
    ]
