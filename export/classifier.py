"""Export of the bare classifier to SavedModel and ONNX."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

from josrc_keras import files
from josrc_keras.guards import check_choice
from josrc_keras.networks import input_shape

FORMATS = {"onnx": "onnx", "saved_model": "tf_saved_model"}  # Ours, and Keras's.
SOURCES = ("teacher", "student")
OPSETS = range(13, 19)  # tf2onnx 1.17 writes up to 18.
BATCHES = (1, 2, 33)


class ExportError(RuntimeError):
    """The exported classifier does not compute what the trained one does."""


def export_classifier(
    model,
    path,
    format="onnx",
    source="teacher",
    *,
    images=None,
    opset=18,
    overwrite=False,
    tolerance=1e-4,
):
    """Exports a trained classifier, and proves the export before it returns.

    The artefact holds the bare network in float32, without the wrapper, the other
    network, or the optimizer: input `image`, float32 `(N, H, W, channels)` as in
    training, any N; output `logits`, float32 `(N, C)`. It is written beside `path`,
    loaded in a fresh process that does not import this package, and compared with the
    trained network at batch sizes 1, 2 and 33. Only then does it get its name.

    Args:
        model: A `JoSRC`, another model of this package, or a plain `keras.Model`.
        path: A file for `"onnx"`, a folder for `"saved_model"`.
        format: `"onnx"` or `"saved_model"`.
        source: Which network: `"teacher"` or `"student"`. Models that have one
            network export that one.
        images: `(N, H, W, channels)` real images to compare on, or None for noise in
            [0, 255]. Black and white images are always tried too.
        opset: ONNX opset, 13 to 18.
        overwrite: Whether to replace what is at `path`.
        tolerance: Largest allowed difference of a logit, relative to the largest
            logit where that exceeds 1.

    Returns:
        A dict: `path`, `format`, `source`, `max_difference` of the logits,
        `agreement` of the arg max in [0, 1], and the number of `images` compared.

    Raises:
        FileExistsError: If `path` exists and `overwrite` is False.
        ImportError: If a package for the format is missing.
        TypeError: If `model` is not a Keras model.
        ValueError: If an argument is out of range.
        ExportError: If the artefact can't be written or computes something else;
            nothing is left at `path`.
    """
    check_choice("format", format, tuple(FORMATS))
    check_choice("source", source, SOURCES)
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"Something is at the export's path already. Received: {path}. Pass "
            "overwrite=True to replace it, or choose another path."
        )
    options = {"format": FORMATS[format]}
    if format == "onnx":
        _require_onnx()
        if opset not in OPSETS:
            raise ValueError(
                f"Expected an opset from {OPSETS[0]} to {OPSETS[-1]}. Received: "
                f"opset={opset}."
            )
        options["opset_version"] = opset
    classifier = _bare_classifier(model, source)
    batches = _batches(classifier, images)
    expected = {
        name: keras.ops.convert_to_numpy(classifier(batch, training=False)["logits"])
        for name, batch in batches.items()
    }
    with files.replacing(path) as beside:
        _write(classifier, beside, options)
        received = _serve(format, beside, batches)
        report = _compare(expected, received, tolerance)
    return {"path": str(path), "format": format, "source": source, **report}


def _require_onnx():
    for package in ("onnx", "tf2onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"ONNX export needs {package}, which is not installed. Run "
                "`pip install josrc-keras[onnx]`."
            )


def _bare_classifier(model, source):
    """The chosen network in float32, from `image` to a dict of `logits`."""
    network = getattr(model, source, getattr(model, "student", model))
    if not isinstance(network, keras.Model):
        raise TypeError(f"Expected a Keras model. Received: {model!r}.")
    shape = input_shape(network) if network.built else None
    if shape is None or not all(s is None or isinstance(s, int) for s in shape):
        raise ValueError(
            f"Expected a network that is built for one image input. Received: "
            f"{network.name!r}, input shape {shape}. Call it once on a batch first."
        )
    image = keras.Input(shape[1:], name="image", dtype="float32")
    float32 = keras.models.clone_model(
        network, clone_function=_as_float32, recursive=True
    )
    float32.set_weights(network.get_weights())
    return keras.Model(image, {"logits": float32(image)}, name="classifier")


def _as_float32(layer):
    config = layer.get_config()
    if "dtype" in config:
        config["dtype"] = "float32"
    return type(layer).from_config(config)


def _batches(classifier, images):
    """Batches to compare on, float32 `(N, H, W, channels)`, by name."""
    shape = tuple(side or 64 for side in classifier.inputs[0].shape[1:])
    if images is None:
        pixels = np.random.default_rng(0).uniform(0, 255, (max(BATCHES), *shape))
    else:
        pixels = np.asarray(images)
        if pixels.ndim != 4 or not len(pixels):
            raise ValueError(
                "Expected images of shape (N, H, W, channels). Received: shape "
                f"{pixels.shape}."
            )
    pixels = pixels.astype("float32")
    batches = {
        f"batch_{size}": np.resize(pixels, (size, *pixels.shape[1:]))
        for size in BATCHES
    }
    batches["black"] = np.zeros((1, *pixels.shape[1:]), "float32")
    batches["white"] = np.full((1, *pixels.shape[1:]), 255, "float32")
    if len(pixels) > max(BATCHES):
        batches["all"] = pixels
    return batches


def _write(classifier, path, options):
    signature = [
        keras.InputSpec(shape=classifier.inputs[0].shape, dtype="float32", name="image")
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # Keras's own, of NumPy.
            classifier.export(
                str(path), verbose=False, input_signature=signature, **options
            )
    except Exception as error:
        raise ExportError(
            f"Keras could not export the network as {options['format']}: {error}"
        ) from error


def _serve(format, path, batches):
    """What the artefact computes in a process that does not import this package."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "inputs.npz", Path(folder) / "outputs.npz"
        np.savez(inputs, **batches)
        script = Path(__file__).with_name("serve.py")
        command = [sys.executable, "-I", script, format, path, inputs, outputs]
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise ExportError(
                f"The exported {format} could not be loaded in a fresh process: "
                f"{last[0]}"
            )
        with np.load(outputs) as logits:
            return {name: logits[name] for name in logits.files}


def _compare(expected, received, tolerance):
    """Largest difference and agreement of the arg max, or an `ExportError`."""
    expected = np.concatenate([expected[name] for name in sorted(expected)])
    received = np.concatenate([received[name] for name in sorted(received)])
    difference = float(np.abs(expected - received).max())
    agreement = float(np.mean(expected.argmax(1) == received.argmax(1)))
    allowed = tolerance * max(1.0, float(np.abs(expected).max()))
    if not difference <= allowed:
        raise ExportError(
            "The exported classifier computes something else, and was not kept. "
            f"Received: logits that differ by up to {difference:.3g}, and the same "
            f"arg max for {agreement:.1%}. Expected: at most {allowed:.3g}. Some "
            "layers (such as Normalization, antialiased Resizing, random augmentation) "
            "do not survive export; replace them, for example with Rescaling."
        )
    return {
        "max_difference": difference,
        "agreement": agreement,
        "images": len(expected),
    }
