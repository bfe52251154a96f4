"""Classifiers that take raw pixels in [0, 255] and return logits.

The normalisation is the network's first layer, so what is exported needs none. Any
other built `keras.Model` that ends in logits can be used in their place.
"""

import functools

import keras
from keras import layers

from josrc_keras import _checks
from josrc_keras.networks import backbones
from josrc_keras.networks.normalization import BatchNormalization

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
HEADS = ("linear", "mlp")


def _normalise(pixels, mean, deviation):
    """Per-channel `(pixel / 255 - mean) / deviation` as one `Rescaling`."""
    scale = [1.0 / (255.0 * d) for d in deviation]
    offset = [-m / d for m, d in zip(mean, deviation, strict=True)]
    return layers.Rescaling(scale, offset, name="normalise")(pixels)


def _check_width(width):
    if not width > 0:
        raise ValueError(f"`width` must be positive. Received: width={width}.")


def _batch_norm(name):
    """Batch normalisation with PyTorch's default settings."""
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


def _conv_block(x, filters, name):
    """3x3 convolution, batch normalisation, ReLU, with PyTorch's default settings."""
    # Uniform in +-1/sqrt(fan_in). Under batch normalisation the scale of a kernel sets
    # only its effective learning rate, for which the paper's settings were chosen.
    uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    convolution = layers.Conv2D(
        filters,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer=uniform,
        name=name,
    )
    x = convolution(x)
    x = _batch_norm(f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _head(features, num_classes, head):
    """The classifier on top of flat features; logits in float32 under any policy."""
    if head not in HEADS:
        raise ValueError(f"Unknown head. Received: head={head!r}. Use one of {HEADS}.")
    if head == "mlp":
        width = 2 * features.shape[-1]
        dense = layers.Dense(
            width, use_bias=False, kernel_initializer="he_normal", name="hidden"
        )
        features = dense(features)
        features = _batch_norm("hidden_norm")(features)
        features = layers.ReLU(name="hidden_relu")(features)
    logits = layers.Dense(num_classes, kernel_initializer="he_normal", name="logits")
    return layers.Activation("linear", dtype="float32", name="logits_float32")(
        logits(features)
    )


def cnn7(num_classes, head="mlp", input_shape=(32, 32, 3), width=1.0):
    """The 7-layer network of the paper's CIFAR experiments (from JoCoR).

    Six 3x3 convolutions (64, 64, pool, 128, 128, pool, 196, 16, pool), each with batch
    normalisation and ReLU, flattened to 256 features for 32x32 images.

    Args:
        num_classes: Number of outputs.
        head: `"linear"` (the paper's text) or `"mlp"`, twice the feature width with
            batch normalisation and ReLU before the output (its published code).
        input_shape: `(H, W, 3)`, each side at least 8.
        width: Factor on the number of filters of all convolutions but the last, which
            keeps its 16, positive; below 1 for a machine without a GPU.

    Returns:
        A `keras.Model` from `(N, H, W, 3)` pixels in [0, 255] to `(N, C)` logits.

    Raises:
        ValueError: If `head` is unknown, `width` is not positive, or the images are
            smaller than 8x8.
    """
    _check_width(width)
    if min(input_shape[:2]) < 8:
        raise ValueError(
            "`cnn7` halves the image three times and needs at least 8x8 pixels. "
            f"Received: input_shape={tuple(input_shape)}. Use `digits_cnn`, or resize."
        )
    pixels = keras.Input(input_shape, name="image")
    x = _normalise(pixels, IMAGENET_MEAN, IMAGENET_DEVIATION)
    number = 0
    for stage in ((64, 64), (128, 128), (196, 16)):
        for filters in stage:
            number += 1
            if number < 6:
                filters = max(1, round(width * filters))
            x = _conv_block(x, filters, f"conv{number}")
        x = layers.MaxPooling2D(2)(x)
    logits = _head(layers.Flatten(name="features")(x), num_classes, head)
    return keras.Model(pixels, logits, name="cnn7")


def digits_cnn(num_classes, head="linear", input_shape=(8, 8, 1), width=1.0):
    """A small network for 8x8 digits: four 3x3 convolutions (32, 32, pool, 64, 64).

    Args:
        num_classes: Number of outputs.
        head: `"linear"` or `"mlp"`, as in `cnn7`.
        input_shape: `(H, W, channels)`.
        width: Factor on the number of filters, as in `cnn7`.

    Returns:
        A `keras.Model` from `(N, H, W, channels)` pixels in [0, 255] to `(N, C)`
        logits.

    Raises:
        ValueError: If `head` is unknown or `width` is not positive.
    """
    _check_width(width)
    pixels = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="normalise")(pixels)
    for number, filters in enumerate((32, 32, 64, 64), start=1):
        x = _conv_block(x, max(1, round(width * filters)), f"conv{number}")
        if number == 2:
            x = layers.MaxPooling2D(2)(x)
    x = layers.MaxPooling2D(2)(x)
    logits = _head(layers.Flatten(name="features")(x), num_classes, head)
    return keras.Model(pixels, logits, name="digits_cnn")


def resnet18(
    num_classes, head="mlp", input_shape=(None, None, 3), width=1.0, weights=None
):
    """ResNet-18 (He et al., 2016), from keras-hub.

    Args:
        num_classes: Number of outputs.
        head: `"linear"`, or `"mlp"` as in `cnn7`, on the averaged features.
        input_shape: `(H, W, 3)`; None where images of any size will do.
        width: Must be 1: keras-hub's have one width.
        weights: `"imagenet"`, which are downloaded once; the folder of a preset of
            keras-hub; or None for random ones.

    Returns:
        A `keras.Model` from `(N, H, W, 3)` pixels in [0, 255] to `(N, C)` logits.

    Raises:
        ImportError: If keras-hub is not installed.
        OSError: If the weights can't be had.
        ValueError: If `head` is unknown or `width` is not 1.
    """
    blocks = ("basic_block", [2, 2, 2, 2])
    return _resnet("resnet18", blocks, num_classes, head, input_shape, width, weights)


def resnet50(
    num_classes, head="mlp", input_shape=(None, None, 3), width=1.0, weights=None
):
    """ResNet-50; all else is as for `resnet18`."""
    blocks = ("bottleneck_block", [3, 4, 6, 3])
    return _resnet("resnet50", blocks, num_classes, head, input_shape, width, weights)


def _resnet(name, blocks, num_classes, head, input_shape, width, weights):
    if width != 1:
        raise ValueError(f"{name} has one width. Received: width={width}. Use 1.")
    pixels = keras.Input(input_shape, name="image")
    if weights is None:
        backbone = _random_resnet(name, blocks, input_shape)
    else:
        preset = backbones.resnet_preset(name, weights)
        backbone = backbones.load_preset(preset, input_shape)
    x = backbone(_normalise(pixels, IMAGENET_MEAN, IMAGENET_DEVIATION))
    features = layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(pixels, _head(features, num_classes, head), name=name)


def _random_resnet(name, blocks, input_shape):
    hub = _checks.imported("keras_hub", f"{name} comes with keras-hub", "pretrained")
    return hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=blocks[1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type=blocks[0],
        image_shape=input_shape,
        name="backbone",
    )


def of_backbone(
    name, num_classes, head="mlp", input_shape=(None, None, 3), width=1.0, weights=None
):
    """A classifier on a backbone by name, see `backbones.features`.

    Args:
        name: `"keras_hub:PRESET"` or `"keras_applications:MODEL"`.
        num_classes: Number of outputs.
        head: `"linear"`, or `"mlp"` as in `cnn7`, on the averaged features.
        input_shape: `(H, W, 3)`.
        width: Must be 1.
        weights: `"imagenet"` or None for random ones.

    Returns:
        A `keras.Model` from `(N, H, W, 3)` pixels in [0, 255] to `(N, C)` logits.

    Raises:
        ImportError: If keras-hub is needed and not installed.
        OSError: If the weights can't be had.
        ValueError: If there is no such backbone, or an argument is out of range.
    """
    if width != 1:
        raise ValueError(f"{name} has one width. Received: width={width}. Use 1.")
    pixels, features = backbones.features(name, input_shape, weights)
    return keras.Model(pixels, _head(features, num_classes, head), name="classifier")


def by_name(name):
    """The function that makes a network, by the name that a configuration has.

    Raises:
        ValueError: If there is none.
    """
    if backbones.is_backbone(name):
        return functools.partial(of_backbone, name)
    if name not in NETWORKS:
        raise ValueError(
            f"Expected config.network.name as one of {tuple(NETWORKS)}, "
            f"{backbones.HUB}PRESET or {backbones.APPLICATIONS}MODEL. Received: "
            f"{name!r}."
        )
    return NETWORKS[name]


NETWORKS = {
    "cnn7": cnn7,
    "digits_cnn": digits_cnn,
    "resnet18": resnet18,
    "resnet50": resnet50,
}
WITHOUT_WEIGHTS = ("cnn7", "digits_cnn")


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
