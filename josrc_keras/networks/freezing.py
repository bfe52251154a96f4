"""Parts of a network that training leaves as they are."""

import keras

from josrc_keras import _checks, _runtime

FROZEN = ("nothing", "backbone", "normalisation")
FEATURES = "features"  # Name of the layer that a network's head begins behind.


def freeze(network, what):
    """Leaves a part of a network as it is, in place.

    A frozen layer of batch normalisation uses its moving statistics in training, too.

    Args:
        network: A built `keras.Model`. Its head begins behind a layer named
            `"features"`.
        what: `"nothing"`; `"backbone"`, all but the head; or `"normalisation"`, the
            backbone's batch normalisation alone.

    Returns:
        The network.

    Raises:
        ValueError: If `what` is unknown, or the network has no layer `"features"`.
    """
    _checks.check_choice("frozen", what, FROZEN)
    if what == "nothing":
        return network
    for layer in backbone_of(network):
        leaf = not isinstance(layer, keras.Model)
        of_norm = isinstance(layer, keras.layers.BatchNormalization)
        if leaf and (what == "backbone" or of_norm):
            layer.trainable = False
    return network


def backbone_of(network):
    """The layers up to the features, at any depth, as a list.

    Raises:
        ValueError: If the network has no layer `"features"`.
    """
    names = [layer.name for layer in network.layers]
    if FEATURES not in names:
        raise ValueError(
            f"Expected a network whose head begins behind a layer named {FEATURES!r}. "
            f"Received: {network.name!r}. Use one of `josrc_keras.networks`."
        )
    found: list = []
    for layer in network.layers[: names.index(FEATURES) + 1]:
        found += _runtime.all_layers(layer) if _is_network(layer) else [layer]
    return found


def _is_network(layer):
    return isinstance(layer, keras.Model)


def is_frozen(network):
    """Whether a network's head alone is trained: a boolean."""
    if FEATURES not in {layer.name for layer in network.layers}:
        return False
    return not any(
        layer.trainable_variables
        for layer in backbone_of(network)
        if not _is_network(layer)
    )
