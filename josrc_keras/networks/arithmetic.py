"""How much arithmetic a network costs, which is the same number on every machine."""

import math

import keras

# What these layers cost is small beside the products of matrices, and not counted.
FREE = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.Normalization,
    keras.layers.PReLU,
)


def flops(network: keras.Model) -> int:
    """Floating-point operations of one forward pass of one image.

    Convolutions and dense layers are counted, with two operations for each multiplied
    and added weight. Biases, normalisation, activation and pooling are not.

    Args:
        network: A built `keras.Model` whose inputs have a known size.

    Returns:
        The number of operations.

    Raises:
        ValueError: If a layer with weights is of a kind that is not counted, or the
            size of its output is not known.
    """
    return sum(_of_layer(layer) for layer in _leaves(network))


def _leaves(network):
    """The layers of a network, and of the networks within it."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


def _of_layer(layer):
    if not layer.weights or isinstance(layer, FREE):
        return 0
    kernels = _kernels(layer)
    if kernels is None:
        raise ValueError(
            "Expected a network of convolutions and dense layers. Received: "
            f"{layer.name!r}, a {type(layer).__name__} with weights, whose arithmetic "
            "is not counted. Give the number of epochs instead of a budget."
        )
    try:
        shape = layer.output.shape
    except AttributeError as error:  # A layer of a subclassed network has none.
        raise ValueError(
            "Expected a functional network, whose layers have outputs. Received: "
            f"{layer.name!r} of a network of another kind. Give the number of epochs "
            "instead of a budget."
        ) from error
    if isinstance(layer, keras.layers.Dense) or layer.data_format == "channels_last":
        positions = shape[1:-1]
    else:
        positions = shape[2:]
    if None in positions:
        raise ValueError(
            "Expected a network whose input has a known size. Received: "
            f"{layer.name!r} with an output of shape {shape}. Give an input_shape."
        )
    weights = sum(math.prod(kernel.shape) for kernel in kernels)
    return 2 * math.prod(positions) * weights


def _kernels(layer):
    """The weights that each position of the output multiplies; None if not known."""
    if isinstance(layer, keras.layers.SeparableConv2D):
        return [layer.depthwise_kernel, layer.pointwise_kernel]
    counted: tuple = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D)
    counted += (keras.layers.Conv3D, keras.layers.DepthwiseConv2D)
    return [layer.kernel] if isinstance(layer, counted) else None
