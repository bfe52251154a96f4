"""RunCheckpoint: a resumed run is the uninterrupted one, to the last digit."""

import json
import shutil

import keras
import numpy as np
import pytest

from josrc_keras.callbacks import (
    CleanThreshold,
    LinearDecay,
    MeanTeacher,
    RunCheckpoint,
    SelectionMonitor,
)
from josrc_keras.data import Split, batches

EPOCHS = 4


def fit(model, digits, checkpoint, until, initial_epoch=0):
    split = Split(digits.x, digits.y, digits.truth, np.arange(digits.count))
    model.fit(
        batches.train_batches(
            split, batch_size=64, seed=0, initial_epoch=initial_epoch
        ),
        steps_per_epoch=3,
        epochs=until,
        initial_epoch=initial_epoch,
        validation_data=(digits.x[:64], digits.y[:64]),
        callbacks=[
            LinearDecay(2, learning_rate=0.01, beta_1=0.1, epochs=EPOCHS),
            CleanThreshold(warmup_epochs=2, epochs=EPOCHS),
            MeanTeacher(0.9),
            SelectionMonitor(),
            checkpoint,
        ],
        verbose=0,
    )


def state(model):
    """Everything: both networks, thresholds, random seeds, the optimizer."""
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


@pytest.fixture
def new_model(make_digits_model, deterministic):
    """A function that makes the model as a new process would."""
    return lambda: make_digits_model(keras.optimizers.Adam(0.01))


@pytest.fixture(scope="module")
def cache():
    return {}


@pytest.fixture
def whole(cache, new_model, digits, tmp_path_factory):
    """`(history, state, folder)` of a run of four epochs, trained once a module."""
    if "whole" not in cache:
        folder = tmp_path_factory.mktemp("whole")
        keras.config.disable_traceback_filtering()
        model, checkpoint = new_model(), RunCheckpoint(folder, keep=EPOCHS)
        fit(model, digits, checkpoint, EPOCHS)
        cache["whole"] = checkpoint.history, state(model), folder
        keras.config.enable_traceback_filtering()
    return cache["whole"]


@pytest.fixture
def folder(whole, tmp_path):
    """A copy of the checkpoints of `whole`, to break."""
    shutil.copytree(whole[2], tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_resumed_run_equals_the_uninterrupted(
    new_model, digits, whole, tmp_path, equal_arrays
):
    """Weights, teacher, optimizer, seeds and history, all exactly."""
    history, expected, _ = whole
    first = RunCheckpoint(tmp_path, history_path=tmp_path / "history.csv")
    fit(new_model(), digits, first, until=2)

    model = new_model()
    model.set_weights([weight + 1 for weight in model.get_weights()])
    keras.utils.set_random_seed(99)  # Nothing may come from the global generator.
    second = RunCheckpoint(tmp_path, history_path=tmp_path / "history.csv")
    assert second.restore(model) == 2
    assert second.seconds == first.seconds > 0
    fit(model, digits, second, until=EPOCHS, initial_epoch=2)

    equal_arrays(state(model), expected)
    assert second.history == history
    assert [row["epoch"] for row in second.history] == [1, 2, 3, 4]
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 1 + EPOCHS
    # The test could not fail if nothing had moved.
    student, teacher = model.student.weights[0], model.teacher.weights[0]
    assert float(keras.ops.max(keras.ops.abs(student - teacher))) > 1e-3


def test_state_holds_optimizer_teacher_and_seeds(new_model, whole):
    """What is saved includes Adam's moments, the teacher and the seed's state."""
    model = new_model()
    names = [v.path for v in [*model.variables, *model.optimizer.variables]]
    with np.load(whole[2] / "epoch-00004" / "variables.npz") as stored:
        model.optimizer.build(model.trainable_variables)
        assert len(stored.files) == len(state(model))
    assert any("seed_generator_state" in name for name in names)
    assert sum(w is v for w in model.teacher.weights for v in model.variables) == 8


def broken(kind, checkpoint):
    """Breaks a checkpoint in one of the ways that disks and kills do."""
    archive, text = checkpoint / "variables.npz", checkpoint / "state.json"
    if kind == "truncated archive":
        archive.write_bytes(archive.read_bytes()[:-100])
    elif kind == "flipped byte in the archive":
        content = bytearray(archive.read_bytes())
        content[len(content) // 2] ^= 1
        archive.write_bytes(content)
    elif kind == "no archive":
        archive.unlink()
    elif kind == "truncated state":
        text.write_text(text.read_text()[:-20])
    elif kind == "empty state":
        text.write_text("")
    elif kind == "state of another kind":
        text.write_text("[]\n")
    elif kind == "state without a history":
        content = json.loads(text.read_text())
        del content["history"]
        text.write_text(json.dumps(content))
    elif kind == "flipped digit in the state":
        content = text.read_text()
        text.write_text(content.replace('{"epoch": 4', '{"epoch": 6', 1))
        assert text.read_text() != content
    elif kind == "not text":
        text.write_bytes(b"\xff" + text.read_bytes()[1:])


@pytest.mark.parametrize(
    "kind",
    [
        "truncated archive",
        "flipped byte in the archive",
        "no archive",
        "truncated state",
        "empty state",
        "state of another kind",
        "state without a history",
        "flipped digit in the state",
        "not text",
    ],
)
def test_broken_checkpoint_is_passed_over(
    kind, folder, new_model, whole, caplog, equal_arrays
):
    """The one before is used, whatever is wrong with the newest; the log says so."""
    broken(kind, folder / "epoch-00004")
    model, checkpoint = new_model(), RunCheckpoint(folder)
    with caplog.at_level("WARNING", logger="absl"):
        assert checkpoint.restore(model) == 3
    assert "epoch-00004" in caplog.text
    assert checkpoint.history == whole[0][:3]
    with np.load(whole[2] / "epoch-00003" / "variables.npz") as stored:
        equal_arrays(state(model), [stored[name] for name in sorted(stored.files)])


def test_nothing_whole_begins_anew(folder, new_model):
    for checkpoint in folder.iterdir():
        broken("truncated archive", checkpoint)
    checkpoint = RunCheckpoint(folder)
    assert checkpoint.restore(new_model()) == 0
    assert checkpoint.history == []
    assert RunCheckpoint(folder / "absent").restore(new_model()) == 0


def test_another_model_is_refused(folder, make_digits_model, equal_arrays):
    """An error, and neither the model nor the checkpoints have changed."""
    model = make_digits_model(keras.optimizers.SGD(0.01))
    before = state(model)
    files = {path: path.read_bytes() for path in folder.rglob("*.*")}
    with pytest.raises(ValueError, match=r"epoch-00004 belongs to another model"):
        RunCheckpoint(folder).restore(model)
    equal_arrays(state(model)[: len(before)], before)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == files


@pytest.mark.parametrize("keep", [1, 3])
def test_keeps_the_newest(keep, new_model, tmp_path):
    """`keep` folders remain, and nothing beside them."""
    model = new_model()
    model.optimizer.build(model.trainable_variables)
    checkpoint = RunCheckpoint(tmp_path, keep=keep)
    checkpoint.set_model(model)
    for epoch in range(5):
        checkpoint.on_epoch_end(epoch, {"loss": 1.0})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"epoch-{epoch:05d}" for epoch in range(6 - keep, 6)]


def test_keep_of_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"at least 1\. Received: keep=0"):
        RunCheckpoint(tmp_path, keep=0)
