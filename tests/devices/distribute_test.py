"""Two devices of one process train as one does on the same global batches."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

RUNS = "tests.support.strategy_runs"
BACKENDS = ["tensorflow", pytest.param("jax", marks=pytest.mark.slow)]
FITS = [
    ("tensorflow", "views"),
    ("tensorflow", "normalized"),
    ("tensorflow", "decoupling"),
    pytest.param("jax", "views", marks=pytest.mark.slow),
    pytest.param("jax", "normalized", marks=pytest.mark.slow),
]
TRUSTING = [
    ("tensorflow", "trusting"),
    pytest.param("jax", "trusting", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A function from a backend to what `strategy_runs.of_one_process` found."""
    kept = {}

    def run(backend):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        if backend not in kept:
            folder = tmp_path_factory.mktemp(backend)
            done = subprocess.run(
                [sys.executable, "-m", RUNS, "mirrored", folder],
                cwd=Path(__file__).parents[2],
                env={**os.environ, "KERAS_BACKEND": backend},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-2000:]
            kept[backend] = json.loads((folder / "mirrored.json").read_text())
            assert kept[backend]["many"]["devices"] == 2
        return kept[backend]

    return run


def assert_close(ours, theirs, atol):
    for first, second in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(first, second, atol=atol)


@pytest.mark.parametrize(("backend", "case"), FITS + TRUSTING)
def test_two_devices_equal_one(backend, case, results):
    """Weights, teacher, threshold and metrics, in the warm-up and after it.

    `normalized` is a network with batch normalisation and the model's own
    augmentation, on two devices with 4 steps an execution, of which there are 5 an
    epoch. The validation's last batch has one sample. `trusting` blends images, each
    with the next of the batch, be it on the other device.
    """
    one, many = (results(backend)[which][case] for which in ("one", "many"))
    atol = 1e-4 if case == "normalized" else 1e-5
    assert one["iterations"] == many["iterations"] == 30
    assert_close(one["warm-up"], many["warm-up"], atol)
    assert_close(one["end"], many["end"], atol)
    assert one["history"].keys() == many["history"].keys()
    assert {"val_loss", "clean_precision"} <= one["history"].keys()
    for name, values in one["history"].items():
        np.testing.assert_allclose(values, many["history"][name], atol=atol)


@pytest.mark.parametrize(("backend", "case"), FITS)
def test_two_devices_learn_from_unequal_parts(backend, case, results):
    """Else a mean per replica would be as good as one over the batch."""
    one = results(backend)["one"][case]
    first, second = one["clean"]
    assert first != second
    fractions = one["history"]["clean_fraction"]
    if case == "views":
        assert 0.05 < fractions[1] < 0.95  # In the warm-up.
    assert 0.05 < fractions[2] < 0.95  # The first epoch after the warm-up.
    assert 0.05 < fractions[-1] < 0.95


@pytest.mark.parametrize(("backend", "case"), TRUSTING)
def test_two_devices_doubt_labels(backend, case, results):
    """Of all three kinds, after a warm-up of two epochs."""
    history = results(backend)["many"][case]["history"]
    kinds = ("clean_fraction", "id_fraction", "ood_fraction")
    assert [history[name][1] for name in kinds] == [1, 0, 0]
    assert all(0 < history[name][-1] < 1 for name in kinds)
    assert history["noise_rate"][-1] > 0.05


@pytest.mark.parametrize("backend", BACKENDS)
def test_teacher_has_moving_statistics_after_the_warm_up(backend, results):
    """It has not predicted by then, on many devices as on one."""
    found = results(backend)["many"]["normalized"]
    names, weights = found["names"], found["warm-up"]
    moving = [
        (name, np.array(weight))
        for name, weight in zip(names, weights, strict=True)
        if "moving" in name
    ]
    assert len(moving) == 4  # Mean and variance of the student and of the teacher.
    for (name, student), (same, teacher) in zip(moving[:2], moving[2:], strict=True):
        assert name.rsplit("/")[-1] == same.rsplit("/")[-1]
        initial = 0.0 if "mean" in name else 1.0
        assert np.all(np.abs(student - initial) > 1e-3)
        assert np.all(np.abs(teacher - initial) > 1e-3)


@pytest.mark.parametrize("what", ["train", "weights", "test", "evaluate", "predict"])
def test_batches_one_by_one_equal_one_device(what, results):
    """`train_on_batch` twice, `test_on_batch`, and 61 samples in batches of 30."""
    one, many = (results("tensorflow")[w]["one by one"][what] for w in ("one", "many"))
    assert_close(one, many, 1e-5)
    if what == "predict":
        assert np.shape(many) == (61, 4)


def test_partial_last_batch_is_refused(results):
    """One sample for two replicas: an error with the fix, not NaN."""
    error = results("tensorflow")["many"]["partial"]
    assert error.startswith(
        "ValueError: Replicas got parts of a batch that differ in size"
    )
    assert error.endswith("Use `dataset.batch(batch_size, drop_remainder=True)`.")


@pytest.mark.slow
def test_partial_last_batch_is_refused_on_jax(results):
    error = results("jax")["many"]["partial"]
    assert "axis 0 is partitioned 2 times, but the dimension size is 1" in error
