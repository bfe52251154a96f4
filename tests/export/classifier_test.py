"""Export: the artefact is the classifier, all of it and nothing else."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from josrc_keras import data
from josrc_keras.export import ExportError, classifier, export_classifier

onnxruntime = pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")
pytest.importorskip("tf2onnx", reason="needs josrc-keras[onnx]")


@pytest.fixture(scope="module")
def images():
    return data.digits8n_o().test.images


@pytest.fixture(scope="module")
def artefacts(trained, tmp_path_factory):
    """Source to `(path, report)` of the ONNX export of each network."""
    folder = tmp_path_factory.mktemp("onnx")
    paths = {source: folder / f"{source}.onnx" for source in ("student", "teacher")}
    return {
        source: (path, export_classifier(trained, path, source=source))
        for source, path in paths.items()
    }


def serve_onnx(path, batch):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": np.asarray(batch, "float32")})[0]


def logits_of(network, batch):
    logits = network(np.asarray(batch, "float32"), training=False)
    return keras.ops.convert_to_numpy(logits)


def check_same(ours, theirs):
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-5)
    np.testing.assert_array_equal(ours.argmax(axis=1), theirs.argmax(axis=1))


@pytest.mark.parametrize("source", ["student", "teacher"])
@pytest.mark.parametrize("size", [1, 7, 300])
def test_onnx_equals_its_network(trained, artefacts, images, source, size):
    """Any batch size; logits to 1e-4 and the same class on real images."""
    path, _ = artefacts[source]
    batch = images[:size]
    check_same(serve_onnx(path, batch), logits_of(getattr(trained, source), batch))


def test_sources_differ(artefacts, images):
    """The student is not the teacher: the wrong one would be seen."""
    student, teacher = (
        serve_onnx(artefacts[source][0], images) for source in ("student", "teacher")
    )
    assert np.abs(student - teacher).max() > 0.1


def test_onnx_interface(artefacts):
    """One input and one output of the documented names, types and shapes."""
    path, report = artefacts["teacher"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (image,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type) == ("image", "tensor(float)")
    assert (logits.name, logits.type) == ("logits", "tensor(float)")
    assert image.shape[1:] == [8, 8, 1] and not isinstance(image.shape[0], int)
    assert report == {
        "path": str(path),
        "format": "onnx",
        "source": "teacher",
        "max_difference": report["max_difference"],
        "agreement": 1.0,
        "images": 1 + 2 + 33 + 2,
    }
    assert 0 <= report["max_difference"] < 1e-4


def test_onnx_holds_one_classifier(trained, artefacts):
    """No wrapper, second network or optimizer: the weights, 5% and 64 KiB."""
    weights = sum(weight.nbytes for weight in trained.teacher.get_weights())
    for path, _ in artefacts.values():
        assert weights * 0.9 < path.stat().st_size <= weights * 1.05 + 64 * 1024
        assert list(path.parent.glob(".*")) == []


def test_opset_is_what_was_asked(artefacts, small, tmp_path):
    import onnx

    def opset(path):
        return {p.domain: p.version for p in onnx.load(path).opset_import}[""]

    export_classifier(small, tmp_path / "13.onnx", opset=13)
    assert opset(tmp_path / "13.onnx") == 13
    assert opset(artefacts["student"][0]) == 18


SERVE = """
import json, sys
import numpy as np
import tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
images = np.load(sys.argv[2]).astype("float32")
logits = {n: serve(image=tf.constant(images[:n]))["logits"].numpy() for n in (1, 7, 90)}
np.savez(sys.argv[3], **{str(n): values for n, values in logits.items()})
names = [m for m in sys.modules if m.split(".")[0] in ("josrc_keras", "keras")]
shape = serve.structured_input_signature[1]["image"].shape.as_list()
print(json.dumps([shape, [n for n in names if n.startswith("josrc")]]))
"""


def test_saved_model_serves_without_this_package(trained, images, tmp_path):
    """Loaded by TensorFlow alone, at three batch sizes."""
    path = tmp_path / "deep" / "model"
    report = export_classifier(
        trained, path, format="saved_model", source="student", images=images[:50]
    )
    assert (report["agreement"], report["images"]) == (1.0, 1 + 2 + 33 + 2 + 50)
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-I", "-c", SERVE, path, "images.npy", "logits.npz"],
        cwd=tmp_path,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[None, 8, 8, 1], []]
    with np.load(tmp_path / "logits.npz") as logits:
        for size in (1, 7, 90):
            expected = logits_of(trained.student, images[:size])
            check_same(logits[str(size)], expected)


def network_of(*layers, policy="float32", shape=(8, 8, 1)):
    """A classifier of given layers, whose last one gives three logits."""
    policy = keras.DTypePolicy(policy)
    image = keras.Input(shape)
    x = image
    for layer in layers:
        x = layer(x)
    x = keras.layers.Conv2D(4, 3, dtype=policy)(x)
    x = keras.layers.BatchNormalization(dtype=policy)(x)
    x = keras.layers.Flatten(dtype=policy)(x)
    return keras.Model(image, keras.layers.Dense(3, dtype=policy)(x))


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
    export_classifier(network, path)
    logits = serve_onnx(path, images[:9])
    assert logits.dtype == np.float32
    check_same(logits, logits_of(same, images[:9]))
    rounded = logits_of(network, images[:9]).astype("float32")
    assert 0 < np.abs(rounded - logits).max() < 0.1  # It was half precision.


def adapted():
    layer = keras.layers.Normalization()
    layer.adapt(np.random.default_rng(0).uniform(0, 255, (50, 8, 8, 1)))
    return layer


@pytest.mark.parametrize(
    "layer",
    [
        adapted,
        lambda: keras.layers.Resizing(5, 5, antialias=True),
        lambda: keras.layers.RandomFlip(),
        lambda: keras.layers.RandomRotation(0.2),
    ],
    ids=["normalization", "antialias", "flip", "rotation"],
)
def test_layers_known_to_break(layer, images, tmp_path):
    """Refused with nothing left, or exported as it is: never a wrong file."""
    network = network_of(layer())
    path = tmp_path / "model.onnx"
    try:
        export_classifier(network, path, images=images[:20])
    except ExportError as error:
        assert "export" in str(error)
        assert list(tmp_path.iterdir()) == []
    else:
        check_same(serve_onnx(path, images[:64]), logits_of(network, images[:64]))


def test_other_logits_are_refused(small, tmp_path, monkeypatch):
    """An artefact that computes something else does not get its name."""
    serve = classifier._serve

    def wrong(*arguments):
        logits = serve(*arguments)
        logits["batch_33"][32, 1] += 0.01
        return logits

    monkeypatch.setattr(classifier, "_serve", wrong)
    with pytest.raises(ExportError, match=r"was not kept.*differ by up to 0\.01"):
        export_classifier(small, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_nan_is_refused(tmp_path):
    """NaN equals nothing."""
    network = network_of(keras.layers.Rescaling(np.nan))
    with pytest.raises(ExportError, match="differ by up to nan"):
        export_classifier(network, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", [None, "mine"])
def test_failure_half_way_leaves_what_was_there(before, small, tmp_path, monkeypatch):
    def fail(*arguments):
        raise ExportError("half-way")

    path = tmp_path / "model.onnx"
    if before:
        path.write_text(before)
    monkeypatch.setattr(classifier, "_serve", fail)
    with pytest.raises(ExportError, match="half-way"):
        export_classifier(small, path, overwrite=True)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == (
        {"model.onnx": before} if before else {}
    )


def test_existing_path(small, images, tmp_path):
    """Refused and untouched without `overwrite`, replaced with it."""
    path = tmp_path / "model.onnx"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"model\.onnx\. Pass overwrite=True"):
        export_classifier(small, path)
    assert path.read_text() == "mine"
    export_classifier(small, path, overwrite=True)
    check_same(serve_onnx(path, images[:5]), logits_of(small, images[:5]))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"format": "tflite"}, r"format as one of \('onnx', 'saved_model'\).*'tflite'"),
        ({"source": "best"}, r"source as one of \('teacher', 'student'\).*'best'"),
        ({"opset": 20}, "opset from 13 to 18. Received: opset=20"),
        ({"opset": 12}, "opset from 13 to 18. Received: opset=12"),
        ({"images": np.zeros((8, 8, 1))}, r"\(N, H, W, channels\).*\(8, 8, 1\)"),
    ],
)
def test_bad_arguments(arguments, text, small, tmp_path):
    with pytest.raises(ValueError, match=text):
        export_classifier(small, tmp_path / "model.onnx", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_model(tmp_path):
    with pytest.raises(TypeError, match=r"Expected a Keras model\. Received: 'model'"):
        export_classifier("model", tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=r"built for one image input.*Call it once"):
        unbuilt = keras.Sequential([keras.layers.Dense(3)])
        export_classifier(unbuilt, tmp_path / "model.onnx")


@pytest.mark.parametrize("package", ["onnx", "tf2onnx", "onnxruntime"])
def test_missing_package_says_what_to_install(package, small, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == package else find(name, *rest),
    )
    text = rf"needs {package}, .*`pip install josrc-keras\[onnx\]`"
    with pytest.raises(ImportError, match=text):
        export_classifier(small, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
