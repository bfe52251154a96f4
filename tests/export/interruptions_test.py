"""An export that fails, is killed, or finds something at its path."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from josrc_keras import data, networks
from josrc_keras.export import ExportError, export_classifier, in_tensorflow, proof
from tests.support.exports import (
    NAMES,
    check_same,
    client,
    every_format,
    logits_of,
    network_of,
    quick_proof,
)

UNFINISHED = ".josrc-unfinished-"


@pytest.fixture(scope="module")
def digit_images():
    return data.digits8n_o().test.images[:64].astype("float32")


@pytest.fixture
def network():
    return network_of(layers.Rescaling(1 / 255))


def contents(folder):
    """Relative path to bytes of every file below a folder, hidden ones too."""
    parts = (part for part in folder.rglob("*") if part.is_file())
    return {str(part.relative_to(folder)): part.read_bytes() for part in parts}


HALVES = {"write": (in_tensorflow.writers, "write"), "prove": (proof, "served_outputs")}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A folder with an artefact in each format, and what belongs to it."""
    folder = tmp_path_factory.mktemp("earlier")
    keras.utils.set_random_seed(1)
    with quick_proof():
        for format, name in NAMES.items():
            network = network_of(layers.Rescaling(1 / 200))
            export_classifier(network, folder / format / name, format)
    return folder


@every_format
@pytest.mark.parametrize("half", HALVES)
def test_failure_half_way_leaves_what_was_there(
    format, half, network, earlier, tmp_path, monkeypatch
):
    """The earlier artefact and its metadata, or nothing at all."""

    def fail(*arguments):
        raise ExportError("half-way")

    before = contents(earlier)
    monkeypatch.setattr(*HALVES[half], fail)
    for folder in (earlier / format, tmp_path):
        if folder == tmp_path and (half, format) == ("prove", "litert"):
            continue  # Slow, and written as the others are.
        with pytest.raises(ExportError, match="half-way"):
            export_classifier(network, folder / NAMES[format], format, overwrite=True)
    assert contents(earlier) == before and len(before) >= 6
    assert list(tmp_path.iterdir()) == []


def test_existing_path(network, digit_images, tmp_path):
    """Refused and untouched without `overwrite`, replaced with it."""
    path = tmp_path / "model.onnx"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"model\.onnx\. Pass overwrite=True"):
        export_classifier(network, path)
    assert contents(tmp_path) == {"model.onnx": b"mine"}
    export_classifier(network, path, overwrite=True)
    logits = client("onnx", path)(digit_images)["logits"]
    check_same(logits, logits_of(network, digit_images))
    assert list(tmp_path.iterdir()) == [path]


def test_folder_and_file_replace_each_other(network, digit_images, tmp_path):
    """A SavedModel where a file was, a file where a SavedModel was."""
    path = tmp_path / "model"
    path.write_text("mine")
    for format in ("saved_model", "onnx", "saved_model", "saved_model"):
        with quick_proof():
            export_classifier(network, path, format, overwrite=True)
        logits = client(format, path)(digit_images)["logits"]
        check_same(logits, logits_of(network, digit_images))
        assert list(tmp_path.iterdir()) == [path]
        with pytest.raises(FileExistsError, match="Pass overwrite=True"):
            export_classifier(network, path, "onnx")


# Exports to a disk that is full; then to one that is not, and waits there to be killed.
CHILD = """
import json, resource, signal, time
from josrc_keras import networks
from josrc_keras.export import export_classifier, proof

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
errors = {}
for format, name in NAMES.items():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        export_classifier(networks.digits_cnn(8), "full/" + name, format)
    except Exception as error:
        errors[format] = [type(error).__name__, str(error)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(json.dumps(errors), flush=True)
proof.served_outputs = lambda *arguments: time.sleep(600)
export_classifier(networks.digits_cnn(8), "killed/model.onnx")
"""


@pytest.fixture(scope="module", autouse=True)
def child(tmp_path_factory):
    """The process and its folder; it works while the other tests run."""
    folder = tmp_path_factory.mktemp("child")
    process = subprocess.Popen(
        [sys.executable, "-c", f"NAMES = {NAMES!r}\n{CHILD}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process, folder
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def errors(child):
    return json.loads(child[0].stdout.readline())


@every_format
def test_full_disk(format, errors, child):
    """What was written up to there is removed, and the error says what happened."""
    kind, text = errors[format]
    assert kind in ("ExportError", "OSError")
    assert format in text
    assert "too large" in text or "could not be loaded" in text
    assert list((child[1] / "full").iterdir()) == []


def test_killed_export_leaves_no_artefact(errors, child):
    """And the next export of the name removes what it was writing."""
    process, folder = child
    folder /= "killed"
    deadline = time.monotonic() + 60
    while not list(folder.glob(f"{UNFINISHED}model.onnx-*/model.onnx")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9
    (left,) = folder.iterdir()
    assert left.name.startswith(UNFINISHED)
    other = folder / f"{UNFINISHED}other.onnx-abcdefgh"  # Somebody else's.
    other.mkdir()
    network = networks.digits_cnn(8)
    export_classifier(network, folder / "model.onnx")
    assert {part.name for part in folder.iterdir()} == {"model.onnx", other.name}
    batch = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 1)).astype("float32")
    logits = client("onnx", folder / "model.onnx")(batch)["logits"]
    check_same(logits, logits_of(network, batch))
