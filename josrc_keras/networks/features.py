"""What a classifier computes before its last layers, and how alike that is."""

import keras
from keras import ops

LEAST = 1e-8  # The length of a direction is not taken to be smaller.


def with_features(network: keras.Model) -> keras.Model:
    """A model that shares the network's layers, and returns `[features, logits]`.

    Features are the outputs of the layer named `features`, which every network of this
    package has, else the inputs of the last layer, as rows.

    Args:
        network: A built functional `keras.Model` from images to logits.

    Returns:
        A `keras.Model` from images to `(N, D)` features and `(N, C)` logits.

    Raises:
        ValueError: If the network is not functional, so that its layers are not known.
    """
    image, found, logits = _tensors(network)
    if len(found.shape) != 2:
        found = keras.layers.Flatten()(found)
    return keras.Model(image, [found, logits])


def split(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Two models that share the network's layers: to the features, and from them on.

    Args:
        network: As for `with_features`.

    Returns:
        A `keras.Model` from images to `(N, D)` features, and one from features to
        logits `(N, C)`.

    Raises:
        ValueError: If the network is not functional, or its features are no rows.
    """
    image, found, logits = _tensors(network)
    if len(found.shape) != 2:
        raise ValueError(
            f"Expected features of shape (N, D). Received: {network.name!r}, whose "
            f"features have shape {tuple(found.shape)}. Name the layer that returns "
            "rows 'features'."
        )
    return keras.Model(image, found), keras.Model(found, logits)


def _tensors(network):
    """`(image, features, logits)` of a functional network, as symbolic tensors."""
    layers = getattr(network, "layers", [])
    try:
        named = [layer.output for layer in layers if layer.name == "features"]
        found = named[-1] if named else layers[-1].input
        (image,), logits = network.inputs, network.outputs[0]
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"Expected a functional network, whose features can be read. Received: "
            f"{network.name!r}. Build it from a `keras.Input`, and name the layer that "
            "returns its features 'features'."
        ) from error
    return image, found, logits


def with_last_inputs(network: keras.Model) -> tuple[keras.Model, int]:
    """A network that returns the inputs of its last layer beside its logits.

    The last layer is the last one with weights. If its inputs are no rows, and for a
    subclassed network, the logits take their place.

    Args:
        network: A built `keras.Model` that returns logits.

    Returns:
        A `keras.Model` with the outputs `(inputs, logits)`, and the width of the
        inputs, which is 0 where they are the logits.
    """
    last = [layer for layer in getattr(network, "layers", []) if layer.weights][-1:]
    try:
        # A `keras.Sequential` that was never called has `inputs`, but no `input`.
        (images,), (logits,) = network.inputs, network.outputs
        inputs = last[0].input
        made = keras.Model(images, [inputs, logits])
    except (AttributeError, IndexError, ValueError):
        # The network is not functional, or calls a layer twice.
        return _Twice(network), 0
    if len(inputs.shape) != 2 or not inputs.shape[1]:
        return _Twice(network), 0
    return made, inputs.shape[1]


class _Twice(keras.Model):
    """Returns a network's logits twice: once in place of other features."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def call(self, images, training=False):
        logits = self.network(images, training=training)
        return logits, logits


def directions(features):
    """`(N, D)` float32: each row divided by its length; a row of zeros stays."""
    features = ops.cast(features, "float32")
    lengths = ops.sqrt(ops.sum(ops.square(features), axis=-1, keepdims=True))
    return features / ops.maximum(lengths, LEAST)


def squared_distances(features):
    """`(N, N)` float32: squared distances of all pairs of rows `(N, D)`."""
    features = ops.cast(features, "float32")
    squares = ops.sum(ops.square(features), axis=-1)
    products = ops.matmul(features, ops.transpose(features))
    return ops.maximum(squares[:, None] + squares[None] - 2.0 * products, 0.0)
