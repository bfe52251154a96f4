"""Proof of an export: a fresh process must compute what the trained network does."""

import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from keras import ops

from josrc_keras import _runtime
from josrc_keras.export import calibration, sources

BATCHES = (1, 2, 33)
MOST = 2 * 10**9  # The most bytes of images that are compared.
# The least agreement of the arg max below float32: over images, and over classes.
AGREEMENT, CLASS_AGREEMENT = 0.9, 0.75
SMOOTHING = 4  # Images that each class is taken to have beside its own, which agree.


class ExportError(RuntimeError):
    """The exported classifier does not compute what the trained one does."""


def make_batches(serving, channels, images):
    """Batches to compare on, `(N, H, W, channels)` of the input's dtype, by name.

    Args:
        serving: The fitted `serving.Serving`.
        channels: Number of channels of its images.
        images: `(N, H, W, channels)`, or None for noise in [0, 255].

    Returns:
        A dict of batches: 1, 2 and 33 images, a black and a white image, images of
        another size if they are resized, images of whole pixels to be encoded, and
        `all` images, or as many evenly spaced ones as `MOST` allows.

    Raises:
        ValueError: If the images have the wrong shape, or pixels that uint8 can't hold.
    """
    shape = tuple(side or 64 for side in (*serving.image_size, channels))
    if images is None:
        images = np.random.default_rng(0).uniform(0, 255, (max(BATCHES), *shape))
    images = np.asarray(images)
    check_images(serving, channels, images)
    every = math.ceil(images.size * np.dtype(serving.dtype).itemsize / MOST)
    pixels = as_input(serving, images[::every])
    few = np.resize(pixels, (max(BATCHES), *pixels.shape[1:]))
    batches = {f"batch_{size}": few[:size] for size in BATCHES}
    batches["black"] = np.zeros((1, *pixels.shape[1:]), serving.dtype)
    batches["white"] = np.full((1, *pixels.shape[1:]), 255, serving.dtype)
    if serving.resize:
        batches["other_size"] = few[:2].repeat(3, axis=1).repeat(2, axis=2)
    whole = np.clip(np.round(few[:5]), 0, 255)
    batches["encoded"] = whole.astype(serving.dtype)
    if len(pixels) > max(BATCHES):
        batches["all"] = pixels
    return batches


def as_input(serving, images):
    """Images in the type that the artefact takes, rounded for uint8."""
    images = np.asarray(images)
    return (np.round(images) if serving.dtype == "uint8" else images).astype(
        serving.dtype
    )


def check_images(serving, channels, images):
    """Raises a `ValueError` unless the artefact can take these images.

    Args:
        serving: The fitted `serving.Serving`.
        channels: Number of channels of its images.
        images: Images that should be `(N, H, W, channels)`.
    """
    images = np.asarray(images)
    if images.ndim != 4 or not len(images) or images.shape[3] != channels:
        raise ValueError(
            f"Expected images of shape (N, H, W, {channels}). Received: shape "
            f"{images.shape}."
        )
    free = (None,) if serving.resize else (None, *serving.image_size)
    if any(s not in (None, has) for s, has in zip(free, images.shape, strict=False)):
        raise ValueError(
            f"Expected images of {serving.image_size} pixels, as the network was "
            f"built. Received: shape {images.shape}. Pass Serving(resize=...) to let "
            "the exported classifier resize them, and resize_to=(height, width) where "
            "evaluation crops the middle of that size; or crop them as it does "
            "(`model.seen_in_evaluation`)."
        )
    low, high = float(images.min()), float(images.max())
    if serving.dtype == "uint8" and not (low >= 0 and high <= 255):
        raise ValueError(
            "Expected pixels in [0, 255], since the exported classifier takes uint8. "
            f"Received: pixels from {low:.3g} to {high:.3g}."
        )


def expected_outputs(network, serving, images):
    """What the artefact should return for images, in NumPy except for the network.

    Args:
        network: The network in float32.
        serving: The fitted `serving.Serving`.
        images: `(N, H, W, channels)`.

    Returns:
        A dict of `logits`, `probabilities` and, with `top_k`, `top_classes` and
        `top_probabilities`.
    """
    resizing = serving.resizing()
    starts = range(0, len(images), sources.BATCH)
    parts = [images[start : start + sources.BATCH] for start in starts]
    logits = np.concatenate(
        [sources.predict(network, _pixels(serving, resizing, part)) for part in parts]
    )
    outputs = {"logits": logits}
    outputs["probabilities"] = calibration.softmax(logits / serving.temperature)
    if serving.top_k:
        ranked = np.argsort(-outputs["probabilities"], axis=1, kind="stable")
        outputs["top_classes"] = ranked[:, : serving.top_k]
        outputs["top_probabilities"] = np.take_along_axis(
            outputs["probabilities"], outputs["top_classes"], axis=1
        )
    return outputs


def _pixels(serving, resizing, images):
    """The pixels that the network sees of a few images, float32."""
    pixels = images.astype("float32")
    for layer in resizing:
        pixels = layer(pixels, training=False)
    pixels = ops.convert_to_numpy(pixels)
    if serving.rescale is not None:
        scale, offset = (np.asarray(part, "float32") for part in serving.rescale)
        pixels = pixels * scale + offset
    return pixels


def served_outputs(format, path, batches):
    """What the artefact computes in a process that does not import this package.

    Args:
        format: Format of the artefact.
        path: Path of the artefact.
        batches: Dict of arrays.

    Returns:
        A dict from a batch's name to a dict of outputs.

    Raises:
        ExportError: If the artefact can't be loaded or run.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "inputs.npz", Path(folder) / "outputs.npz"
        np.savez(inputs, **batches)
        script = Path(__file__).with_name("served_process.py")
        command = [sys.executable, "-I", script, format, path, inputs, outputs]
        # TensorFlow imports Keras, and Keras matplotlib: both write into HOME.
        home = {"KERAS_HOME": _runtime.NOWHERE, "MPLCONFIGDIR": folder}
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            env={**home, **os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise ExportError(
                f"The exported {format} could not be loaded in a fresh process: "
                f"{last[0]}"
            )
        served: dict = {name: {} for name in batches}
        with np.load(outputs) as arrays:
            for key in arrays.files:
                batch, output = key.split("/")
                served[batch][output] = arrays[key]
        return served


def compare(expected, served, serving, tolerance):
    """Compares the artefact's outputs with the network's.

    Args:
        expected: Dict from a batch's name to a dict of outputs.
        served: The same, as `served_outputs` returns it.
        serving: The fitted `serving.Serving`.
        tolerance: Largest allowed difference; of a logit, relative to the largest logit
            where that exceeds 1. None is for reduced precision, where the arg max must
            agree for 90% of the images, and for 75% as a mean over classes.

    Returns:
        A dict of `max_difference` (of logits, or of probabilities where there are no
        logits), `agreement` of the arg max, and the number of `images`.

    Raises:
        ExportError: If an output is missing, not finite, or too far off.
    """
    names = serving.output_names()
    ours = _joined(expected, ("logits", "probabilities", *names))
    theirs = _joined(served, names)
    for name in names:
        if ours[name].shape != theirs[name].shape:
            raise ExportError(
                "The exported classifier was not kept. Received: "
                f"{name} of shape {theirs[name].shape}. Expected: {ours[name].shape}."
            )
    _check_finite(theirs)
    main = names[0]
    classes = ours[main].argmax(1), theirs[main].argmax(1)
    agreement = float(np.mean(classes[0] == classes[1]))
    if tolerance is None:
        _check_classes(*classes, agreement)
    else:
        for name in names:
            _check_close(name, ours, theirs, agreement, tolerance)
    _check_names(theirs, serving)
    difference = float(np.abs(ours[main] - theirs[main]).max())
    return {
        "max_difference": difference,
        "agreement": agreement,
        "images": len(ours[main]),
    }


def _joined(outputs, names):
    """Each output, concatenated over all batches."""
    absent = [name for name in names if any(name not in b for b in outputs.values())]
    if absent:
        raise ExportError(
            f"The exported classifier lacks outputs. Received: none named {absent}."
        )
    order = sorted(outputs)
    extra = ["top_names"] if all("top_names" in b for b in outputs.values()) else []
    return {
        name: np.concatenate([outputs[batch][name] for batch in order])
        for name in (*names, *extra)
    }


def _check_finite(outputs):
    for name, values in outputs.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ExportError(
                "The exported classifier was not kept. Received: NaN or infinity among "
                f"its {name}. Expected: finite numbers, as on the training data."
            )


def _check_classes(ours, theirs, agreement):
    by_class = class_agreement(ours, theirs)
    if agreement < AGREEMENT or by_class < CLASS_AGREEMENT:
        raise ExportError(
            "The exported classifier predicts other classes in this precision, and was "
            f"not kept. Received: the same arg max for {agreement:.1%}, and as a "
            f"smoothed mean over the predicted classes for {by_class:.1%}. Expected: "
            f"at least {AGREEMENT:.0%} and {CLASS_AGREEMENT:.0%}. Use "
            "precision='float32'."
        )


def class_agreement(ours, theirs):
    """Mean over classes of the share of their images whose class stays the same.

    Where one class has most of the images, an artefact that always predicts it agrees
    on these, so a mean over images is not enough. Additive smoothing, by `SMOOTHING`
    images of each class that agree, gives a class of very few images little weight.

    Args:
        ours: `(N,)` classes that the trained network predicts. Only these are averaged
            over.
        theirs: `(N,)` classes that the artefact predicts.

    Returns:
        A number in [0, 1]; 1 if all agree.
    """
    counts = np.bincount(ours)
    same = np.bincount(ours, ours == theirs)
    shares = (same + SMOOTHING) / (counts + SMOOTHING)
    return float(shares[counts > 0].mean())


def _check_close(name, ours, theirs, agreement, tolerance):
    if name == "top_classes":  # Equal probabilities may come in either order.
        rows = np.arange(len(ours[name]))[:, None]
        chosen = ours["probabilities"][rows, theirs[name]]
        difference = np.abs(chosen - ours["top_probabilities"]).max()
        allowed = tolerance
    else:
        difference = np.abs(ours[name] - theirs[name]).max()
        allowed = tolerance
        if name == "logits":
            allowed *= max(1.0, float(np.abs(ours[name]).max()))
    if not difference <= allowed:
        raise ExportError(
            "The exported classifier computes something else, and was not kept. "
            f"Received: {name} that differ by up to {difference:.3g}, and the same "
            f"arg max for {agreement:.1%}. Expected: at most {allowed:.3g}. Some "
            "layers (such as Normalization, antialiased Resizing, random augmentation) "
            "do not survive export; replace them, for example with Rescaling."
        )


def _check_names(outputs, serving):
    if "top_names" not in outputs:
        return
    expected = np.asarray(serving.class_names)[outputs["top_classes"]]
    if not np.array_equal(outputs["top_names"].astype(str), expected):
        raise ExportError(
            "The exported classifier gives its classes other names, and was not kept. "
            f"Received: {outputs['top_names'][0].tolist()}. Expected: "
            f"{expected[0].tolist()}."
        )
