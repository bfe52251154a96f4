"""The mean teacher: an exponential moving average of the student (eq. 8)."""

import keras
from keras import ops

from josrc_keras import _runtime

DECAY = 0.99  # The paper's omega (eq. 8).


def clone(network):
    """A copy of `network` that no gradient changes.

    Its variables are frozen one by one while its layers stay trainable, since Keras's
    batch normalisation uses batch statistics only in a trainable layer.

    Args:
        network: A built `keras.Model` that can be cloned.

    Returns:
        A `keras.Model` of its own with equal weights.

    Raises:
        ValueError: If the clone does not have the network's weights.
    """
    copy = keras.models.clone_model(network)
    if [w.shape for w in copy.weights] != [w.shape for w in network.weights]:
        raise ValueError(
            f"The network {network.name!r} can't be cloned for the mean teacher. "
            f"Received: a clone with {len(copy.weights)} weights; expected the "
            f"network's {len(network.weights)}, of equal shapes. Let its `get_config` "
            "list every constructor argument, and create its layers in `__init__`."
        )
    copy.set_weights(network.get_weights())
    follow_freezing(copy, network)
    return copy


def follow_freezing(teacher, student):
    """Makes the same layers of both networks trainable; no variable of the teacher.

    A frozen layer of the student gives the teacher its weights, since no average of
    what does not move is needed.

    Args:
        teacher: What `clone` made of `student`.
        student: The trained network.
    """
    layers = zip(
        _runtime.all_layers(teacher), _runtime.all_layers(student), strict=True
    )
    for ours, theirs in layers:
        ours.trainable = theirs.trainable
        if not theirs.trainable:
            ours.set_weights(theirs.get_weights())
    for variable in teacher.weights:
        variable.trainable = False


def update(teacher, student, decay, *, statistics, predicted=1.0):
    """Moves the teacher a step towards the student (eq. 8).

    `teacher <- decay * teacher + (1 - decay) * student`; weights that are not floats
    are copied.

    Args:
        teacher: What `clone` made of `student`.
        student: The trained network.
        decay: The paper's omega, in [0, 1]; 0 copies the student.
        statistics: `"moving"` averages every weight. `"batch"` leaves out what no
            gradient trains (batch normalisation's moving statistics) where the
            teacher's own forward passes keep it.
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


def statistics_of(teacher, student):
    """The teacher's weights that only its own forward passes change, in training."""
    pairs = zip(teacher.weights, student.weights, strict=True)
    return [
        ours for ours, theirs in pairs if not theirs.trainable and "float" in ours.dtype
    ]
