"""The networks of a model that can be exported, and their weights."""

import keras
import numpy as np

from josrc_keras import _runtime
from josrc_keras.networks import copying, input_shape
from josrc_keras.networks.checks import check_logits
from josrc_keras.networks.normalization import BatchNormalization, as_keras

SOURCES = ("teacher", "student")
BATCH = 64


def networks_of(model):
    """The networks that a model can export, by name.

    Args:
        model: A model of this package, or a plain `keras.Model`.

    Returns:
        A dict of `student` and, where there is one, `teacher`, or of `network` for a
        plain model, and for a method that predicts with both of its networks.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If a network is not built for one image input, or the model has not
            been trained.
    """
    candidates = {name: getattr(model, name, None) for name in SOURCES}
    found: dict = {
        name: net for name, net in candidates.items() if isinstance(net, keras.Model)
    }
    _check_trained(model, found)
    if getattr(model, "predicts_with_both", False):
        found = {"network": _mean_of(model.trained_networks())}
    found = found or {"network": model}
    for network in found.values():
        _check_built(network)
    return found


def _mean_of(networks):
    """A network whose logits are the mean of those of several networks."""
    for network in networks:
        _check_built(network)
    image = keras.Input(input_shape(networks[0])[1:], name="image")
    # Two networks within a third need names of their own.
    named = [
        copy_of(network, name=f"{network.name}_{number}")
        for number, network in enumerate(networks)
    ]
    logits = keras.layers.Average(name="mean")([each(image) for each in named])
    return keras.Model(image, logits, name=f"{networks[0].name}_mean")


def _check_built(network):
    if not isinstance(network, keras.Model):
        raise TypeError(f"Expected a Keras model. Received: {network!r}.")
    shape = (input_shape(network) if network.built else None) or ()
    if len(shape) != 4 or not all(s is None or isinstance(s, int) for s in shape):
        raise ValueError(
            f"Expected a network that is built for one image input. Received: "
            f"{network.name!r}, input shape {shape or None}. Call it once on a batch "
            "first."
        )


def _check_trained(model, found):
    """Refuses an untrained model of this package. A plain model does not tell."""
    optimizer = getattr(model, "optimizer", None)
    if not found or (optimizer is not None and int(optimizer.iterations) > 0):
        return
    weights = [network.get_weights() for network in found.values()]
    pairs = zip(weights[0], weights[-1], strict=True)
    if not all(np.array_equal(first, last) for first, last in pairs):
        return  # Weights were loaded, since a new teacher is a copy of the student.
    if len(weights) == 2 or optimizer is not None:
        raise ValueError(
            f"Expected a trained model. Received: a {type(model).__name__} that has "
            "made no step. Call `fit`, or load a trained one with "
            "`keras.saving.load_model`; to export a network as it is, pass the network "
            "itself (`model.student`)."
        )


def call(network, pixels):
    """A network's logits in inference, also where it returns them in a list."""
    logits = network(pixels, training=False)
    if isinstance(logits, (list, tuple)) and len(logits) == 1:
        return logits[0]
    return logits


def num_classes(network):
    """The number of logits, C, that a network returns.

    Raises:
        ValueError: If the network does not return one output `(N, C)`, or returns
            probabilities.
    """
    shape = tuple(side or 64 for side in input_shape(network)[1:])
    logits = call(network, np.zeros((1, *shape), "float32"))
    if not hasattr(logits, "shape") or len(logits.shape) != 2:
        shapes = keras.tree.map_structure(lambda part: tuple(part.shape), logits)
        raise ValueError(
            f"Expected a network with one output, logits (N, C). Received: "
            f"{network.name!r}, whose output has the shape {shapes}."
        )
    check_logits(network, keras.ops.convert_to_numpy(logits).astype("float32"))
    return int(logits.shape[-1])


def predict(network, images):
    """A network's logits `(N, C)` in inference, float32, a batch at a time."""
    parts = [
        call(network, np.asarray(images[start : start + BATCH], "float32"))
        for start in range(0, len(images), BATCH)
    ]
    return np.concatenate(
        [keras.ops.convert_to_numpy(part).astype("float32") for part in parts]
    )


def in_float32(network):
    """A copy of the network in float32, or the network itself if it is in float32."""
    policies = [layer.dtype_policy for layer in _runtime.all_layers(network)]
    if all(p.compute_dtype == p.variable_dtype == "float32" for p in policies):
        return network
    return copying.clone(network, _as_float32, tolerance=copying.ROUNDED)


def _as_float32(layer):
    config = layer.get_config()
    if "dtype" in config:
        config["dtype"] = "float32"
    return type(layer).from_config(config)


def copy_of(network, **changes):
    """A copy of the network with its weights, not compiled, with another `name`."""
    copy = type(network).from_config(network.get_config() | changes)
    if not copy.built:
        copy.build(input_shape(network))
    return copying.with_state_of(network, copy)


def of_keras_layers(network):
    """A copy of the network with Keras's layers in place of this package's faster ones.

    A network without such layers is returned itself.
    """
    if not any(
        isinstance(layer, BatchNormalization) for layer in _runtime.all_layers(network)
    ):
        return network
    return copying.clone(network, _as_keras)


def _as_keras(layer):
    if isinstance(layer, BatchNormalization):
        return as_keras(layer)
    return type(layer).from_config(layer.get_config())


def unrolled(network):
    """The network with each recurrent layer unrolled into its steps.

    Neither ONNX's nor LiteRT's converter takes the loop that Keras makes of them.
    """
    layers = _runtime.all_layers(network)
    if not any(isinstance(layer, keras.layers.RNN) for layer in layers):
        return network
    return copying.clone(network, _as_unrolled)


def _as_unrolled(layer):
    config = layer.get_config()
    if isinstance(layer, keras.layers.RNN):
        config["unroll"] = True
    elif isinstance(layer, keras.layers.Bidirectional):
        for inner in ("layer", "backward_layer"):
            if config.get(inner) is not None:
                config[inner]["config"]["unroll"] = True
    return type(layer).from_config(config)


def with_new_statistics(network, images):
    """A copy of the network whose batch-normalisation statistics are of these images.

    Each moving mean and variance becomes the average of the statistics that training
    would have used on the images' batches. (Random layers such as dropout are active
    meanwhile, as in training.)

    Args:
        network: A built network of Keras layers.
        images: `(N, H, W, channels)`, at least one batch of 64 where possible, since a
            small batch has less variance than its data.

    Returns:
        A new `keras.Model`.

    Raises:
        ValueError: If the network has no batch normalisation.
    """
    copy = copy_of(network)
    layers = [
        layer
        for layer in _runtime.all_layers(copy)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not layers:
        raise ValueError(
            "Expected a network with batch normalisation, to estimate its statistics "
            f"anew. Received: {network.name!r}, which has none."
        )
    momenta = [layer.momentum for layer in layers]
    # Only whole batches count, unless there are fewer images.
    starts = range(0, max(1, len(images) - BATCH + 1), BATCH)
    for number, start in enumerate(starts):
        for layer in layers:
            layer.momentum = number / (number + 1)
        copy(np.asarray(images[start : start + BATCH], "float32"), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return copy
