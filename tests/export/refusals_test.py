"""Export refuses at once, or fails with nothing left: never a wrong file."""

import importlib.util

import keras
import numpy as np
import pytest
from keras import layers

from josrc_keras import JoSRC, data, networks
from josrc_keras.export import ExportError, classifier, export_classifier, proof
from tests.support.exports import (
    NAMES,
    check_same,
    client,
    every_format,
    logits_of,
    network_of,
    quick_proof,
)


@pytest.fixture(scope="module")
def digit_images():
    return data.digits8n_o().test.images[:64].astype("float32")


@pytest.fixture
def network():
    return network_of(layers.Rescaling(1 / 255))


def adapted():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).uniform(0, 255, (50, 8, 8, 1)))
    return layer


class Resizes(layers.Layer):
    """Calls a layer whose `training` is True unless somebody says otherwise."""

    def __init__(self):
        super().__init__()
        self.resizing = layers.Resizing(6, 7)

    def call(self, inputs):
        return self.resizing(inputs)


LAYERS = {
    "normalization": adapted,
    "antialias": lambda: layers.Resizing(5, 5, antialias=True),
    "flip": layers.RandomFlip,
    "rotation": lambda: layers.RandomRotation(0.2),
    "resizing": lambda: layers.Resizing(6, 7),
    "own": Resizes,
}
LAYERS_AND_FORMATS = [
    (kind, format)
    for kind in LAYERS
    for format in NAMES
    # Those that change nothing in inference are hard to convert only.
    if kind in ("antialias", "resizing", "own") or format in ("onnx", "litert")
]


@pytest.mark.parametrize(("kind", "format"), LAYERS_AND_FORMATS)
def test_layers_known_to_break(kind, format, digit_images, tmp_path):
    """Refused with nothing left, or exported as it is; batch norm in inference."""
    network = network_of(LAYERS[kind]())
    path = tmp_path / NAMES[format]
    try:
        with quick_proof():
            export_classifier(network, path, format, images=digit_images[:20])
    except ExportError as error:
        assert f"could not be written as {format}" in str(error) or (
            kind == "own" and "Could not locate class 'Resizes'" in str(error)
        )
        assert list(tmp_path.iterdir()) == []
    else:
        assert (kind, format) not in {("antialias", "onnx"), ("own", "keras")}
        logits = client(format, path)(digit_images)["logits"]
        check_same(logits, logits_of(network, digit_images))


def serve_wrongly(monkeypatch):
    """One logit of one image is a little off in what every artefact computes."""
    serve = proof.served_outputs

    def wrong(*arguments):
        served = serve(*arguments)
        served["batch_33"]["logits"][32, 1] += 0.01
        return served

    monkeypatch.setattr(proof, "served_outputs", wrong)


@every_format
def test_other_logits_are_refused(format, network, tmp_path, monkeypatch):
    """An artefact that computes something else does not get its name."""
    serve_wrongly(monkeypatch)
    with (
        quick_proof(),
        pytest.raises(ExportError, match=r"was not kept.*logits that.* up to 0\.01"),
    ):
        export_classifier(network, tmp_path / NAMES[format], format)
    assert list(tmp_path.iterdir()) == []


def test_tolerance_is_what_was_asked(network, tmp_path, monkeypatch):
    serve_wrongly(monkeypatch)
    report = export_classifier(network, tmp_path / "model.onnx", tolerance=0.011)
    assert report["max_difference"] == pytest.approx(0.01, abs=1e-4)


def test_nan_is_refused(tmp_path):
    """NaN equals nothing."""
    network = network_of(layers.Rescaling(np.nan))
    with pytest.raises(ExportError, match="NaN or infinity among its logits"):
        export_classifier(network, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"format": "tflite"},
            r"format as one of \('saved_model', 'onnx', 'litert', 'keras'\).*'tflite'",
        ),
        ({"source": "best"}, r"source as one of .*'teacher', 'student'\).*'best'"),
        (
            {"precision": "half"},
            r"for onnx as one of \('float32', 'float16', 'int8'\).*'half'",
        ),
        ({"opset": 19}, "opset from 13 to 18. Received: opset=19"),
        ({"opset": 12}, "opset from 13 to 18. Received: opset=12"),
        ({"images": np.zeros((8, 8, 1))}, r"\(N, H, W, 1\).*\(8, 8, 1\)"),
        ({"format": "litert"}, r"ends in \.tflite for litert.*model\.onnx"),
        ({"format": "keras"}, r"ends in \.keras for keras.*model\.onnx"),
    ],
)
def test_bad_arguments(arguments, text, network, tmp_path):
    with pytest.raises(ValueError, match=text):
        export_classifier(network, tmp_path / "model.onnx", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_model(tmp_path):
    with pytest.raises(TypeError, match=r"Expected a Keras model\. Received: 'model'"):
        export_classifier("model", tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=r"built for one image input.*Call it once"):
        unbuilt = keras.Sequential([layers.Dense(3)])
        export_classifier(unbuilt, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("compiled", [False, True])
def test_untrained_model_is_refused(compiled, tmp_path):
    """Its teacher is a copy of its student; a network of it is taken as it is."""
    model = JoSRC(networks.digits_cnn(8), 8, smoothing=0.3)
    if compiled:
        model.compile("adam")
    with pytest.raises(ValueError, match=r"a trained model.*a JoSRC.*made no step"):
        export_classifier(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
    report = export_classifier(model.student, tmp_path / "model.onnx")
    assert report["source"] == "network"


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_loaded_weights_are_accepted(trained, digit_images, tmp_path):
    """Though the optimizer of the new model has made no step."""
    trained.save_weights(tmp_path / "model.weights.h5")
    model = JoSRC(networks.digits_cnn(8), 8, smoothing=0.3)
    model.compile("adam")
    model.load_weights(tmp_path / "model.weights.h5")
    assert model.optimizer.iterations == 0
    export_classifier(model, tmp_path / "model.onnx")
    logits = client("onnx", tmp_path / "model.onnx")(digit_images)["logits"]
    check_same(logits, logits_of(trained.teacher, digit_images))


@pytest.mark.parametrize(
    ("format", "package", "install"),
    [
        ("onnx", "onnx", r"josrc-keras\[onnx\]"),
        ("onnx", "tf2onnx", r"josrc-keras\[onnx\]"),
        ("onnx", "onnxruntime", r"josrc-keras\[onnx\]"),
        ("onnx", "tensorflow", "tensorflow"),
        ("saved_model", "tensorflow", "tensorflow"),
        ("litert", "tensorflow", "tensorflow"),
    ],
)
def test_missing_package_says_what_to_install(
    format, package, install, network, tmp_path, monkeypatch
):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == package else find(name, *rest),
    )
    text = rf"needs {package}, which is not installed.*`pip install {install}`"
    with pytest.raises(ImportError, match=text):
        export_classifier(network, tmp_path / NAMES[format], format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_weights_beyond_the_format_are_refused_at_once(
    format, network, tmp_path, monkeypatch
):
    """Kind: a file that a format can't hold, of which parts would lie beside it."""
    monkeypatch.setattr(classifier, "LARGEST", 4 * network.count_params() - 1)
    with pytest.raises(ExportError, match=r"bytes for .* Export as saved_model"):
        export_classifier(network, tmp_path / NAMES[format], format)
    assert not list(tmp_path.iterdir())
