"""runs.train: precision, steps an execution, and a run that a callback stops."""

import json

import keras
import numpy as np
import pytest

from josrc_keras import data
from josrc_keras.data import batches
from josrc_keras.runs import build_callbacks, build_model, seeding
from josrc_keras.runs import train as experiment
from tests.support.runs import StopAfter, columns_of, without_pictures

STEPS = 6  # 384 images in batches of 64.


@pytest.fixture
def train(quick_config, deterministic, monkeypatch):
    """A function that trains the digits for four epochs into a folder."""
    without_pictures(monkeypatch)

    def run(workdir, *callbacks, **fields):
        config = quick_config(**{"data.train_size": 64 * STEPS, **fields})
        return experiment.train(config, workdir, verbose=0, callbacks=callbacks)

    return run


@pytest.fixture(scope="module")
def cache():
    return {}


@pytest.fixture
def whole(cache, train, tmp_path_factory):
    """The folder of an uninterrupted run, trained once a module."""
    if "whole" not in cache:
        cache["whole"] = tmp_path_factory.mktemp("whole")
        summary = train(cache["whole"])
        assert summary["epochs"] == 4
    return cache["whole"]


def test_many_steps_an_execution_are_the_same_steps(whole, train, tmp_path):
    """On TensorFlow in a graph of three; the checkpoint is the same one, too."""
    train(tmp_path, steps_per_execution=3)
    expected, found = columns_of(whole), columns_of(tmp_path)
    assert found.keys() == expected.keys()
    assert {"loss", "accuracy_clean", "clean_auroc", "val_accuracy"} < found.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(
            found[name], values, rtol=1e-5, atol=1e-5, err_msg=name
        )
    models = [keras.saving.load_model(f / "model.keras") for f in (whole, tmp_path)]
    for ours, theirs in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert [model.steps_per_execution for model in models] == [1, 3]


def test_a_callback_can_stop_a_run_that_goes_on_later(whole, train, tmp_path):
    """None and no summary; the next call trains the rest, to the last digit."""
    stop = StopAfter(2)
    assert train(tmp_path, stop) is None
    assert stop.seen == [1, 2]
    names = {path.name for path in tmp_path.iterdir()}
    assert "checkpoint" in names
    assert not names & {"summary.json", "model.keras"}
    second = StopAfter(4)  # Which is the end of the run anyway.
    summary = train(tmp_path, second)
    assert second.seen == [3, 4]
    assert summary == json.loads((tmp_path / "summary.json").read_text())
    expected = (whole / "history.csv").read_text()
    assert (tmp_path / "history.csv").read_text() == expected
    ours, theirs = (
        np.load(folder / "checkpoint" / "epoch-00004" / "variables.npz")
        for folder in (tmp_path, whole)
    )
    for name in theirs.files:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_mixed_precision(train, tmp_path):
    """Computes in bfloat16, keeps its variables in float32, and learns."""
    before = keras.config.dtype_policy()
    summary = train(tmp_path, precision="mixed_bfloat16", epochs=2)
    assert keras.config.dtype_policy() is before
    assert summary["epochs"] == 2
    history = columns_of(tmp_path)
    assert np.isfinite(list(history.values())).all()
    assert history["loss"][1] < history["loss"][0]

    model = keras.saving.load_model(tmp_path / "model.keras")
    for network in (model.student, model.teacher):
        assert network.get_layer("conv2").compute_dtype == "bfloat16"
        assert {str(weight.dtype) for weight in network.weights} == {"float32"}
        images = np.zeros((2, 8, 8, 1), "uint8")
        for training in (False, True):
            assert network(images, training=training).dtype == "float32"
    kinds = {str(variable.dtype) for variable in model.optimizer.variables}
    assert kinds == {"float32", "int64"}  # The count of steps is an integer.


@pytest.mark.parametrize("fields", [{"network.head": "deep"}, {"network.width": 0.0}])
def test_the_policy_is_restored_after_an_error(fields, quick_config):
    before = keras.config.dtype_policy()
    config = quick_config(precision="mixed_bfloat16", **fields)
    with pytest.raises(ValueError, match=r"head='deep'|width=0\.0"):
        experiment.make_model(config, 8)
    assert keras.config.dtype_policy() is before


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "double", ""])
def test_an_unknown_precision_is_refused(precision, quick_config):
    with pytest.raises(ValueError) as caught:
        experiment.make_model(quick_config(precision=precision), 8)
    assert str(caught.value) == (
        "Expected config.precision as one of ('float32', 'mixed_bfloat16', "
        f"'mixed_float16'). Received: {precision!r}."
    )


@pytest.mark.parametrize("steps", [4, 0, -1, 7, 12])
def test_steps_that_do_not_divide_an_epoch_are_refused(steps, quick_config):
    with pytest.raises(ValueError) as caught:
        experiment.make_model(quick_config(steps_per_execution=steps), 8, STEPS)
    assert str(caught.value) == (
        "Expected config.steps_per_execution as a divisor of the 6 steps of an epoch. "
        f"Received: {steps}. Use one of [1, 2, 3, 6]."
    )


@pytest.mark.parametrize(
    ("steps_per_epoch", "expected"),
    [(390, 39), (21, 21), (50, 50), (100, 50), (102, 34), (53, 1), (1, 1)],
)
def test_steps_an_execution_by_default(
    steps_per_epoch, expected, quick_config, monkeypatch
):
    """On an accelerator with JAX the largest divisor up to 50; elsewhere 1."""
    config = quick_config()
    assert build_model.steps_per_execution(config, steps_per_epoch) == 1
    monkeypatch.setattr(build_model, "on_accelerator", lambda: True)
    assert build_model.steps_per_execution(config, steps_per_epoch) == expected


def test_steps_of_an_epoch_are_those_of_the_batches(quick_config):
    """What `train` passes on: whole batches, as the refusal counts them."""
    config = quick_config(**{"data.train_size": 64 * STEPS + 63})
    split = experiment.make_benchmark(config).train
    assert batches.steps_per_epoch(split, config.batch_size) == STEPS


@pytest.mark.parametrize(
    ("flags", "accelerator", "refused"),
    [
        ("", True, True),
        ("--xla_foo --xla_gpu_deterministic_ops=true", True, False),
        ("", False, False),
    ],
)
def test_determinism_on_jax_is_asked_for_at_the_start(
    flags, accelerator, refused, quick_config, monkeypatch
):
    """An accelerator computes alike only if XLA was told so before it started."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(seeding, "on_accelerator", lambda: accelerator)
    monkeypatch.setenv("XLA_FLAGS", flags)
    config = quick_config(seed=3)
    if refused:
        with pytest.raises(ValueError) as caught:
            seeding.seed_everything(config)
        assert str(caught.value) == (
            "config.deterministic=always on JAX needs a setting that XLA reads at its "
            "start. Received: XLA_FLAGS=''. Set "
            "XLA_FLAGS=--xla_gpu_deterministic_ops=true in the environment."
        )
        config.deterministic = "cpu"
    seeding.seed_everything(config)
    first = np.random.random()
    seeding.seed_everything(config)
    assert np.random.random() == first


@pytest.mark.parametrize(("optimizer", "beta_1"), [("adam", 0.1), ("sgd", None)])
def test_adams_beta_1_is_left_alone_with_other_optimizers(
    quick_config, tmp_path, digits, optimizer, beta_1
):
    config = quick_config(**{"optimizer.name": optimizer})
    split = data.Split(digits.x, digits.y, digits.truth, None)
    decay, *_ = build_callbacks.make_callbacks(config, tmp_path, split)
    assert decay.beta_1 == beta_1


def test_a_run_on_records_finds_them_again_and_knows_them(
    train, deterministic, tmp_path, monkeypatch
):
    """From any folder, and moved; but not records of other labels."""
    for seed, name in ((0, "records"), (1, "other")):
        made = data.digits8n_o(noise="symmetric", rate=0.5, seed=seed, train_size=128)
        data.records.write(made, tmp_path / name)
    fields = {"data.name": "records", "data.train_size": None, "epochs": 2}
    monkeypatch.chdir(tmp_path)
    assert train("run", StopAfter(1), **fields, **{"data.dir": "records"}) is None
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["dir"] == str(tmp_path / "records")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"128 and \d+, of other names or labels\."):
        train(tmp_path / "run", **fields, **{"data.dir": "../other"})
    (tmp_path / "records").rename(tmp_path / "moved")
    found = train(tmp_path / "run", **fields, **{"data.dir": "../moved"})
    assert found["epochs"] == 2
