"""A network that learns small images in few epochs."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from josrc_keras.networks.classifiers import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    _batch_norm,
    _check_width,
    normalise,
    with_head,
)

WHITENING = "whitening"  # Name of the first layer, which `whiten` fits to images.
PATCH = 3  # Height and width of a patch, in pixels.
IMAGES, EACH = 1000, 100  # Images that the statistics are of, and patches of each.
FLOOR = 1e-2  # Added to the variances, so that what hardly varies is not blown up.


def fast(
    num_classes: int,
    head: Literal["linear", "mlp"] = "linear",
    input_shape: Sequence[int] = (32, 32, 3),
    width: float = 1.0,
) -> keras.Model:
    """A residual network of nine layers behind a whitened first one.

    The plan is that of Page, "How to train your ResNet" (2018, 2019): a fixed
    convolution that whitens patches of 3x3 pixels, three stages of convolution and
    pooling (128, 256 and 512 filters), a residual block of two convolutions behind the
    first and the third, and the maximum over the image. It is for users who want
    accuracy for little arithmetic; the paper's network is `cnn7`.

    Args:
        num_classes: Number of outputs.
        head: `"linear"` or `"mlp"`, as in `cnn7`.
        input_shape: `(H, W, 3)`, each side at least 8.
        width: Factor on the number of filters, positive.

    Returns:
        A `keras.Model` from `(N, H, W, 3)` pixels in [0, 255] to `(N, C)` logits. Call
        `whiten` on it with training images before a model is made of it; `josrc-train`
        fits all of a model's networks by itself.

    Raises:
        ValueError: If `head` is unknown, `width` is not positive, or the images are
            smaller than 8x8.
    """
    _check_width(width)
    if min(input_shape[:2]) < 8:
        raise ValueError(
            "`fast` halves the image three times and needs at least 8x8 pixels. "
            f"Received: input_shape={tuple(input_shape)}. Use `digits_cnn`, or resize."
        )
    pixels = keras.Input(input_shape, name="image")
    x = normalise(pixels, IMAGENET_MEAN, IMAGENET_DEVIATION)
    x = layers.Conv2D(
        PATCH * PATCH * 3,
        PATCH,
        padding="same",
        use_bias=False,
        trainable=False,
        kernel_initializer="orthogonal",
        name=WHITENING,
    )(x)
    filters = [max(1, round(width * each)) for each in (64, 128, 256, 512)]
    x = _block(x, filters[0], "start", size=1)
    for number, count in enumerate(filters[1:], start=1):
        x = _block(x, count, f"stage{number}")
        x = layers.MaxPooling2D(2)(x)
        if number != 2:
            inner = _block(x, count, f"stage{number}_inner1")
            inner = _block(inner, count, f"stage{number}_inner2")
            x = layers.Add()([x, inner])
    features = layers.GlobalMaxPooling2D(name="features")(x)
    return keras.Model(pixels, with_head(features, num_classes, head), name="fast")


def _block(x, filters, name, size=3):
    x = layers.Conv2D(filters, size, padding="same", use_bias=False, name=name)(x)
    x = _batch_norm(f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def whiten(network: keras.Model, images: Any, seed: int = 0) -> keras.Model:
    """Fits the first layer of a `fast` network to images, before a model is made of it.

    `AdaptiveJoSRC` and others copy the network when they are made, so that a network
    fitted later would differ from its teacher.

    Its filters become the principal components of patches of the normalised images,
    each divided by its standard deviation: what they give is uncorrelated and of
    variance about 1 (Page, 2019).

    Args:
        network: What `fast` made.
        images: `(N, H, W, 3)` training images, pixels in [0, 255].
        seed: Seed of the patches that are drawn.

    Returns:
        The network, changed in place.

    Raises:
        ValueError: If the network has no layer to fit.
    """
    if not needs_whitening(network):
        raise ValueError(
            f"Expected a network whose layer {WHITENING!r} can be fitted, as that of "
            f"`networks.fast`. Received: {network.name!r}."
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(images))[:IMAGES])
    read = np.asarray(images[chosen], "float64")
    _, height, width, _ = read.shape
    rows = rng.integers(0, height - PATCH + 1, (EACH, len(read)))
    columns = rng.integers(0, width - PATCH + 1, (EACH, len(read)))
    windows = np.lib.stride_tricks.sliding_window_view(read, (PATCH, PATCH), (1, 2))
    # A window has its channels before its rows and columns; a kernel has them last.
    drawn = windows[np.arange(len(read)), rows, columns]
    patches = drawn.transpose(0, 1, 3, 4, 2).reshape(-1, PATCH, PATCH, 3)
    mean, deviation = np.array(IMAGENET_MEAN), np.array(IMAGENET_DEVIATION)
    patches = (patches / 255 - mean) / deviation
    variances, vectors = np.linalg.eigh(np.cov(patches.reshape(len(patches), -1).T))
    filters = vectors / np.sqrt(np.maximum(variances, 0) + FLOOR)
    layer = network.get_layer(WHITENING)
    layer.kernel.assign(filters.reshape(layer.kernel.shape).astype("float32"))
    return network


def needs_whitening(network: keras.Model) -> bool:
    """Whether a network has a first layer that `whiten` fits to images."""
    return any(layer.name == WHITENING for layer in network.layers)
