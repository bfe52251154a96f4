"""ResNets and other backbones with a classifier's head."""

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
    return keras.Model(
        pixels, with_head(features, num_classes, head), name="classifier"
    )
