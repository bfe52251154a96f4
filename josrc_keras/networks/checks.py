"""Whether a network is a classifier of C classes."""

import math
from typing import Any

import keras

PROBABILITIES = ("softmax", "sigmoid")  # Activations whose results are no logits.


def check_network(network: Any, num_classes: int) -> keras.Model:
    """Returns `network` if it is a built classifier that ends in logits.

    Args:
        network: A `keras.Model`.
        num_classes: Number of outputs that it must have.

    Raises:
        TypeError: If it is not a `keras.Model`.
        ValueError: If it is not built, has a different number of outputs or more than
            one input or output tensor, or ends in a softmax.
    """
    if not isinstance(network, keras.Model):
        raise TypeError(
            f"Expected a keras.Model that returns logits. Received: {network!r}. "
            "Pass for example `josrc_keras.networks.cnn7(num_classes)`."
        )
    if not network.built or not network.weights:
        raise ValueError(
            f"The network {network.name!r} has no weights yet. Start it with "
            "`keras.Input(shape)`, or call it once on a batch, before passing it on."
        )
    outputs = outputs_on_noise(network)
    if outputs is None:
        return network
    if outputs.ndim != 2 or outputs.shape[1] != num_classes:
        raise ValueError(
            f"Expected a network with logits of shape (N, {num_classes}). Received: "
            f"{network.name!r}, whose output has shape (N, "
            f"{', '.join(map(str, outputs.shape[1:]))}). Give its last layer "
            f"{num_classes} units, or pass the right `num_classes`."
        )
    check_logits(network, outputs)
    return network


def check_logits(network, outputs):
    """Refuses a network that returns probabilities.

    A softmax of them would be taken later: 0.705 becomes 0.466.

    Args:
        network: A built `keras.Model`.
        outputs: `(N, C)` its output on any input.

    Raises:
        ValueError: If the rows sum to 1, or the last layer is known to end in softmax
            or sigmoid.
    """
    last = (getattr(network, "layers", None) or [network])[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if isinstance(last, keras.layers.Softmax):
        activation = "softmax"
    sums_to_1 = outputs.min() >= 0 and abs(outputs.sum(axis=1) - 1).max() < 1e-3
    if sums_to_1 and activation not in PROBABILITIES:
        activation = "softmax"
    if activation in PROBABILITIES:
        raise ValueError(
            f"Expected logits. Received: the network {network.name!r}, which returns "
            f"probabilities: it ends in {activation}. Remove the {activation}: the "
            f"last layer should be `keras.layers.Dense({outputs.shape[-1]})` without "
            "an activation; in a trained network set its `activation` to "
            "`keras.activations.linear`."
        )


def input_shape(network: keras.Model) -> Any:
    """The shape of a network's input, including the batch axis; None where unknown.

    A functional network declares the shape. A subclassed network remembers the shape
    that it was built with.

    Returns:
        A tuple of integers, with None for an axis of any length; or None.
    """
    try:
        return tuple(network.input_shape)
    except AttributeError:
        shape = (network.get_build_config() or {}).get("input_shape")
        return None if shape is None else (None, *tuple(shape)[1:])


def outputs_on_noise(network):
    """The network's output on two random inputs; None where the shape is unknown.

    Floating-point inputs are noise in [0, 255], as pixels are. Integers, which may be
    numbers of words in a short vocabulary, are 0 and 1.

    Returns:
        `(2, ...)` float32.

    Raises:
        ValueError: If the network takes several inputs, returns several outputs, or
            can't be called on such an input.
    """
    shape = input_shape(network)
    if shape is None:
        return None
    if not all(side is None or isinstance(side, int) for side in shape):
        raise ValueError(
            f"Expected a network with one image input. Received: {network.name!r} "
            f"with input shape {shape}."
        )
    size = tuple(64 if side is None else side for side in shape[1:])
    output = network(_noise(network, (2, *size)), training=False)
    if isinstance(output, (list, tuple, dict)):
        raise ValueError(
            f"Expected a network with one output, logits. Received: {network.name!r} "
            f"with {len(output)} outputs. Wrap the one that classifies: "
            "`keras.Model(network.inputs, network.outputs[0])`."
        )
    return keras.ops.convert_to_numpy(output).astype("float32")


def _noise(network, shape):
    inputs = getattr(network, "inputs", None) or []
    dtype = keras.backend.standardize_dtype(inputs[0].dtype) if inputs else "float32"
    if "int" in dtype:
        return keras.ops.reshape(keras.ops.arange(math.prod(shape)) % 2, shape)
    return keras.random.uniform(shape, 0.0, 255.0, seed=0)
