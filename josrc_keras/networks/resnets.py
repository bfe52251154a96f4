"""ResNets and other backbones with a classifier's head."""

from collections.abc import Sequence
from typing import Literal

import keras
from keras import layers

from josrc_keras import _checks
from josrc_keras.networks import backbones
from josrc_keras.networks.classifiers import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    normalise,
    with_head,
)


def resnet18(
    num_classes: int,
    head: Literal["linear", "mlp"] = "mlp",
    input_shape: Sequence[int | None] = (None, None, 3),
    width: float = 1.0,
    weights: str | None = None,
) -> keras.Model:
    """ResNet-18 (He et al., 2016), from keras-hub.

    Args:
        num_classes: Number of outputs.
        head: `"linear"`, or `"mlp"` as in `cnn7`, on the averaged features.
        input_shape: `(H, W, 3)`, where H and W are None for images of any size.
        width: Must be 1, the only width that keras-hub has.
        weights: `"imagenet"`, which are downloaded once; the folder of a preset of
            keras-hub; or None for random weights.

    Returns:
        A `keras.Model` from `(N, H, W, 3)` pixels in [0, 255] to `(N, C)` logits.

    Raises:
        ImportError: If keras-hub is not installed.
        OSError: If the weights can't be downloaded or read.
        ValueError: If `head` is unknown or `width` is not 1.
    """
    blocks = ("basic_block", [2, 2, 2, 2])
    return _resnet("resnet18", blocks, num_classes, head, input_shape, width, weights)


def resnet50(
    num_classes: int,
    head: Literal["linear", "mlp"] = "mlp",
    input_shape: Sequence[int | None] = (None, None, 3),
    width: float = 1.0,
    weights: str | None = None,
) -> keras.Model:
    """ResNet-50, with the arguments and errors of `resnet18`."""
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
    x = backbone(normalise(pixels, IMAGENET_MEAN, IMAGENET_DEVIATION))
    features = layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(pixels, with_head(features, num_classes, head), name=name)


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
    name: str,
    num_classes: int,
    head: Literal["linear", "mlp"] = "mlp",
    input_shape: Sequence[int | None] = (None, None, 3),
    width: float = 1.0,
    weights: str | None = None,
) -> keras.Model:
    """A classifier on a backbone by name; see `backbones.features`.

    Args:
        name: `"keras_hub:PRESET"`, `"keras_applications:MODEL"`,
            `"efficientnet_lite0"`, or the path of a `.keras` file. Where the file is of
            a classifier of this package, that is the network, head included.
        num_classes: Number of outputs.
        head: `"linear"`, or `"mlp"` as in `cnn7`, on the averaged features.
        input_shape: `(H, W, 3)`; H and W may be None where the backbone allows it.
        width: Must be 1.
        weights: `"imagenet"`, for `keras.applications` also the path of a weights
            file, or None for random weights.

    Returns:
        A `keras.Model` from `(N, H, W, 3)` pixels in [0, 255] to `(N, C)` logits.

    Raises:
        ImportError: If keras-hub is needed and not installed.
        OSError: If the weights can't be downloaded or read.
        ValueError: If there is no such backbone, or an argument is out of range.
    """
    if width != 1:
        raise ValueError(f"{name} has one width. Received: width={width}. Use 1.")
    if backbones.is_file(name):
        network = backbones.of_file(name, input_shape, weights)
        if "logits" in {layer.name for layer in network.layers}:
            return _checked(name, network, num_classes)
    pixels, features = backbones.features(name, input_shape, weights)
    return keras.Model(
        pixels, with_head(features, num_classes, head), name="classifier"
    )


def _checked(name, network, num_classes):
    if network.output_shape[-1] != num_classes:
        raise ValueError(
            f"Expected a classifier of {num_classes} classes. Received: {name}, of "
            f"{network.output_shape[-1]}. Train on the folder that it was made of."
        )
    return network
