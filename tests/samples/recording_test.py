"""Two devices record and audit as one does, on both backends."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # Two processes a backend.
BACKENDS = ["tensorflow", "jax"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A function from a backend to what `recording_runs.py` found."""
    kept = {}

    def run(backend):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        if backend not in kept:
            folder = tmp_path_factory.mktemp(backend)
            done = subprocess.run(
                [sys.executable, "-m", "tests.support.recording_runs", folder],
                cwd=Path(__file__).parents[2],
                env={
                    **os.environ,
                    "KERAS_BACKEND": backend,
                    "XLA_FLAGS": "--xla_backend_optimization_level=0",
                },
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-2000:]
            kept[backend] = json.loads((folder / "found.json").read_text())
            assert kept[backend]["many"]["devices"] == 2
        return kept[backend]

    return run


@pytest.mark.parametrize("case", ["recorded", "steps"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_devices_record_what_one_does(backend, case, results):
    """Also with two steps an execution; five batches an epoch, and a validation."""
    one, many = results(backend)["one"]["recorded"], results(backend)["many"][case]
    assert one["history"].keys() == many["history"].keys()
    assert set(one["history"]["epochs"]) == {2}
    assert set(np.ravel(one["history"]["verdicts"])) == {0, 1, 2, 3}
    for name, values in one["history"].items():
        np.testing.assert_allclose(
            many["history"][name], values, rtol=1e-5, atol=1e-5, err_msg=name
        )
    assert one["shown"].keys() == many["shown"].keys()


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_devices_audit_as_one_does(backend, results):
    """The last batch has eight samples of sixteen."""
    one, many = (results(backend)[which]["recorded"] for which in ("one", "many"))
    for name, values in one["table"].items():
        np.testing.assert_allclose(
            many["table"][name], values, rtol=1e-5, atol=1e-5, err_msg=name
        )
    assert np.ptp(one["table"]["label_score"]) > 0.1


@pytest.mark.parametrize("backend", BACKENDS)
def test_views_drawn_on_two_devices(backend, results):
    """Thirteen samples in eights, of which the last five have no equal parts."""
    assert results(backend)["many"]["augmented"] == [13, True]


@pytest.mark.parametrize("backend", BACKENDS)
def test_shuffled_datasets_land_in_the_right_rows(backend, results):
    found, given = results(backend)["many"]["shuffled"]
    assert found == given


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_out_of_range_are_counted_over_devices(backend, results):
    """40 to 78 in twos."""
    error = results(backend)["many"]["outside"]
    assert error.startswith("ValueError: Expected each sample's number in [0, 39]")
    assert "Received: 20 out of range in this epoch." in error


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_failed_fit_leaves_a_model_that_trains(backend, results):
    error, keys, epochs = results(backend)["many"]["failed"]
    assert error == "FloatingPointError: broken down"
    assert {"loss", "clean_fraction"} <= set(keys)
    assert set(epochs) == {1}
