"""`josrc-export`: its flags, what it refuses, and its help."""

import json
import re
import shutil

import numpy as np
import pytest

from josrc_keras import data
from josrc_keras.export import calibration, read_metadata, sources
from tests.support.artefacts import logits_of, networks_in, percent, serve, session_of
from tests.support.forks import contents, error_line

onnxruntime = pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")


@pytest.mark.slow
def test_calibrated_probabilities(copy_of, shell, digits_test):
    """Held-out noisy labels choose T; probabilities are those of logits / T."""
    run = copy_of("held")
    arguments = ["--format=onnx", "--calibrate", "--label_noise=0.2", "--top_k=3"]
    done = shell("export", f"--run={run}", *arguments)
    assert done.status == 0, done.err
    (report,) = json.loads((run / "export" / "exports.json").read_text()).values()
    found = read_metadata(run / "export" / "model.onnx")
    temperature = found["temperature"]
    assert report["temperature"] == temperature and abs(temperature - 1) > 0.05
    held = round(0.2 * 1347)
    assert found["calibration"] == {
        "temperature": temperature,
        "label_noise": 0.2,
        "images": held,
    }
    assert found["validation"]["images"] == held and found["test"]["images"] == 356
    assert found["training"]["train_images"] == 1347 - held
    network = networks_in(run)[found["source"]]
    logits = logits_of(network, digits_test.images)
    served = serve(run / "export" / "model.onnx", digits_test.images.astype("float32"))
    np.testing.assert_allclose(served["logits"], logits, atol=1e-3, rtol=1e-4)
    probs = calibration.softmax(logits.astype("float64") / temperature)
    np.testing.assert_allclose(served["probabilities"], probs, atol=1e-4)
    np.testing.assert_array_equal(probs.argmax(axis=1), logits.argmax(axis=1))
    assert np.abs(probs - calibration.softmax(logits)).max() > 0.01
    names = served["top_names"].astype(str)
    order = np.argsort(-served["probabilities"], axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(names, order.astype(str))  # Digits' own names.
    text = f"Temperature {temperature:.3g}: expected calibration error "
    assert done.out.splitlines()[1].startswith(text)
    assert f" of {held} noisy validation labels; " in done.out
    right = np.mean(logits.argmax(axis=1) == digits_test.labels)
    assert f"; {percent(right)} of 356 test images.\n" in done.out


@pytest.mark.slow
def test_interface_flags(copy_of, shell, digits_test):
    """uint8 of any size, cropped; probabilities alone; new statistics; times."""
    run = copy_of("held")
    done = shell(
        "export",
        f"--run={run}",
        "--format=onnx",
        "--source=student",
        "--input=uint8",
        "--resize=crop",
        "--outputs=probabilities",
        "--new_statistics",
        "--latency",
        "--opset=15",
    )
    assert done.status == 0, done.err
    path = run / "export" / "model.onnx"
    session = session_of(path)
    (image,) = session.get_inputs()
    assert (image.name, image.type) == ("image", "tensor(uint8)")
    assert image.shape == ["batch", "height", "width", 1]
    assert [output.name for output in session.get_outputs()] == ["probabilities"]
    found = read_metadata(path)
    assert (found["source"], found["opset"]) == ("student", 15)

    held_out = data.digits8n_o(rate=0.2).hold_out(0.2, 0)
    network = networks_in(run)["student"]
    images = digits_test.images[:20]
    wide = np.pad(images, ((0, 0), (0, 0), (3, 3), (0, 0)), constant_values=77)
    served = serve(path, wide)["probabilities"]
    renewed = sources.with_new_statistics(network, held_out.train.images)
    for ours, same in ((renewed, True), (network, False)):
        expected = calibration.softmax(logits_of(ours, images))
        assert (np.abs(served - expected).max() < 1e-4) == same

    times = json.loads((path.parent / "exports.json").read_text())["model.onnx"]
    times = times["milliseconds"]
    assert list(times) == ["1", "128"] and 0 < times["1"] < times["128"] < 1000
    card = (path.parent / "README.md").read_text()
    assert f"| {times['1']:.2f} / {times['128']:.2f} |" in card
    rows = [line.split() for line in done.out.splitlines()]
    for batch, ms in times.items():
        (row,) = (row for row in rows if row[:2] == ["model.onnx", batch])
        assert row[2] == f"{ms:.2f}"
        assert ["keras", batch, "1.00"] in [[*row[:2], row[-1]] for row in rows]


# Arguments in a folder with a finished `run` and a `started` one, and the error.
REFUSED = {
    "unfinished run": (
        ["--run=started"],
        r"Received: .*started, which has no model\.k",
    ),
    "missing folder": (
        ["--run=absent"],
        r"Expected a run folder.*Received: .*absent, ",
    ),
    "no run": (["--format=onnx"], r"Expected --run=VALUE\. Received: no --run\."),
    "format": (["--run=run", "--format=onnx,tflite"], r"--format as one.*'tflite'"),
    "precision": (["--run=run", "--precision=half"], r"--precision as one.*'half'"),
    "precision of a format": (
        ["--run=run", "--format=keras", "--precision=int8"],
        r"--precision for keras as one of \('float32',\)\. Received: int8\.",
    ),
    "opset": (["--run=run", "--opset=19"], r"opset from 13 to 18\. .*opset=19"),
    "source": (["--run=run", "--source=mine"], r"best, teacher, student.*mine"),
    "argument": (["--run=run", "extra"], r"Expected flags only\. Received: \['extra'"),
    "label noise": (
        ["--run=run", "--label_noise=0.2"],
        r"--label_noise is that of held-out.*config\.data\.validation_share=0\.1",
    ),
    "top_k": (["--run=run", "--top_k=9"], r"top_k from 0 to the 8 classes.*ived: 9"),
    "outputs": (["--run=run", "--outputs=scores"], r"Serving\.outputs.*'scores'"),
}


@pytest.fixture(scope="module")
def folder(trained_as, tmp_path_factory):
    folder = tmp_path_factory.mktemp("refused")
    run = trained_as("plain")
    (folder / "run").mkdir()
    (folder / "started").mkdir()
    for name in ("config.json", "history.csv", "summary.json", "model.keras"):
        shutil.copy(run / name, folder / "run")
    shutil.copy(run / "config.json", folder / "started")
    return folder


def refused(shell, folder, arguments):
    """The error line of a command that ends with status 2 and writes nothing."""
    before = contents(folder), contents(shell.folder)
    arguments = [a.replace("--run=", f"--run={folder}/") for a in arguments]
    done = shell("export", *arguments)
    assert (done.status, done.out) == (2, ""), done.err
    line = error_line(done.err)
    assert line.startswith("josrc-export: error: ")
    assert (contents(folder), contents(shell.folder)) == before
    return line


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name, shell, folder):
    """It names what was received."""
    arguments, text = REFUSED[name]
    line = refused(shell, folder, arguments)
    assert re.search(text, line), line


def test_no_format_at_all(shell, folder):
    assert "--format" in refused(shell, folder, ["--run=run", "--format="])


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("export", ["--run", "--format", "--[no]calibrate", "with a model card"]),
        ("evaluate", ["--workdir", "Evaluates the student and the teacher"]),
    ],
)
def test_help_of_an_installed_command(name, texts, shell):
    """What it does and its flags, with status 0."""
    done = shell(name, "--help")
    assert done.status == 0
    assert all(text in done.out for text in texts), done.out
    assert "Traceback" not in done.err
