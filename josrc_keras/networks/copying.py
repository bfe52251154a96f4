"""Copies of a network that compute what the network computes."""

import keras
import numpy as np

from josrc_keras import _runtime
from josrc_keras.networks.checks import outputs_on_noise

# Largest difference of a logit, as a share of the largest logit, between a network and
# its copy: for a copy of equal precision, and for a copy of another precision.
EQUAL = 1e-3
ROUNDED = 0.1


def clone(network, clone_function=None, *, tolerance=EQUAL):
    """A copy of a network with its state, proved on an input.

    Args:
        network: A built `keras.Model` that can be cloned.
        clone_function: Function of a layer that makes the copy's layer, at any depth,
            or None for an equal layer.
        tolerance: How much the logits may differ, as a share of the largest one.

    Returns:
        A `keras.Model` of its own.

    Raises:
        ValueError: If the copy does not have the network's weights, or computes
            something else.
    """
    copy = with_initial_weights(network, clone_function)
    return with_state_of(network, copy, tolerance=tolerance)


def with_initial_weights(network, clone_function=None):
    """A network of the same layers, whose weights are drawn anew.

    Args:
        network: A built `keras.Model` that can be cloned.
        clone_function: As for `clone`.

    Returns:
        A `keras.Model` of its own.
    """
    layers = _runtime.all_layers(network)
    functions = any(isinstance(layer, keras.layers.Lambda) for layer in layers)

    def make(layer):
        if isinstance(layer, keras.layers.Lambda):
            return _lambda_of(layer)
        if clone_function is not None:
            return clone_function(layer)
        return type(layer).from_config(layer.get_config())

    arguments = {}
    if functions or clone_function is not None:
        arguments = {"clone_function": make, "recursive": True}
    return keras.models.clone_model(network, **arguments)


def _lambda_of(layer):
    """A `Lambda` layer with the same function.

    Keras makes one from its configuration only where it may run code from a file, which
    this is not.
    """
    return keras.layers.Lambda(
        layer.function,
        mask=layer.mask,
        arguments=layer.arguments,
        name=layer.name,
        dtype=layer.dtype_policy,
    )


def with_state_of(network, copy, *, tolerance=EQUAL):
    """Gives `copy` the state of `network`: weights, and what layers derive from them.

    Keras's `set_weights` leaves out what a layer such as `Normalization` computes from
    its weights, so each layer restores its own state as it does from a file.

    Args:
        network: A built `keras.Model`.
        copy: A `keras.Model` of the same layers.
        tolerance: How much the logits may differ, as a share of the largest one.

    Returns:
        `copy`.

    Raises:
        ValueError: If the two do not have the same weights, or do not compute the same.
    """
    ours, theirs = [w.shape for w in copy.weights], [w.shape for w in network.weights]
    if ours != theirs:
        raise ValueError(
            f"The network {network.name!r} can't be cloned. Received: a clone with "
            f"{len(ours)} weights; expected the network's {len(theirs)}, of equal "
            "shapes. Let its `get_config` list every constructor argument, and create "
            "its layers in `__init__`."
        )
    copy.set_weights(network.get_weights())
    for layer, original in layer_pairs(copy, network):
        take_state(layer, original)
    _check_equal(network, copy, tolerance)
    return copy


def take_state(layer, original):
    """Gives a layer what `original` would save in a file, without its inner layers.

    The values pass through NumPy: on JAX, a variable that is assigned a variable shares
    its memory, which a training step then gives away twice.
    """
    store: dict = {}
    original.save_own_variables(store)
    if store:
        values = {key: np.asarray(value) for key, value in store.items()}
        layer.load_own_variables(values)


def layer_pairs(copy, network):
    """`(layer, original)` for all inner layers of a copy and its network.

    Input layers hold no state, and a clone may have some that its network lacks.

    Raises:
        ValueError: If the two are not made of the same layers.
    """
    ours, theirs = (
        [
            layer
            for layer in _runtime.all_layers(model)[1:]
            if not isinstance(layer, keras.layers.InputLayer)
        ]
        for model in (copy, network)
    )
    if len(ours) != len(theirs):
        raise ValueError(
            f"The network {network.name!r} can't be cloned. Received: a clone of "
            f"{len(ours)} layers; expected the network's {len(theirs)}. Let its "
            "`get_config` list every constructor argument."
        )
    return list(zip(ours, theirs, strict=True))


def _check_equal(network, copy, tolerance):
    expected = outputs_on_noise(network)
    if expected is None:  # The input's shape is not known before the first batch.
        return
    check_outputs(network, expected, outputs_on_noise(copy), tolerance)


def check_outputs(network, expected, received, tolerance=EQUAL):
    """Refuses a copy of a network whose outputs on the same input differ.

    Args:
        network: The network that was copied, for the message.
        expected: `(N, C)` its logits.
        received: `(N, C)` those of the copy.
        tolerance: How much they may differ, as a share of the largest one.

    Raises:
        ValueError: If they differ by more.
    """
    broken = np.isnan(expected)
    same = np.array_equal(broken, np.isnan(received))
    difference = float(np.abs(np.where(broken, 0, expected - received)).max())
    largest = float(np.abs(np.where(broken, 0, expected)).max())
    if not (same and difference <= tolerance * max(largest, 1e-3)):
        raise ValueError(
            f"A copy of the network {network.name!r} computes something else. "
            f"Received: logits that differ by {difference:.3g}, where the largest is "
            f"{largest:.3g}. Expected: equal ones. Some layer computes with a value "
            "that is none of its weights: let its `load_own_variables` restore that "
            "value, or keep it in a weight."
        )
