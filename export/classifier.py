"""Export of the bare classifier to SavedModel, ONNX, LiteRT and Keras's own format."""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from josrc_keras import _files
from josrc_keras._checks import check_choice
from josrc_keras.export import in_tensorflow, metadata, proof, writers
from josrc_keras.export.precision import check_precision
from josrc_keras.export.preparation import prepare
from josrc_keras.export.serving import Serving
from josrc_keras.networks import input_shape

FORMATS = tuple(writers.WRITERS)
SUFFIXES = {"litert": ".tflite", "keras": ".keras"}  # The loaders insist on these.
OPSETS = range(13, 19)  # tf2onnx 1.17 writes up to 18.
LARGEST = 2**31 - 2**20  # Bytes of weights: Protobuf and FlatBuffers end at 2 GiB.
CALIBRATION_IMAGES = 200  # The most images for the quantiser's ranges.


def export_classifier(
    model: keras.Model,
    path: str | os.PathLike,
    format: Literal["onnx", "saved_model", "litert", "keras"] = "onnx",
    source: Literal["teacher", "student"] | None = None,
    *,
    serving: Serving | None = None,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    test: tuple[np.ndarray, np.ndarray] | None = None,
    calibrate: bool = False,
    label_noise: float | None = 0.0,
    precision: Literal["float32", "float16", "int8"] = "float32",
    opset: int = 18,
    images: np.ndarray | None = None,
    new_statistics: np.ndarray | None = None,
    extra_metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    tolerance: float = 1e-4,
) -> dict[str, Any]:
    """Exports a trained classifier, and proves the export before it returns.

    The artefact holds the bare network in float32, without the wrapper, the other
    network, or the optimizer. It is written beside `path`, loaded in a fresh process
    that does not import this package, and compared with the trained network: at batch
    sizes 1, 2 and 33, on a black and a white image, and on all images given. Only then
    does it get its name.

    A SavedModel also has a signature `serving_encoded` that takes encoded images,
    `image_bytes` `(N,)`: with three channels JPEG, PNG, BMP or GIF, with one JPEG or
    PNG, with four PNG or BMP. With three channels a transparent PNG shows white behind
    it, as in training on photos, and a transparent GIF shows black. The EXIF
    orientation is not applied: turn photos upright before. A palette of a BMP is not
    read.

    Args:
        model: A `JoSRC`, another model of this package, or a plain `keras.Model` that
            returns logits.
        path: Path of the artefact: a file, for `"saved_model"` a folder. LiteRT's ends
            in `.tflite`, Keras's in `.keras`.
        format: `"onnx"`, `"saved_model"`, `"litert"` or `"keras"`.
        source: Which network: `"teacher"` or `"student"`. None takes the one that
            predicts more of the labels of `validation`, and without those the teacher.
            A model that has one network exports that one.
        serving: A `Serving`: what the artefact takes and returns. None takes float32
            images as in training, and returns logits and probabilities.
        validation: `(images, labels)` that were not trained on, to choose the source
            and the temperature.
        test: `(images, labels)`, rightly labelled, to report accuracy and calibration
            error on. None takes every other image of `validation`, which then do not
            choose, if `label_noise` is 0.
        calibrate: Whether to fit the temperature of the probabilities on `validation`;
            see `calibration.fit_temperature`.
        label_noise: Share of wrong labels in `validation`, in [0, 1); None if unknown.
        precision: `"float32"`; for ONNX also `"float16"` and `"int8"` (static
            quantisation), for LiteRT `"float16"` and `"int8"` (weights only).
        opset: ONNX opset, 13 to 18.
        images: `(N, H, W, channels)` real images to compare on, beside those of
            `test`, and to calibrate int8 on. None takes those of `validation`, and
            without them noise in [0, 255].
        new_statistics: Training images `(N, H, W, channels)` to estimate the network's
            batch-normalisation statistics on anew; None keeps those of training.
        extra_metadata: Dict of further entries for the artefact's metadata.
        overwrite: Whether to replace what is at `path`.
        tolerance: Largest allowed difference of a logit, relative to the largest
            logit where that exceeds 1.

    Returns:
        A dict of `path`, `format`, `precision`, `source`, `max_difference` of the
        logits, `agreement` of the arg max in [0, 1], the number of `images` compared,
        `bytes` and `temperature`. With validation data it also has `validation`, `test`
        (whose `chosen_on` says whether source or temperature were chosen on the same
        images) and `calibration`. For a network in half precision it has `rounding`,
        the difference from float32.

    Raises:
        FileExistsError: If `path` exists and `overwrite` is False.
        ImportError: If a package for the format is missing.
        TypeError: If `model` is not a Keras model.
        ValueError: If an argument is out of range, or the model is not trained.
        ExportError: If the artefact can't be written or computes something else.
            Nothing is then left at `path`.
    """
    options = {"format": format, "precision": precision, "opset": opset}
    check_request(path, options, overwrite=overwrite)
    prepared = prepare(
        model,
        source,
        serving=serving,
        validation=validation,
        test=test,
        calibrate=calibrate,
        label_noise=label_noise,
        images=images,
        new_statistics=new_statistics,
    )
    return export_prepared(
        prepared, path, options, extra_metadata=extra_metadata, tolerance=tolerance
    )


def check_request(path, options, *, overwrite):
    """Refuses what can't be written, before anything is computed.

    Args:
        path: Path of the artefact.
        options: Dict of `format`, `precision` and `opset`.
        overwrite: Whether what is at the path may be replaced.

    Raises:
        FileExistsError: If something is at the path and may not be replaced.
        ImportError: If a package for the format is missing.
        ValueError: If an option is unknown or the path has the wrong suffix.
    """
    format = check_choice("format", options["format"], FORMATS)
    check_precision(format, options["precision"])
    path = Path(path)
    suffix = SUFFIXES.get(format)
    if suffix is not None and path.suffix != suffix:
        raise ValueError(
            f"Expected a path that ends in {suffix} for {format}. Received: {path}."
        )
    beside = [metadata.beside(path)] if format in SUFFIXES else []
    there = [place for place in (path, *beside) if place.exists()]
    if there and not overwrite:
        raise FileExistsError(
            f"Something is at the export's path already. Received: {there[0]}. Pass "
            "overwrite=True to replace it (--overwrite in the shell), or choose "
            "another path."
        )
    if format == "onnx":
        _require("ONNX", ("onnx", "tf2onnx", "onnxruntime"), "josrc-keras[onnx]")
        if options["opset"] not in OPSETS:
            raise ValueError(
                f"Expected an opset from {OPSETS[0]} to {OPSETS[-1]}. Received: "
                f"opset={options['opset']}."
            )
    if format != "keras":
        _require(format, ("tensorflow",), "tensorflow")


def _require(what, packages, install):
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"{what} export needs {package}, which is not installed. Run "
                f"`pip install {install}`."
            )


def _check_size(network, format):
    """Refuses a network whose weights do not fit into one file of a format."""
    needed = 4 * network.count_params()
    if format in ("onnx", "litert") and needed > LARGEST:
        raise proof.ExportError(
            f"Expected weights of at most {LARGEST:,} bytes for {format}, the most "
            f"that one file holds. Received: {needed:,} bytes. Export as saved_model."
        )


def export_prepared(prepared, path, options, *, extra_metadata=None, tolerance=1e-4):
    """Writes and proves one artefact; see `export_classifier`.

    Args:
        prepared: What `prepare` returned.
        path: Path of the artefact. What is there is replaced.
        options: Dict of `format`, `precision` and `opset`, checked.
        extra_metadata: Dict of further entries for the artefact's metadata.
        tolerance: Largest allowed difference of a logit, as in `export_classifier`.

    Returns:
        The report, a dict.

    Raises:
        ExportError: If the artefact can't be written or computes something else.
        ValueError: If the precision needs real images and there are none.
    """
    path = Path(path)
    network, serving = prepared.network, prepared.serving
    exact = options["precision"] == "float32"
    _check_size(network, options["format"])
    if not exact and prepared.images is None:
        raise ValueError(
            f"Expected real images beside precision={options['precision']!r}, to "
            "compare its predictions on. Received: none. Pass "
            "validation=(images, labels) or images=."
        )
    batches = proof.make_batches(serving, input_shape(network)[-1], prepared.images)
    if prepared.test is not None:
        batches["test"] = proof.as_input(serving, prepared.test[0])
    few = batches.get("all", batches["batch_33"])[:CALIBRATION_IMAGES]
    found = metadata.describe(
        network, serving, options, prepared.findings | (extra_metadata or {})
    )
    expected = {
        name: proof.expected_outputs(network, serving, batch)
        for name, batch in batches.items()
    }
    for name in (path.name, metadata.beside(path).name):
        _files.remove_unfinished(path.parent, name)  # A killed export leaves these.
    with _files.replacing(path) as beside:
        order = options | {"calibration_images": few}
        in_tensorflow.write(network, beside, serving, order, found)
        served = proof.served_outputs(options["format"], beside, batches)
        report = proof.compare(expected, served, serving, tolerance if exact else None)
        if options["format"] in SUFFIXES:
            metadata.write_beside(path, found)
    report |= {"bytes": size(path), "temperature": serving.temperature}
    if prepared.test is not None:
        predicted = served["test"][serving.output_names()[0]].argmax(axis=1)
        report["accuracy"] = float(np.mean(predicted == prepared.test[1]))
    where = {"path": str(path), "format": options["format"]}
    return where | {"precision": options["precision"]} | prepared.findings | report


def size(path):
    """Bytes of a file, or of all files in a folder."""
    path = Path(path)
    parts = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts if part.is_file())
