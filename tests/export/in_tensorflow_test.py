"""Networks of JAX in all formats: written by a process with TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from josrc_keras.export import (
    ExportError,
    Serving,
    in_tensorflow,
    read_metadata,
    served_process,
)

pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")
pytest.importorskip("tf2onnx", reason="needs josrc-keras[onnx]")
ROOT = Path(__file__).parents[2]
on_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)

PATHS = {
    "saved_model": "saved_model",
    "onnx": "model.onnx",
    "litert": "model.tflite",
    "keras": "model.keras",
}
# One process on JAX. Its exports wait for processes with TensorFlow: two at a time.
SCRIPT = """
import concurrent.futures, json, pathlib, sys
import keras
import numpy as np
from josrc_keras import JoSRC, data, views
from josrc_keras.callbacks import CleanThreshold, MeanTeacher
from josrc_keras.export import export_classifier

keras.utils.set_random_seed(0)
split = data.digits8n_o(rate=0.2).train.head(192)
image = keras.Input((8, 8, 1))
x = keras.layers.Conv2D(6, 3)(keras.layers.Rescaling(1 / 255)(image))
x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
x = keras.layers.Dense(8)(keras.layers.Flatten()(x))
augmentation = views.crop_and_flip(1, flip=False)
model = JoSRC(keras.Model(image, x), 8, smoothing=0.3, augmentation=augmentation)
model.compile(keras.optimizers.Adam(1e-2))
model.fit(
    split.images,
    split.labels,
    batch_size=64,
    epochs=2,
    callbacks=[CleanThreshold(warmup_epochs=1), MeanTeacher()],
    verbose=0,
)


@keras.saving.register_keras_serializable("main")
class Halved(keras.layers.Layer):
    def call(self, images):
        return images / 2


halved = keras.Model(image, keras.layers.Flatten()(Halved()(image)))


def attempt(arguments):
    (network, name, format), more = arguments
    try:
        return export_classifier(network, name, format, images=split.images, **more)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


jobs = [
    ((model, name, format), {"source": "student"})
    for format, name in json.loads(sys.argv[1]).items()
]
jobs.append(((halved, "halved.onnx", "onnx"), {}))
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    reports = list(pool.map(attempt, jobs))
logits = {
    name: np.asarray(network(split.images.astype("float32"), training=False))
    for name, network in (("student", model.student), ("teacher", model.teacher))
}
np.savez("logits.npz", images=split.images, **logits)
found = {
    "reports": dict(zip([job[0][1] for job in jobs], reports)),
    "backend": keras.backend.backend(),
    "tensorflow": "tensorflow" in sys.modules,
}
pathlib.Path("found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the process on JAX exported to, with `found.json` and `logits.npz`."""
    folder = tmp_path_factory.mktemp("jax")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(PATHS)],
        cwd=folder,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "PYTHONPATH": str(ROOT),
            # Most of the time would be compilation.
            "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} "
            "--xla_backend_optimization_level=0",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture
def found(folder):
    return json.loads((folder / "found.json").read_text())


def served(format, path, images):
    outputs = served_process.PREDICTORS[format](str(path))(
        "all", images.astype("float32")
    )
    return {name: np.asarray(value) for name, value in outputs.items()}


@on_jax
@pytest.mark.slow
@pytest.mark.parametrize("format", PATHS)
def test_jax_network_in_every_format(format, folder, found):
    """Loaded here, beside TensorFlow: its logits to 1e-4, its arg max, its softmax."""
    report = found["reports"][PATHS[format]]
    assert isinstance(report, dict), report
    assert report["max_difference"] < 1e-4 and report["agreement"] == 1.0
    assert (report["source"], report["images"]) == ("student", 1 + 2 + 33 + 2 + 5 + 192)
    with np.load(folder / "logits.npz") as arrays:
        images, student, teacher = (
            arrays[name] for name in ("images", "student", "teacher")
        )
    outputs = served(format, folder / PATHS[format], images)
    np.testing.assert_allclose(outputs["logits"], student, atol=1e-4)
    np.testing.assert_array_equal(
        outputs["logits"].argmax(axis=1), student.argmax(axis=1)
    )
    powers = np.exp(student.astype("float64"))
    probs = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["probabilities"], probs, atol=1e-4)
    assert np.abs(student - teacher).max() > 0.01  # The wrong one would be seen.
    assert np.ptp(student, axis=0).max() > 0.1  # Images make a difference.
    assert read_metadata(folder / PATHS[format])["versions"]["backend"] == "jax"


@on_jax
@pytest.mark.slow
def test_it_was_jax(found):
    assert found["backend"] == "jax"


@on_jax
@pytest.mark.slow
def test_layers_of_main_are_not_found(folder, found):
    """The error names the format and the class; nothing is left."""
    error = found["reports"]["halved.onnx"]
    assert isinstance(error, str)
    assert error.startswith("ExportError: The network could not be written as onnx. ")
    assert "in a process with TensorFlow: " in error
    assert "Halved" in error
    assert not (folder / "halved.onnx").exists()
    assert not list(folder.glob(".josrc*"))


@keras.saving.register_keras_serializable("conversion_test")
class Doubled(keras.layers.Layer):
    """A layer of a module that is not Keras's."""

    def call(self, images):
        return 2 * images


@pytest.fixture
def doubling():
    """A network with that layer, and its `Serving`."""
    image = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(Doubled()(image))
    network = keras.Model(image, keras.layers.Dense(3)(x))
    return network, Serving().fitted_to((None, 4, 4, 1), 3)


def test_what_the_process_with_tensorflow_does(doubling, tmp_path, monkeypatch):
    """It imports the layers' modules, and writes what a process here would."""
    network, serving = doubling
    seen = {}

    def run(command, env, **arguments):
        assert command[1:3] == ["-m", "josrc_keras.export.in_tensorflow"]
        seen.update(env)
        in_tensorflow.main(command[3])
        return subprocess.CompletedProcess(command, 0, "", "")

    modules = []
    importlib = types.SimpleNamespace(import_module=modules.append)
    monkeypatch.setattr(in_tensorflow, "importlib", importlib)
    monkeypatch.setattr(in_tensorflow, "subprocess", types.SimpleNamespace(run=run))
    options = {"format": "onnx", "precision": "float32", "opset": 15}
    path = tmp_path / "m.onnx"
    in_tensorflow._write_elsewhere(network, path, serving, options, {"source": "mine"})
    assert modules == [Doubled.__module__]
    assert seen["KERAS_BACKEND"] == "tensorflow" and seen["CUDA_VISIBLE_DEVICES"] == ""
    assert set(sys.path) <= set(seen["PYTHONPATH"].split(os.pathsep))
    assert read_metadata(path) == {"source": "mine"}
    images = np.random.default_rng(0).uniform(0, 255, (5, 4, 4, 1)).astype("float32")
    expected = network(images, training=False)
    logits = served("onnx", path, images)["logits"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-3)


def test_an_error_of_the_writer_is_an_export_error(doubling, tmp_path, monkeypatch):
    """Also here: with the format and the reason."""

    def fail(*arguments):
        raise OSError("no space left")

    monkeypatch.setattr(in_tensorflow.writers, "write", fail)
    network, serving = doubling
    text = r"written as litert\. Received: OSError: no space left"
    with pytest.raises(ExportError, match=text):
        in_tensorflow.write(
            network, tmp_path / "m.tflite", serving, {"format": "litert"}, {}
        )
