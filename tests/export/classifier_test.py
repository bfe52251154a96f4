"""Export: the artefact is the classifier, all of it and nothing else."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import data, networks
from josrc_keras.export import export_classifier
from tests.support.exports import (
    NAMES,
    check_same,
    client,
    every_format,
    logits_of,
    network_of,
    quick_proof,
    size,
)

onnx = pytest.importorskip("onnx", reason="needs josrc-keras[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")
pytest.importorskip("tf2onnx", reason="needs josrc-keras[onnx]")

SOURCES = ("student", "teacher")
# Proved in a process of their own, as for users; the others at a quicker pace.
FRESH = [("onnx", s) for s in SOURCES] + [("litert", "student")]
FRESH += [("saved_model", "teacher")]


def weights_of(network):
    return sum(weight.nbytes for weight in network.get_weights())


@pytest.fixture(scope="module")
def images():
    return data.digits8n_o().test.images[:300].astype("float32")


@pytest.fixture(scope="module")
def artefacts(trained, images, tmp_path_factory):
    """`(format, source)` to `(path, report, client)`, for each."""
    found = {}
    for format, name in NAMES.items():
        for source in SOURCES:
            path = tmp_path_factory.mktemp(f"{format}-{source}") / "deep" / name
            fresh = (format, source) in FRESH
            with contextlib.nullcontext() if fresh else quick_proof():
                report = export_classifier(
                    trained, path, format, source, images=images[:50]
                )
            found[format, source] = path, report, client(format, path)
    return found


@pytest.mark.parametrize("size", [1, 7, 300])
@pytest.mark.parametrize("source", SOURCES)
@every_format
def test_artefact_equals_its_network(trained, artefacts, images, format, source, size):
    """Any batch size; logits to 1e-4 and the same class on real images."""
    _, _, predict = artefacts[format, source]
    outputs = predict(images[:size])
    assert sorted(outputs) == ["logits", "probabilities"]
    expected = logits_of(getattr(trained, source), images[:size])
    check_same(outputs["logits"], expected)
    powers = np.exp(expected - expected.max(axis=1, keepdims=True))
    check_same(outputs["probabilities"], powers / powers.sum(axis=1, keepdims=True))


@every_format
def test_sources_differ(artefacts, images, format):
    """The student is not the teacher: the wrong one would be seen."""
    logits = [artefacts[format, source][2](images)["logits"] for source in SOURCES]
    assert np.abs(logits[0] - logits[1]).max() > 0.1


@pytest.mark.parametrize("source", SOURCES)
@every_format
def test_report_says_what_was_done(artefacts, format, source):
    path, report, _ = artefacts[format, source]
    assert report == {
        "path": str(path),
        "format": format,
        "precision": "float32",
        "source": source,
        "max_difference": report["max_difference"],
        "agreement": 1.0,
        "images": 1 + 2 + 33 + 1 + 1 + 5 + 50,
        "bytes": size(path),
        "temperature": 1.0,
    }
    assert 0 <= report["max_difference"] < 1e-4


@every_format
def test_nothing_else_is_left_beside(artefacts, format):
    """Two formats have their metadata in a second file; none leaves a scratch file."""
    path, _, _ = artefacts[format, "student"]
    beside = {f"{path.name}.json"} if format in ("litert", "keras") else set()
    assert {other.name for other in path.parent.iterdir()} == {path.name} | beside


def test_onnx_interface(artefacts):
    """Names, types and shapes as documented; the batch axis is free and has a name."""
    session = onnxruntime.InferenceSession(artefacts["onnx", "teacher"][0])
    nodes = [*session.get_inputs(), *session.get_outputs()]
    assert [(node.name, node.type, node.shape) for node in nodes] == [
        ("image", "tensor(float)", ["batch", 8, 8, 1]),
        ("logits", "tensor(float)", ["batch", 8]),
        ("probabilities", "tensor(float)", ["batch", 8]),
    ]


def test_saved_model_interface(artefacts):
    signatures = tf.saved_model.load(artefacts["saved_model", "teacher"][0]).signatures
    assert sorted(signatures) == ["serving_default", "serving_encoded"]
    (_, inputs) = signatures["serving_default"].structured_input_signature
    assert inputs["image"].shape.as_list() == [None, 8, 8, 1]
    assert inputs["image"].dtype == tf.float32
    (_, inputs) = signatures["serving_encoded"].structured_input_signature
    assert inputs["image_bytes"] == tf.TensorSpec([None], tf.string, "image_bytes")


def test_keras_interface(artefacts):
    model = keras.saving.load_model(artefacts["keras", "teacher"][0])
    assert (model.input.name, model.input.shape) == ("image", (None, 8, 8, 1))
    assert model.input.dtype == "float32"
    assert getattr(model, "optimizer", None) is None


def test_opset_is_what_was_asked(artefacts, small, tmp_path):
    def opset(path):
        return {p.domain: p.version for p in onnx.load(path).opset_import}[""]

    export_classifier(small, tmp_path / "13.onnx", opset=13)
    assert opset(tmp_path / "13.onnx") == 13
    assert opset(artefacts["onnx", "student"][0]) == 18


@pytest.mark.parametrize("source", SOURCES)
@every_format
def test_digits_hold_one_classifier(trained, artefacts, format, source):
    """No wrapper, second network or optimizer: the weights, 5% and 96 KiB."""
    weights = weights_of(getattr(trained, source))
    assert 0.9 * weights < size(artefacts[format, source][0])
    assert size(artefacts[format, source][0]) <= 1.05 * weights + 96 * 1024


@pytest.fixture(scope="module")
def wide():
    return networks.cnn7(10)


@every_format
def test_larger_network_adds_five_percent_at_most(wide, tmp_path, format):
    with quick_proof():
        report = export_classifier(wide, tmp_path / NAMES[format], format)
    assert wide.count_params() > 650_000
    assert 0.99 * weights_of(wide) < size(tmp_path / NAMES[format])
    assert size(tmp_path / NAMES[format]) <= 1.05 * weights_of(wide)
    assert report["source"] == "network"


@pytest.fixture(scope="module")
def compiled(images):
    network = networks.digits_cnn(8)
    network.compile("adam", "mse")
    network.train_on_batch(images[:8], np.zeros((8, 8)))
    return network


@pytest.mark.parametrize("format", ["saved_model", "keras"])
def test_compiled_network_leaves_its_optimizer_behind(compiled, tmp_path, format):
    """Adam holds two numbers for each weight: the file would be three times as big."""
    with quick_proof():
        export_classifier(compiled, tmp_path / NAMES[format], format)
    weights = weights_of(compiled)
    assert size(tmp_path / NAMES[format]) <= 1.05 * weights + 96 * 1024


def test_loss_of_its_own_stays_behind(tmp_path):
    """A network compiled with somebody's own function: a client does not have it."""

    def distance(labels, logits):
        return keras.ops.sum(keras.ops.abs(logits - labels))

    network = networks.digits_cnn(8)
    network.compile("adam", distance)
    network.train_on_batch(np.zeros((2, 8, 8, 1)), np.zeros((2, 8)))
    with quick_proof():
        export_classifier(network, tmp_path / "model.keras", "keras")
    images = np.full((3, 8, 8, 1), 99.0, "float32")
    logits = client("keras", tmp_path / "model.keras")(images)["logits"]
    check_same(logits, logits_of(network, images))


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
@every_format
def test_network_whose_output_is_a_list_of_one(images, tmp_path, format):
    """`keras.Model(other.inputs, other.outputs)`: predicts, so it is exported."""
    other = network_of(keras.layers.Rescaling(1 / 255))
    network = keras.Model(other.inputs, other.outputs)
    with quick_proof():
        export_classifier(network, tmp_path / NAMES[format], format)
    logits = client(format, tmp_path / NAMES[format])(images)["logits"]
    check_same(logits, logits_of(other, images))


@pytest.fixture
def small():
    return network_of(keras.layers.Rescaling(1 / 255))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_exports_float32(policy, nested, images, tmp_path):
    """The same weights in float32, also in a network within the network."""
    rescaling = keras.layers.Rescaling(1 / 255)
    network = network_of(rescaling, policy=policy)
    same = network_of(keras.layers.Rescaling(1 / 255))
    same.set_weights(network.get_weights())
    if nested:
        image = keras.Input((8, 8, 1))
        network = keras.Model(image, network(image))
    path = tmp_path / "model.onnx"
    report = export_classifier(network, path, images=images[:40])
    check_same(client("onnx", path)(images)["logits"], logits_of(same, images))
    exact, rounded = (logits_of(n, images[:40]) for n in (same, network))
    assert rounded.dtype != np.float32  # It was half precision.
    difference = np.abs(rounded.astype("float32") - exact).max()
    assert report["rounding"] == {
        "max_difference": pytest.approx(difference, rel=1e-3),
        "agreement": np.mean(rounded.argmax(axis=1) == exact.argmax(axis=1)),
    }
    assert 1e-5 < difference < 0.1


@every_format
def test_network_for_images_of_any_size(images, tmp_path, format):
    """Where the network takes any height and width, so does the artefact."""
    network = network_of(keras.layers.Rescaling(1 / 255), shape=(None, None, 1))
    with quick_proof():
        export_classifier(network, tmp_path / NAMES[format], format)
    predict = client(format, tmp_path / NAMES[format])
    for batch in (images[:5], images[:3, :5], images[:2].repeat(4, axis=2)):
        check_same(predict(batch)["logits"], logits_of(network, batch))
