"""What an artefact says of itself, read from each format by its own reader."""

import hashlib
import json
import subprocess
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from josrc_keras import data
from josrc_keras.export import (
    Serving,
    export_classifier,
    proof,
    read_metadata,
    served_process,
)

onnxruntime = pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")
onnx = pytest.importorskip("onnx", reason="needs josrc-keras[onnx]")
pytest.importorskip("tf2onnx", reason="needs josrc-keras[onnx]")

PATHS = {
    "saved_model": "saved_model",
    "onnx": "model.onnx",
    "litert": "model.tflite",
    "keras": "model.keras",
}
NAMES = ("zéro", "one", "two", "three", "four", "five", "six", "seven")
EXTRA = {
    "training": {"epochs": 2, "rate": 0.2, "note": "größer"},
    "approved": None,
    "numbers": [1, 2.5, "three"],
    "licence": "CC BY 4.0: free, with attribution",
}


def run_here(command, **arguments):
    """What `subprocess.run` does with `serve.py`, without a new process's seconds."""
    script, *rest = command[2:]
    assert Path(script).name == "served_process.py"
    served_process.main(rest)
    return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture(scope="module")
def served_here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "subprocess", types.SimpleNamespace(run=run_here))
        yield


@pytest.fixture(scope="module")
def artefacts(trained, served_here, tmp_path_factory):
    """Format to `(path, report)`: the student with names and a temperature."""
    folder = tmp_path_factory.mktemp("artefacts")
    test = data.digits8n_o().test
    found = {}
    for format, name in PATHS.items():
        report = export_classifier(
            trained,
            folder / name,
            format,
            source="student",
            serving=Serving(class_names=NAMES, temperature=1.7, top_k=3),
            validation=(test.images[:80], test.labels[:80]),
            opset=17,
            extra_metadata=EXTRA,
        )
        found[format] = folder / name, report
    return found


def weights_hash(network):
    """SHA-256 of all weights in order, each after its shape and type."""
    digest = hashlib.sha256()
    for variable in network.weights:
        array = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        digest.update(f"({array.shape}, '{array.dtype}')".encode())
        digest.update(array.data)
    return digest.hexdigest()


@pytest.mark.parametrize("format", PATHS)
def test_core_entries(format, trained, artefacts):
    """Class names, input, outputs, source, temperature, weights: by hand."""
    path, report = artefacts[format]
    found = read_metadata(path)
    assert found["format"] == format and found["precision"] == "float32"
    assert found["class_names"] == list(NAMES)
    assert found["temperature"] == report["temperature"] == 1.7
    assert found["source"] == report["source"] == "student"
    assert found["network"] == trained.student.name == "digits_cnn"
    assert found["weights_sha256"] == weights_hash(trained.student)
    assert found["weights_sha256"] != weights_hash(trained.teacher)
    assert found["input"] == {
        "name": "image",
        "dtype": "float32",
        "shape": [None, 8, 8, 1],
        "range": [0, 255],
        "resize": None,
        "resize_to": None,
        "seen_by_network": [8, 8, 1],
        "rescale": None,
    }
    outputs = {
        "logits": "float32 (N, C)",
        "probabilities": "float32 (N, C), rows sum to 1",
        "top_classes": "int32 (N, 3), most probable first",
        "top_probabilities": "float32 (N, 3)",
        "top_names": "strings (N, 3)",
    }
    if format == "keras":
        del outputs["top_names"]
    assert found["outputs"] == outputs
    assert found["validation"] == report["validation"]
    assert found["validation"]["images"] == 40
    assert found["test"] == report["test"]
    assert found["versions"]["keras"] == keras.__version__
    assert found["versions"]["backend"] == "tensorflow"


def test_formats_say_the_same(artefacts):
    """All entries, but for the format, ONNX's opset and Keras's lack of names."""
    found = {format: read_metadata(path) for format, (path, _) in artefacts.items()}
    assert found["onnx"].pop("opset") == 17
    del found["keras"]["outputs"], found["saved_model"]["outputs"]
    for entries in found.values():
        del entries["format"]
        entries.pop("outputs", None)
    expected = found.pop("saved_model")
    for format, entries in found.items():
        assert entries == expected, format


@pytest.mark.parametrize("format", PATHS)
def test_extra_entries_are_kept(format, artefacts):
    found = read_metadata(artefacts[format][0])
    assert {name: found[name] for name in EXTRA} == EXTRA


@pytest.mark.parametrize("format", PATHS)
def test_outputs_are_those_it_has(format, artefacts):
    """The names and shapes that it states are the ones it serves."""
    path, _ = artefacts[format]
    stated = read_metadata(path)["outputs"]
    served = served_process.PREDICTORS[format](str(path))(
        "batch", np.zeros((2, 8, 8, 1), "float32")
    )
    assert set(served) == set(stated)
    for name, text in stated.items():
        columns = 8 if "C" in text else 3
        assert served[name].shape == (2, columns), name
        kind = text.partition(" ")[0]
        assert kind == "strings" or served[name].dtype == kind, name


def test_onnxruntime_reads_it(artefacts):
    """Custom metadata, a text each: JSON, or the text itself."""
    path, _ = artefacts["onnx"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.get_modelmeta().custom_metadata_map
    assert json.loads(found["class_names"]) == list(NAMES)
    assert found["source"] == "student"
    assert float(found["temperature"]) == 1.7
    assert json.loads(found["training"]) == EXTRA["training"]
    assert set(found) == set(read_metadata(path))


def test_saved_model_holds_it(artefacts, tmp_path):
    """As an asset, which stays with a folder that is moved."""
    path, _ = artefacts["saved_model"]
    text = (path / "assets" / "metadata.json").read_text(encoding="utf-8")
    assert json.loads(text) == read_metadata(path)
    assert not path.with_name("saved_model.json").exists()
    moved = path.rename(tmp_path / "moved")
    try:
        assert read_metadata(moved)["class_names"] == list(NAMES)
    finally:
        moved.rename(path)


@pytest.mark.parametrize("format", ["litert", "keras"])
def test_it_stands_beside_other_files(format, artefacts):
    path, _ = artefacts[format]
    text = path.with_name(f"{path.name}.json").read_text(encoding="utf-8")
    assert json.loads(text) == read_metadata(path)


def test_it_can_be_read_by_a_path_in_text(artefacts):
    for path, _ in artefacts.values():
        assert read_metadata(str(path)) == read_metadata(path)


def dense():
    image = keras.Input((4, 4, 1))
    return keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(image)))


def test_of_a_network_without_names(served_here, tmp_path):
    """No names, no data: nothing is made up."""
    network = dense()
    serving = Serving(dtype="uint8", resize="crop", rescale=(0.5, -1.0))
    export_classifier(network, tmp_path / "m.onnx", serving=serving, opset=13)
    found = read_metadata(tmp_path / "m.onnx")
    assert (found["class_names"], found["source"]) == ([], "network")
    assert (found["opset"], found["temperature"]) == (13, 1.0)
    assert found["input"]["dtype"] == "uint8"
    assert found["input"]["shape"] == [None, None, None, 1]
    assert found["input"]["seen_by_network"] == [4, 4, 1]
    assert (found["input"]["resize"], found["input"]["rescale"]) == ("crop", [0.5, -1])
    assert found["input"]["resize_to"] == [4, 4]
    assert list(found["outputs"]) == ["logits", "probabilities"]
    assert not {"validation", "test", "calibration", "rounding"} & set(found)
    assert found["weights_sha256"] == weights_hash(network)


ELSE = r"Expected what `export_classifier` wrote: a SavedModel.*Received: .*{}\."


@pytest.mark.parametrize("name", ["absent.onnx", "folder", "notes.txt", "m.tflite"])
def test_what_is_something_else(name, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "m.tflite").write_bytes(b"TFL3")
    with pytest.raises(OSError, match=ELSE.format(name)):
        read_metadata(tmp_path / name)


@pytest.mark.parametrize("content", [b"mine", b""])
def test_what_is_no_onnx(content, tmp_path):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(OSError, match=ELSE.format("m.onnx")):
        read_metadata(tmp_path / "m.onnx")


def test_a_text_stays_a_text(served_here, tmp_path):
    """As in the other formats."""
    network = dense()
    extra = {"release": "1.10", "commit": "0123456", "reviewer": "null", "run": "7"}
    export_classifier(network, tmp_path / "m.onnx", extra_metadata=extra)
    found = read_metadata(tmp_path / "m.onnx")
    assert {name: found[name] for name in extra} == extra


def test_an_onnx_of_any_name(served_here, tmp_path):
    export_classifier(dense(), tmp_path / "model.v2", "onnx")
    assert read_metadata(tmp_path / "model.v2")["source"] == "network"


@pytest.mark.parametrize(
    "arguments",
    [
        {"rescale": (np.full(1, 1 / 255), np.zeros(1))},
        {"temperature": np.float32(2.0)},
    ],
    ids=["rescale", "temperature"],
)
def test_numpys_numbers(arguments, served_here, tmp_path):
    """Statistics of images are NumPy arrays, one number a channel."""
    export_classifier(dense(), tmp_path / "m.onnx", serving=Serving(**arguments))
    assert read_metadata(tmp_path / "m.onnx")["source"] == "network"
