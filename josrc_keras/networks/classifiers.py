"""Classifiers that take raw pixels in [0, 255] and return logits.

The first layer of each network normalises the pixels, so an exported network needs no
preprocessing. Any other built `keras.Model` that ends in logits can take their place.
"""

from collections.abc import Sequence
from typing import Literal

import keras
from keras import layers

from josrc_keras.networks.normalization import BatchNormalization

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
HEADS = ("linear", "mlp")


def normalise(pixels, mean, deviation):
    """Per-channel `(pixel / 255 - mean) / deviation`, in a single `Rescaling`."""
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
    # Kernels are uniform in +-1/sqrt(fan_in). Under batch normalisation, their scale
    # sets only their effective learning rate, for which the paper's settings were
    # chosen.
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


def with_head(features, num_classes, head):
    """Adds a classifier to flat features; its logits are float32 under any policy."""
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


def cnn7(
    num_classes: int,
    head: Literal["linear", "mlp"] = "mlp",
    input_shape: Sequence[int] = (32, 32, 3),
    width: float = 1.0,
) -> keras.Model:
    """The 7-layer network of the paper's CIFAR experiments (from JoCoR).

    Six 3x3 convolutions (64, 64, pool, 128, 128, pool, 196, 16, pool), each with batch
    normalisation and ReLU, flattened to 256 features for 32x32 images.

    Args:
        num_classes: Number of outputs.
        head: `"linear"` (the paper's text) or `"mlp"`, twice the feature width with
            batch normalisation and ReLU before the output (its published code).
        input_shape: `(H, W, 3)`, each side at least 8.
        width: Factor on the number of filters, positive; below 1 for a machine without
            a GPU. The last convolution always has 16 filters.

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
    x = normalise(pixels, IMAGENET_MEAN, IMAGENET_DEVIATION)
    number = 0
    for stage in ((64, 64), (128, 128), (196, 16)):
        for filters in stage:
            number += 1
            if number < 6:
                filters = max(1, round(width * filters))
            x = _conv_block(x, filters, f"conv{number}")
        x = layers.MaxPooling2D(2)(x)
    logits = with_head(layers.Flatten(name="features")(x), num_classes, head)
    return keras.Model(pixels, logits, name="cnn7")


def digits_cnn(
    num_classes: int,
    head: Literal["linear", "mlp"] = "linear",
    input_shape: Sequence[int] = (8, 8, 1),
    width: float = 1.0,
) -> keras.Model:
    """A small network for 8x8 digits: four 3x3 convolutions (32, 32, pool, 64, 64).

    Args:
        num_classes: Number of outputs.
        head: `"linear"` or `"mlp"`, as in `cnn7`.
        input_shape: `(H, W, channels)`.
        width: Factor on the number of filters of all convolutions, positive.

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
    logits = with_head(layers.Flatten(name="features")(x), num_classes, head)
    return keras.Model(pixels, logits, name="digits_cnn")
