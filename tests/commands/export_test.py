"""`josrc-export`: what it writes of a run, prints, and leaves as it was."""

import json
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from josrc_keras.export import calibration, read_metadata
from tests.support.artefacts import logits_of, networks_in, percent, serve
from tests.support.forks import contents, error_line

onnxruntime = pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")

FORMATS = {
    "saved_model": ["saved_model"],
    "onnx": ["model.onnx", "model.int8.onnx"],
    "litert": ["model.tflite", "model.int8.tflite"],
    "keras": ["model.keras"],
}
FILES = sorted(name for names in FORMATS.values() for name in names)


def test_what_is_written(exported):
    """The artefacts, their metadata, the reports, the card, the plots; no more."""
    found = {path.name for path in exported.folder.iterdir()}
    beside = {f"{name}.json" for name in FILES if name.endswith((".tflite", ".keras"))}
    assert found == {*FILES, *beside, "exports.json", "README.md", "plots"}
    outside = {
        name: content
        for name, content in exported.after.items()
        if not name.startswith("plain/export")
    }
    assert outside == exported.before


def test_reports_by_hand(exported, digits_test):
    """The better network by the even rows; accuracy of the odd ones, also of int8."""
    even, odd = digits_test.rows(slice(0, None, 2)), digits_test.rows(slice(1, None, 2))
    found = networks_in(exported.run)
    accuracy = {
        name: np.mean(logits_of(network, even.images).argmax(axis=1) == even.labels)
        for name, network in found.items()
    }
    best = max(accuracy, key=accuracy.get)
    assert accuracy[best] > min(accuracy.values())  # Else it would not be seen.
    assert sorted(exported.reports) == FILES
    logits = logits_of(found[best], odd.images)
    right = np.mean(logits.argmax(axis=1) == odd.labels)
    for name, report in exported.reports.items():
        assert name in FORMATS[report["format"]]
        assert report["precision"] == ("int8" if "int8" in name else "float32")
        assert report["source"] == best
        assert report["validation"]["accuracy"] == pytest.approx(accuracy)
        assert report["test"]["accuracy"] == pytest.approx(right)
        assert report["validation"]["images"] == report["test"]["images"] == 178
        assert report["images"] == 1 + 2 + 33 + 1 + 1 + 5 + 178 + 178
        path = exported.folder / name
        parts = path.rglob("*") if path.is_dir() else [path]
        assert report["bytes"] == sum(p.stat().st_size for p in parts if p.is_file())
        if report["precision"] == "float32":
            assert report["accuracy"] == pytest.approx(right)
            assert report["max_difference"] < 1e-3 and report["agreement"] == 1.0
        assert read_metadata(path)["training"]["epochs"] == 3
        assert read_metadata(path)["config"]["data"]["name"] == "digits8n_o"
    served = serve(exported.folder / "model.int8.onnx", odd.images.astype("float32"))
    int8 = exported.reports["model.int8.onnx"]
    assert int8["accuracy"] == np.mean(served["logits"].argmax(axis=1) == odd.labels)
    assert int8["bytes"] < 0.6 * exported.reports["model.onnx"]["bytes"]


def test_what_is_printed(exported):
    """Source and accuracies, a line an artefact with its difference, the card."""
    report = exported.reports["model.onnx"]
    source, accuracy = report["source"], report["validation"]["accuracy"]
    (other,) = set(accuracy) - {source}
    assert exported.lines[0] == (
        f"Exporting the {source}: {percent(accuracy[source])} (the {other} "
        f"{percent(accuracy[other])}) of 178 validation labels; "
        f"{percent(report['test']['accuracy'])} of 178 test images."
    )
    error, confidence = (
        percent(report["test"][key]) for key in ("calibration_error", "mean_confidence")
    )
    assert exported.lines[1] == (
        f"Expected calibration error {error} (mean confidence {confidence}); see "
        "--calibrate."
    )
    names = [name for names in FORMATS.values() for name in names]
    for name, line in zip(names, exported.lines[2:-1], strict=True):
        report = exported.reports[name]
        assert re.search(rf"plain/export/{name} \(0\.\d\d MB\): largest diff", line)
        assert f"of a logit {report['max_difference']:.1e}, same class for " in line
        end = f"; accuracy {percent(report['accuracy'])} (float32 "
        assert (end in line) == (report["precision"] == "int8")
    assert exported.lines[-1] == "Model card: plain/export/README.md"


def test_card_shows_what_is_there(exported):
    """A row an artefact; pictures that exist, as the run has them; the command."""
    for name in FILES:
        assert exported.card.count(f"\n| `{name}` | ") == 1
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", exported.card)
    plots = {f"plots/{p.name}" for p in (exported.run / "plots").glob("*.png")}
    assert set(pictures) == plots and len(plots) >= 2
    for name in pictures:
        ours = (exported.folder / name).read_bytes()
        assert ours == (exported.run / name).read_bytes()
    assert "In the last epoch it took " in exported.card
    assert "--config.epochs=3" in exported.card


SAVE = """
import sys
import numpy as np
names = ("outputs", "logits", "probabilities")
found = {name: globals()[name] for name in names if name in globals()}
found = found.get("outputs", found)
assert "josrc_keras" not in sys.modules
np.savez(sys.argv[1], **{name: np.asarray(value) for name, value in found.items()})
"""


def test_clients_of_the_card_run(exported, digits_test, tmp_path):
    """Each block in a new process, in that folder: the logits of black images.

    The block for encoded images goes on where that of the SavedModel ends.
    """
    blocks = re.findall(r"```python\n(.*?)```", exported.card, re.DOTALL)
    assert len(blocks) == 5
    (encoded,) = (block for block in blocks if "serving_encoded" in block)
    blocks.remove(encoded)
    (number,) = (n for n, block in enumerate(blocks) if "saved_model" in block)
    blocks[number] += SAVE + encoded + "sys.argv[1] += '.encoded'\n"
    client = tmp_path / "client"
    shutil.copytree(exported.folder, client)
    image = digits_test.images[4]
    photo = tf.io.encode_jpeg(image, quality=100).numpy()
    (client / "photo.jpg").write_bytes(photo)
    processes = []
    for number, block in enumerate(blocks):
        script = tmp_path / f"{number}.py"
        script.write_text(block + SAVE)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-I", script, tmp_path / str(number)],
                cwd=client,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    network = networks_in(exported.run)[exported.reports["model.onnx"]["source"]]
    black = logits_of(network, np.zeros((8, 8, 8, 1)))
    for number, process in enumerate(processes):
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, f"{blocks[number]}\n{err}"
        with np.load(tmp_path / f"{number}.npz") as found:
            np.testing.assert_allclose(found["logits"], black, atol=1e-3, rtol=1e-4)
            expected = calibration.softmax(black)
            np.testing.assert_allclose(found["probabilities"], expected, atol=1e-4)
    (path,) = tmp_path.glob("*.encoded.npz")
    with np.load(path) as found:
        decoded = tf.io.decode_jpeg(photo).numpy()[None]
        expected = logits_of(network, decoded)
        np.testing.assert_allclose(found["logits"], expected, atol=1e-3, rtol=1e-4)
        assert np.abs(expected - black[:1]).max() > 0.1


def test_existing_target_is_refused_at_once(exported, shell):
    """Also if it is the last of several: nothing is written, nothing changed."""
    before = contents(exported.run)
    done = shell(
        "export", "--run=plain", "--format=onnx", "--precision=float16,float32"
    )
    assert (done.status, done.out) == (2, "")
    line = error_line(done.err)
    assert re.search(r"josrc-export: error: .*plain/export/model\.onnx\. Pass ", line)
    assert "--overwrite" in line
    assert contents(exported.run) == before


@pytest.fixture(scope="module")
def second(exported, shell, tmp_path_factory):
    """A copy of the exports of which ONNX is written again, with other options."""
    folder = tmp_path_factory.mktemp("second")
    run = shutil.copytree(exported.run, folder / "run")
    worse = {"teacher": "student", "student": "teacher"}
    source = worse[exported.reports["model.onnx"]["source"]]
    done = shell(
        "export",
        f"--run={run}",
        "--format=onnx",
        "--overwrite",
        f"--source={source}",
        "--input=uint8",
        "--top_k=2",
    )
    assert done.status == 0, done.err
    return types.SimpleNamespace(folder=run / "export", source=source, done=done)


def test_overwrite_replaces_what_is_asked_for(exported, second, digits_test):
    """The other network in `model.onnx`; the rest is as it was, and still reported."""
    before, after = contents(exported.folder), contents(second.folder)
    assert before.keys() == after.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"model.onnx", "exports.json", "README.md"}
    network = networks_in(exported.run)[second.source]
    served = serve(second.folder / "model.onnx", digits_test.images)
    expected = logits_of(network, digits_test.images)
    np.testing.assert_allclose(served["logits"], expected, atol=1e-3, rtol=1e-4)
    reports = json.loads(after["exports.json"])
    assert reports.pop("model.onnx")["source"] == second.source
    assert reports == {k: v for k, v in exported.reports.items() if k != "model.onnx"}
    card = after["README.md"].decode()
    for name in FILES:
        assert card.count(f"\n| `{name}` | ") == 1
    assert second.done.out.startswith(f"Exporting the {second.source}: ")


def test_card_after_a_second_export(exported, second):
    """Accuracies and weights of each file are its own."""
    reports = json.loads((second.folder / "exports.json").read_text())
    card = (second.folder / "README.md").read_text()
    for name, report in reports.items():
        checksum = read_metadata(second.folder / name)["weights_sha256"]
        assert report["weights_sha256"] == checksum and card.count(checksum) == 1
    checksum = reports["model.onnx"]["weights_sha256"]
    assert f"\n- weights of `model.onnx`: SHA-256 `{checksum}`\n" in card
    old, new = exported.reports["model.onnx"], reports["model.onnx"]
    assert old["test"]["accuracy"] != new["test"]["accuracy"]
    for report in (old, new):
        line = f"- accuracy {percent(report['test']['accuracy'])} on 178 rightly label"
        assert card.count(line) == 1
        assert card.count(f"\n- {report['source']} exported; on 178 images") == 1


def test_clients_run_after_a_second_export(second):
    """LiteRT still takes float32 and has no top classes."""
    card = (second.folder / "README.md").read_text()
    (block,) = re.findall(r"```python\n([^`]*Interpreter.*?)```", card, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-I", "-c", block],
        cwd=second.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
