"""What an artefact says of itself."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from josrc_keras import _files
from josrc_keras.networks import input_shape
from josrc_keras.runs import summary

FILE = "metadata.json"


def describe(network, serving, options, findings):
    """The metadata of an artefact, a dict that JSON can hold.

    Args:
        network: The network in float32.
        serving: The fitted `serving.Serving`.
        options: Dict of `format`, `precision` and `opset`.
        findings: Dict of what export measured: `source`, `validation` and others.
    """
    channels = input_shape(network)[-1]
    outputs = {
        "logits": "float32 (N, C)",
        "probabilities": "float32 (N, C), rows sum to 1",
        "top_classes": f"int32 (N, {serving.top_k}), most probable first",
        "top_probabilities": f"float32 (N, {serving.top_k})",
        "top_names": f"strings (N, {serving.top_k})",
    }
    names = serving.output_names()
    if serving.has_names and options["format"] != "keras":
        names += ("top_names",)
    image = {
        "name": "image",
        "dtype": serving.dtype,
        "shape": list(serving.input_shape(channels)),
        "range": [0, 255],
        "resize": serving.resize,
        "resize_to": serving.resize_to,
        "seen_by_network": [*serving.image_size, channels],
        "rescale": serving.rescale,
    }
    return {
        **findings,
        "format": options["format"],
        "precision": options["precision"],
        **({"opset": options["opset"]} if options["format"] == "onnx" else {}),
        "network": network.name,
        "input": image,
        "outputs": {name: outputs[name] for name in names},
        "class_names": list(serving.class_names),
        "temperature": serving.temperature,
        "weights_sha256": weights_checksum(network),
        "versions": summary.versions(),
    }


def weights_checksum(network):
    """SHA-256 of a network's weights, in order."""
    digest = hashlib.sha256()
    for weight in network.get_weights():
        digest.update(str((weight.shape, weight.dtype.name)).encode())
        digest.update(weight.tobytes())
    return digest.hexdigest()


def as_texts(found):
    """The entries as JSON texts. A text that can't be mistaken for JSON stays."""
    return {
        name: value
        if isinstance(value, str) and _value(value) == value
        else json.dumps(value)
        for name, value in found.items()
    }


def write_beside(path, found):
    """Writes metadata beside an artefact that can't hold it, as `PATH.json`."""
    _files.write_json(beside(path), found)


def beside(path):
    """The path of the metadata of a LiteRT or Keras file."""
    path = Path(path)
    return path.with_name(f"{path.name}.json")


def read_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """What an exported artefact says of itself.

    Args:
        path: Path of an artefact of `export_classifier`, in any format.

    Returns:
        A dict: `class_names`, `input`, `outputs`, `source`, `temperature`,
        `validation`, `versions`, `weights_sha256` and others.

    Raises:
        OSError: If there is no artefact with metadata at the path.
        ImportError: If the artefact is ONNX and the package onnx is missing.
    """
    path = Path(path)
    asset = path / "assets" / FILE
    if asset.is_file():
        return json.loads(asset.read_text(encoding="utf-8"))
    if beside(path).is_file():
        return json.loads(beside(path).read_text(encoding="utf-8"))
    if path.is_file():
        described = _in_onnx(path)
        if described:
            return described
    raise OSError(
        "Expected what `export_classifier` wrote: a SavedModel folder, an ONNX file, "
        f"or a file with its metadata beside it. Received: {path}."
    )


def _in_onnx(path):
    """The metadata in an ONNX file; empty if the file is no ONNX."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        texts = onnx.load(path, load_external_data=False).metadata_props
    except DecodeError:
        return {}
    return {entry.key: _value(entry.value) for entry in texts}


def _value(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
