"""Classifiers of new photos: of a run folder, or of what `josrc-export` wrote."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import ml_collections
import numpy as np

from josrc_keras.data.photos import decoding
from josrc_keras.export import calibration, metadata, served_process
from josrc_keras.runs import build_data
from josrc_keras.runs import folder as run_folder

GREY = np.array([0.299, 0.587, 0.114], "float32")  # ITU-R BT.601, as Pillow's "L".


class Classifier(NamedTuple):
    """What turns photos into probabilities.

    Attributes:
        class_names: Names of the C classes, in label order.
        decode: A function from a path and the longer side of `size` to an image, a
            uint8 array `(H, W, 3)`.
        size: `(height, width)` of the images, in pixels.
        probabilities: A function from images, uint8 `(N, H, W, 3)`, to probabilities,
            float32 `(N, C)`, whose rows sum to 1.
    """

    class_names: list[str]
    decode: Callable
    size: tuple[int, int]
    probabilities: Callable


def load(path: str | Path) -> Classifier:
    """Loads the classifier of a run folder, or one that `josrc-export` wrote.

    Args:
        path: A run folder with `model.keras`, a SavedModel folder, or an ONNX, LiteRT
            or Keras file with its metadata.

    Raises:
        OSError: If there is none.
        ValueError: If the network does not take images of one or three channels.
        ImportError: If the format needs a package that is not installed.
    """
    path = Path(path).expanduser()
    if (path / "config.json").is_file():
        return _of_run(path)
    if not path.exists():
        raise OSError(
            f"Expected a run folder, or a file that josrc-export wrote. Received: "
            f"{path}, which is not there."
        )
    return _of_export(path)


def _of_run(run):
    config = ml_collections.ConfigDict(run_folder.read_config(run))
    if not (run / "model.keras").exists():
        raise FileNotFoundError(
            f"Expected a finished run. Received: {run}, which has no model.keras. Run "
            "josrc-train with the same --workdir until it ends."
        )
    model = keras.saving.load_model(run / "model.keras")
    height, width, channels = model.student.input_shape[1:]
    size = (height, width)
    crops = config.augmentation.get("size") is not None
    if crops:  # The model shows the middle of what evaluation decodes to its network.
        size = (config.data.image_size,) * 2
    _check_channels(channels, run)

    def probabilities(images):
        logits = model.predict_on_batch(_with_channels(images, channels))
        return calibration.softmax(np.asarray(logits, "float32"))

    return Classifier(_names_of(run, config), _decoder(size), size, probabilities)


def _names_of(run, config):
    """The class names of a run: from its summary, or of an older run from its data."""
    names = run_folder.read_summary(run).get("class_names")
    if names is None:
        names = build_data.make_benchmark(config, run).class_names
    return list(map(str, names))


def _of_export(path):
    about = metadata.read_metadata(path)
    image = about["input"]
    channels = image["shape"][-1]
    _check_channels(channels, path)
    size = tuple(image["resize_to"] if image["resize"] else image["shape"][1:3])
    predict = served_process.PREDICTORS[about["format"]](str(path))

    def probabilities(images):
        pixels = _with_channels(images, channels).astype(image["dtype"])
        outputs = predict("images", pixels)
        if "probabilities" in outputs:
            return np.asarray(outputs["probabilities"])
        logits = np.asarray(outputs["logits"], "float32")
        return calibration.softmax(logits / about["temperature"])

    names = about["class_names"] or range(_count(probabilities, size))
    stretches = image["resize"] == "stretch"
    return Classifier(
        list(map(str, names)), _decoder(size, stretches), size, probabilities
    )


def _count(probabilities, size):
    """The number of classes of a network whose classes have no names."""
    return probabilities(np.zeros((1, *size, 3), "uint8")).shape[1]


def _check_channels(channels, path):
    if channels not in (1, 3):
        raise ValueError(
            "Expected a classifier of grey or RGB images. Received: "
            f"{path}, whose images have {channels} channels."
        )


def _with_channels(images, channels):
    """RGB images as float32 pixels in [0, 255], grey for a network of one channel."""
    pixels = images.astype("float32")
    return pixels if channels == 3 else (pixels @ GREY)[..., None]


def _decoder(size, stretches=False):
    """A decoder of photos to a size; square ones are made as in training."""
    height, width = size
    if height == width and not stretches:
        return decoding.decode

    def decode(path, side):
        from PIL import ImageOps

        with decoding.opened(path, side) as (photo, upright, _):
            turned = upright(photo)
            if stretches:
                return np.asarray(turned.resize((width, height)))
            return np.asarray(ImageOps.fit(turned, (width, height)))

    return decode
