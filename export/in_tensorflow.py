"""Writes an artefact with TensorFlow, whatever backend the network was trained on.

Keras's converters to SavedModel, ONNX and LiteRT differ between backends. So there is
one way for all: on a backend other than TensorFlow the network is saved, and a process
that runs Keras on TensorFlow loads it and writes the artefact. The proof then compares
the artefact with the network on the backend where it was trained.
"""

import importlib
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import keras

from josrc_keras import _runtime
from josrc_keras.export import sources, writers
from josrc_keras.export.proof import ExportError
from josrc_keras.export.serving import pixels_to_outputs
from josrc_keras.networks import input_shape


def write(network, path, serving, options, found):
    """Writes a network's artefact to `path`.

    Args:
        network: The network in float32.
        path: Path of the artefact, in a folder that exists.
        serving: The fitted `serving.Serving`.
        options: Dict of options, as in `writers.write`.
        found: The metadata, a dict that JSON can hold.

    Raises:
        ExportError: If the artefact can't be written.
    """
    here = keras.backend.backend() == "tensorflow" or options["format"] == "keras"
    try:
        (_write_here if here else _write_elsewhere)(
            network, path, serving, options, found
        )
    except Exception as error:
        raise ExportError(
            f"The network could not be written as {options['format']}. Received: "
            f"{type(error).__name__}: {error}"
        ) from error


def _write_here(network, path, serving, options, found):
    if options["format"] == "keras":
        if network.compiled:
            network = sources.copy_of(network)  # Keras would save its optimizer, too.
        network = sources.of_keras_layers(network)
    elif options["format"] in ("onnx", "litert"):
        network = sources.unrolled(network)
    classifier = pixels_to_outputs(network, serving, input_shape(network)[-1])
    writers.write(classifier, path, serving, options, found)


def _write_elsewhere(network, path, serving, options, found):
    with tempfile.TemporaryDirectory() as folder:
        sources.copy_of(network).save(Path(folder) / "network.keras")
        modules = {type(layer).__module__ for layer in _runtime.all_layers(network)}
        order = {
            "modules": sorted(m for m in modules if m.split(".")[0] != "keras"),
            "serving": serving,
            "path": str(Path(path).resolve()),
            "options": options,
            "found": found,
        }
        (Path(folder) / "order.pickle").write_bytes(pickle.dumps(order))
        done = subprocess.run(
            [sys.executable, "-m", __name__, folder],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "KERAS_BACKEND": "tensorflow",
                "CUDA_VISIBLE_DEVICES": "",
                "TF_CPP_MIN_LOG_LEVEL": "2",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise RuntimeError(f"in a process with TensorFlow: {last[0]}")


def main(folder):
    """Writes, on TensorFlow, the artefact that `_write_elsewhere` asks for."""
    order = pickle.loads((Path(folder) / "order.pickle").read_bytes())
    for module in order["modules"]:  # The import registers their layers.
        importlib.import_module(module)
    network = keras.saving.load_model(Path(folder) / "network.keras")
    _write_here(
        network, order["path"], order["serving"], order["options"], order["found"]
    )


if __name__ == "__main__":
    main(sys.argv[1])
