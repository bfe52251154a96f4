"""Timing of artefacts, with predictors of known speed."""

import time

import keras
import numpy as np
import pytest

from josrc_keras.export import Serving, export_classifier, latency, served_process

PAUSES = {"slow": 0.03, "fast": 0.01}  # Seconds.


class Pausing:
    """A network that takes a known time, and remembers what it got."""

    input_shape = (None, 4, 6, 3)

    def __init__(self, pause):
        self.pause = pause
        self.seen = []

    def predict_on_batch(self, images):
        self.seen.append(images)
        time.sleep(self.pause)


@pytest.fixture
def predictors(monkeypatch):
    """Predictors in place of all formats: sleepers by path, and what they got."""
    seen = {name: [] for name in PAUSES}

    def make(path):
        def predict(name, images):
            seen[path].append(images)
            time.sleep(PAUSES[path])

        return predict

    monkeypatch.setattr(served_process, "PREDICTORS", {"onnx": make, "litert": make})
    return seen


def fitted(**arguments):
    return Serving(**arguments).fitted_to((None, 4, 6, 3), 5)


ARTEFACTS = {"a.onnx": ("onnx", "slow"), "b.tflite": ("litert", "fast")}


def test_a_row_for_each_name_and_batch(predictors):
    """Milliseconds of the sleeps, and their ratio to the network's 20 ms."""
    rows = latency.measure(
        Pausing(0.02), fitted(), ARTEFACTS, batches=(1, 3, 7), seconds=0.05
    )
    names = ["keras", "a.onnx", "b.tflite"]
    assert [(row["name"], row["batch"]) for row in rows] == [
        (name, batch) for batch in (1, 3, 7) for name in names
    ]
    expected = {"keras": 20, "a.onnx": 30, "b.tflite": 10}
    for number, row in enumerate(rows):
        assert row["milliseconds"] == pytest.approx(expected[row["name"]], rel=0.3)
        ours = rows[number // 3 * 3]["milliseconds"]
        assert row["ratio"] == pytest.approx(row["milliseconds"] / ours)
        assert row["name"] != "keras" or row["ratio"] == 1.0


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_what_is_predicted(predictors, dtype):
    """The batch sizes asked for; pixels over [0, 255] in each one's own type."""
    network = Pausing(0.0)
    latency.measure(network, fitted(dtype=dtype), ARTEFACTS, (2, 5), seconds=0.0)
    for batches, kind in (
        (network.seen, "float32"),
        (predictors["slow"], dtype),
        (predictors["fast"], dtype),
    ):
        assert {b.shape for b in batches} == {(2, 4, 6, 3), (5, 4, 6, 3)}
        assert {b.dtype.name for b in batches} == {kind}
        pixels = batches[-1]
        assert 0 <= pixels.min() < 20 and 235 < pixels.max() <= 255
    # Five times each after one that is not counted, at least.
    assert len(network.seen) == len(predictors["slow"]) == 2 * (1 + 5)


def test_medians_without_the_first_call(monkeypatch):
    """A clock of our own: calls of 1, 2, 9, 4, 3 s after a first one of 100 s: 3 s."""
    clock = {"now": 0.0}
    lengths = {"keras": [100, 1, 2, 9, 4, 3], "other": [50, 6, 8, 6, 1, 7]}
    order = []

    def call_of(name, rest):
        def call():
            order.append(name)
            clock["now"] += rest.pop(0)

        return call

    monkeypatch.setattr(time, "perf_counter", lambda: clock["now"])
    calls = {name: call_of(name, rest) for name, rest in lengths.items()}
    assert latency._medians(calls, seconds=0.0) == {"keras": 3, "other": 6}
    assert order == ["keras", "other"] * 6  # In turns.


def test_it_goes_on_for_the_time_given(monkeypatch):
    """Ten seconds for each of two: 20 rounds of one second, not the least of 5."""
    clock = {"now": 0.0}

    def call():
        clock["now"] += 0.5

    monkeypatch.setattr(time, "perf_counter", lambda: clock["now"])
    counted = []
    calls = {"keras": call, "other": lambda: counted.append(call())}
    medians = latency._medians(calls, seconds=10.0)
    assert medians == {"keras": 0.5, "other": 0.5}
    assert len(counted) == 1 + 20


def test_a_real_artefact(tmp_path):
    pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")
    pytest.importorskip("tf2onnx", reason="needs josrc-keras[onnx]")
    image = keras.Input((4, 4, 1))
    network = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(image)))
    path = tmp_path / "model.onnx"
    serving = Serving(dtype="uint8", resize="stretch")
    export_classifier(network, path, serving=serving)
    serving = serving.fitted_to((None, 4, 4, 1), 3)
    artefacts = {"model.onnx": ("onnx", path)}
    rows = latency.measure(network, serving, artefacts, seconds=0.01)
    assert [(row["name"], row["batch"]) for row in rows] == [
        ("keras", 1),
        ("model.onnx", 1),
        ("keras", 128),
        ("model.onnx", 128),
    ]
    for keras_row, row in zip(rows[::2], rows[1::2], strict=True):
        assert 0 < row["milliseconds"] < 1000
        expected = row["milliseconds"] / keras_row["milliseconds"]
        assert row["ratio"] == pytest.approx(expected)
        assert keras_row["ratio"] == 1.0
        assert np.isfinite(row["ratio"])
