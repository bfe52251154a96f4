"""Decides once for all formats: the network, the temperature, the images to compare."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from josrc_keras._checks import check_choice
from josrc_keras.export import calibration, proof, sources
from josrc_keras.export.serving import Serving
from josrc_keras.networks import input_shape


class Prepared(NamedTuple):
    """A classifier that is ready to be written.

    Attributes:
        network: The chosen network in float32.
        serving: The `Serving`, fitted to it.
        images: `(N, H, W, channels)` real images, or None.
        test: `(images, labels)` to report on, or None.
        findings: Dict of what was measured, see `export_classifier`.
    """

    network: Any
    serving: Serving
    images: np.ndarray | None
    test: tuple | None
    findings: dict


def prepare(
    model,
    source=None,
    *,
    serving=None,
    validation=None,
    test=None,
    calibrate=False,
    label_noise=0.0,
    images=None,
    new_statistics=None,
):
    """Chooses network and temperature; see `export_classifier` for the arguments.

    Returns:
        A `Prepared`.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If an argument is out of range, or the model is not trained.
    """
    check_choice("source", source, (None, *sources.SOURCES))
    found = sources.networks_of(model)
    classes = sources.num_classes(next(iter(found.values())))
    shape = input_shape(next(iter(found.values())))
    serving = (serving or Serving()).fitted_to(shape, classes)
    if calibrate and validation is None:
        raise ValueError(
            "Expected validation=(images, labels) to calibrate on. Received: none."
        )
    for name, pair in (("validation", validation), ("test", test)):
        if pair is not None:
            _check_labels(name, pair, classes)
            proof.check_images(serving, shape[-1], pair[0])
    if validation is not None and test is None and label_noise == 0:
        validation, test = halves(validation)
    if images is None and (validation or test) is not None:
        images = (validation or test)[0]

    if new_statistics is not None:
        found = {
            name: sources.with_new_statistics(network, new_statistics)
            for name, network in found.items()
        }
    name, logits, findings = _choose(found, source, serving, validation)
    if calibrate:
        serving, calibrated = _calibrated(serving, logits, validation[1], label_noise)
        findings["calibration"] = calibrated
    if validation is not None:
        findings["validation"]["label_noise"] = label_noise
    exact = sources.in_float32(found[name])
    if exact is not found[name]:
        findings["rounding"] = _rounding(found[name], exact, serving, images)
    if test is not None:
        findings["test"] = _report(exact, serving, test)
        chosen = validation is not None and (calibrate or len(found) > 1)
        findings["test"]["chosen_on"] = chosen and np.array_equal(
            test[0], validation[0]
        )
    return Prepared(exact, serving, images, test, findings)


def _choose(found, source, serving, validation):
    """The name of the network to export, its validation logits, and the findings."""
    findings: dict = {}
    logits: dict = {}
    if validation is not None:
        images, labels = validation
        logits = {
            name: proof.expected_outputs(network, serving, images)["logits"]
            for name, network in found.items()
        }
        accuracies = {name: _accuracy(z, labels) for name, z in logits.items()}
        findings["validation"] = {"images": len(labels), "accuracy": accuracies}
        best = max(sources.SOURCES, key=lambda name: accuracies.get(name, 0.0))
    else:
        best = sources.SOURCES[0]
    name = next(iter(found)) if len(found) == 1 else source or best
    findings["source"] = name
    return name, logits.get(name), findings


def _calibrated(serving, logits, labels, label_noise):
    """`serving` with a temperature that fits the labels, and a dict about it."""
    temperature, noise = calibration.fit_temperature(logits, labels, label_noise)
    found = {"temperature": temperature, "label_noise": noise, "images": len(labels)}
    return dataclasses.replace(serving, temperature=temperature), found


def _check_labels(name, pair, classes):
    labels = np.asarray(pair[1])
    right = labels.ndim == 1 and labels.dtype.kind in "iu" and len(labels)
    if not right or len(labels) != len(pair[0]):
        raise ValueError(
            f"Expected {name}=(images, labels) with an integer label for each image. "
            f"Received: {len(pair[0])} images and labels of shape {labels.shape} and "
            f"type {labels.dtype}."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"Expected {name} labels in [0, {classes - 1}]. Received: labels from "
            f"{labels.min()} to {labels.max()}."
        )


def halves(pair):
    """Divides `(images, labels)` in turns; both halves are the whole of one sample."""
    images, labels = pair
    if len(labels) < 2:
        return pair, pair
    return (images[::2], labels[::2]), (images[1::2], labels[1::2])


def _accuracy(logits, labels):
    return float(np.mean(logits.argmax(axis=1) == labels))


def _rounding(network, exact, serving, images):
    """How far a network in half precision is from the same in float32."""
    channels = input_shape(exact)[-1]
    batches = proof.make_batches(serving, channels, images)
    batch = batches.get("all", batches["batch_33"])
    ours = proof.expected_outputs(exact, serving, batch)["logits"]
    theirs = proof.expected_outputs(network, serving, batch)["logits"]
    return {
        "max_difference": float(np.abs(ours - theirs).max()),
        "agreement": float(np.mean(ours.argmax(1) == theirs.argmax(1))),
    }


def _report(network, serving, test):
    """Accuracy and calibration by the labels of test images."""
    images, labels = test
    logits = proof.expected_outputs(network, serving, images)["logits"]
    after = calibration.softmax(logits / serving.temperature)
    before = calibration.softmax(logits)
    return {
        "images": len(labels),
        "accuracy": _accuracy(logits, labels),
        "mean_confidence": float(after.max(axis=1).mean()),
        "calibration_error": calibration.expected_calibration_error(after, labels),
        "calibration_error_uncalibrated": calibration.expected_calibration_error(
            before, labels
        ),
    }
