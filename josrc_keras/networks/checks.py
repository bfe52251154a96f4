"""Whether a network is a classifier of C classes."""

import keras


def check_network(network, num_classes):
    """Returns `network` if it is a built classifier that ends in logits.

    Args:
        network: A `keras.Model`.
        num_classes: Number of outputs it must have.

    Raises:
        TypeError: If it is not a `keras.Model`.
        ValueError: If it is not built, has another number of outputs, or ends in a
            softmax.
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
    outputs = _probe(network)
    if outputs is None:
        return network
    if outputs.ndim != 2 or outputs.shape[1] != num_classes:
        raise ValueError(
            f"Expected a network with logits of shape (N, {num_classes}). Received: "
            f"{network.name!r}, whose output has shape (N, "
            f"{', '.join(map(str, outputs.shape[1:]))}). Give its last layer "
            f"{num_classes} units, or pass the right `num_classes`."
        )
    if outputs.min() >= 0 and abs(outputs.sum(axis=1) - 1).max() < 1e-3:
        raise ValueError(
            f"The network {network.name!r} returns probabilities (rows sum to 1); "
            "expected logits. Remove the softmax: the last layer should be "
            f"`keras.layers.Dense({num_classes})` without an activation."
        )
    return network


def input_shape(network):
    """The shape of a network's input, batch axis included; None where unknown.

    A functional network declares it; a subclassed one remembers what it was built on.
    """
    try:
        return tuple(network.input_shape)
    except AttributeError:
        shape = (network.get_build_config() or {}).get("input_shape")
        return None if shape is None else (None, *tuple(shape)[1:])


def _probe(network):
    """The network's output on two noise images; None where the shape is unknown."""
    shape = input_shape(network)
    if shape is None:
        return None
    if not all(side is None or isinstance(side, int) for side in shape):
        raise ValueError(
            f"Expected a network with one image input. Received: {network.name!r} "
            f"with input shape {shape}."
        )
    size = tuple(64 if side is None else side for side in shape[1:])
    noise = keras.random.uniform((2, *size), 0.0, 255.0, seed=0)
    output = network(noise, training=False)
    if isinstance(output, (list, tuple, dict)):
        raise ValueError(
            f"Expected a network with one output, logits. Received: {network.name!r} "
            f"with {len(output)} outputs. Wrap the one that classifies: "
            "`keras.Model(network.inputs, network.outputs[0])`."
        )
    return keras.ops.convert_to_numpy(output).astype("float32")
