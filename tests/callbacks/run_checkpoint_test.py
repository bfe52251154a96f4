"""RunCheckpoint: a resumed run is the uninterrupted one, to the last digit."""

import csv
import errno
import json
import shutil
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from josrc_keras.callbacks import (
    CleanThreshold,
    LinearDecay,
    MeanTeacher,
    RunCheckpoint,
    SelectionMonitor,
    VerdictHistory,
    run_checkpoint,
)
from josrc_keras.data import Split, batches

EPOCHS = 4


def fit(model, digits, checkpoint, until, initial_epoch=0, more=()):
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
            *more,
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


@pytest.mark.parametrize("every", [1, 10])
def test_resumed_run_equals_the_uninterrupted(
    every, new_model, digits, whole, tmp_path, equal_arrays
):
    """Weights, teacher, optimizer, seeds and history, all exactly.

    Whether the epoch was saved at its end or, not being due, at that of training.
    """
    history, expected, _ = whole
    first = RunCheckpoint(tmp_path, history_path=tmp_path / "history.csv", every=every)
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


def test_what_callbacks_carry_is_resumed(
    new_model, digits, whole, tmp_path, equal_arrays
):
    """The history of the samples, to the last digit, whichever callback is first.

    Killed in epoch 4, of which nothing remains, after epoch 3 was saved. Recording does
    not change what is learnt either.
    """

    def train(folder, more=(), *, saves_first=True):
        model, recorder = new_model(), VerdictHistory(digits.count)
        checkpoint = RunCheckpoint(folder, carried=[recorder])
        epoch = checkpoint.restore(model)
        order = [checkpoint, recorder] if saves_first else [recorder, checkpoint]
        fit(model, digits, order[0], EPOCHS, epoch, more=[order[1], *more])
        return model, recorder.history, epoch

    model, uninterrupted, _ = train(tmp_path / "whole", saves_first=False)
    equal_arrays(state(model), whole[1])
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", [Kill(4, batch=1)])
    model, resumed, epoch = train(tmp_path / "killed")
    assert epoch == 3
    equal_arrays(state(model), whole[1])
    ours, theirs = resumed.arrays(), uninterrupted.arrays()
    assert ours.keys() == theirs.keys()
    equal_arrays(list(ours.values()), list(theirs.values()))
    assert set(resumed.epochs) == {EPOCHS} and set(resumed.early_epochs) == {2}


def test_checkpoints_without_a_callbacks_state_resume(
    folder, new_model, digits, whole, equal_arrays
):
    """An older run: its history begins where it is resumed; and back again."""
    model, recorder = new_model(), VerdictHistory(digits.count)
    checkpoint = RunCheckpoint(folder, carried=[recorder])
    assert checkpoint.restore(model) == EPOCHS
    equal_arrays(state(model), whole[1])
    assert recorder.history is None
    fit(model, digits, checkpoint, EPOCHS + 1, EPOCHS, more=[recorder])
    assert set(recorder.history.epochs) == {1}
    assert set(recorder.history.early_epochs) == {0}
    assert RunCheckpoint(folder).restore(new_model()) == EPOCHS + 1


class Kill(keras.callbacks.Callback):
    """Ends a run as a signal does: at the end of an epoch, without a last word.

    Or after a batch of the epoch.
    """

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.epoch = epoch
        self.batch = batch
        self.now = None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.batch):
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epoch and self.batch is None:
            raise KeyboardInterrupt


def epochs_in(path):
    with open(path, newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


def test_a_history_ahead_of_its_checkpoint_is_cut(
    new_model, digits, whole, tmp_path, equal_arrays
):
    """Killed after epoch 3, of which 1 is saved: it trains 2 and 3 once more."""
    history, expected, _ = whole
    arguments = {"history_path": tmp_path / "history.csv", "every": 10}
    first = RunCheckpoint(tmp_path / "checkpoint", **arguments)
    with pytest.raises(KeyboardInterrupt):
        fit(new_model(), digits, first, EPOCHS, more=[Kill(3)])
    assert epochs_in(tmp_path / "history.csv") == [1, 2, 3]

    model, second = new_model(), RunCheckpoint(tmp_path / "checkpoint", **arguments)
    assert second.restore(model) == 1
    assert epochs_in(tmp_path / "history.csv") == [1]
    fit(model, digits, second, EPOCHS, initial_epoch=1)
    equal_arrays(state(model), expected)
    assert second.history == history
    assert epochs_in(tmp_path / "history.csv") == [1, 2, 3, 4]
    names = sorted(path.name for path in (tmp_path / "checkpoint").iterdir())
    assert names == ["epoch-00001", "epoch-00004"]


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
    elif kind == "no state":
        text.unlink()
    elif kind == "no file":
        archive.unlink()
        text.unlink()
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
    elif kind == "garbage":
        text.write_bytes(np.random.default_rng(0).bytes(1000))


BROKEN = [
    "truncated archive",
    "flipped byte in the archive",
    "no archive",
    "no state",
    "no file",
    "truncated state",
    "empty state",
    "state of another kind",
    "state without a history",
    "flipped digit in the state",
    "not text",
    "garbage",
]


@pytest.mark.parametrize("kind", BROKEN)
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
    """With every one broken in another way."""
    kinds = ("truncated archive", "flipped byte in the archive", "no file", "garbage")
    for kind, checkpoint in zip(kinds, sorted(folder.iterdir()), strict=True):
        broken(kind, checkpoint)
    checkpoint = RunCheckpoint(folder)
    assert checkpoint.restore(new_model()) == 0
    assert checkpoint.history == []
    assert RunCheckpoint(folder / "absent").restore(new_model()) == 0


def test_one_that_can_not_be_read_now_is_not_given_up(folder, new_model, monkeypatch):
    """A disk may fail for a while: nothing is removed, and no epoch done again."""
    read = Path.read_text

    def fail(path, *arguments, **options):
        if path.name == "state.json" and "00004" in str(path):
            raise OSError(errno.EIO, "Input/output error")
        return read(path, *arguments, **options)

    before = sorted(path.name for path in folder.glob("epoch-*"))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", fail)
        with pytest.raises(RuntimeError) as caught:
            RunCheckpoint(folder).restore(new_model())
    assert "epoch-00004. Received: Input/output error. Nothing was" in str(caught.value)
    assert sorted(path.name for path in folder.glob("epoch-*")) == before
    assert RunCheckpoint(folder).restore(new_model()) == 4


def test_broken_checkpoints_do_not_crowd_out_new_ones(folder, new_model, digits):
    """Those that begin anew are older by their epoch, and yet are kept."""
    for checkpoint in folder.iterdir():
        broken("truncated archive", checkpoint)
    model, checkpoint = new_model(), RunCheckpoint(folder, keep=2)
    assert checkpoint.restore(model) == 0
    fit(model, digits, checkpoint, until=1)
    assert [path.name for path in folder.iterdir()] == ["epoch-00001"]
    assert RunCheckpoint(folder).restore(new_model()) == 1


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


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"keep": 0}, "keep=0, every=1"), ({"every": 0}, "keep=2, every=0")],
)
def test_less_than_one_is_refused(arguments, text, tmp_path):
    message = rf"`keep` and `every` must be at least 1\. Received: {text}\."
    with pytest.raises(ValueError, match=message):
        RunCheckpoint(tmp_path, **arguments)


class Clock:
    """What replaces `time`: it goes on when it is told to."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def process_time(self):
        return self.now


@pytest.fixture
def trained_for(make_digits_model, monkeypatch, tmp_path):
    """A function that ends so many epochs; returns which are saved, and the callback.

    An epoch takes `epoch` seconds, and saving one `saving`.
    """
    clock, savez = Clock(), np.savez

    def slow(*arguments, **arrays):
        clock.now += times.saving
        savez(*arguments, **arrays)

    monkeypatch.setattr(run_checkpoint, "time", clock)
    monkeypatch.setattr(np, "savez", slow)
    times = types.SimpleNamespace()
    model = make_digits_model(keras.optimizers.SGD(0.01))

    def train(epochs, *, initial_epoch=0, epoch=1.0, saving=0.0, **arguments):
        times.saving = saving
        checkpoint = RunCheckpoint(
            tmp_path, history_path=tmp_path / "history.csv", keep=99, **arguments
        )
        assert checkpoint.restore(model) == initial_epoch
        checkpoint.set_model(model)
        checkpoint.on_train_begin()
        for index in range(initial_epoch, epochs):
            clock.now += epoch
            checkpoint.on_epoch_end(index, {"loss": 1.0 / (index + 1)})
        checkpoint.on_train_end()
        rows = epochs_in(tmp_path / "history.csv")
        assert rows == list(range(1, epochs + 1))
        return [int(path.name[-5:]) for path in checkpoint._folders()], checkpoint

    return train


@pytest.mark.parametrize(
    ("every", "saved"),
    [(1, [1, 2, 3, 4, 5, 6, 7]), (3, [1, 3, 6, 7]), (7, [1, 7]), (99, [1, 7])],
)
def test_saves_after_each_so_many_epochs(every, saved, trained_for):
    """And the first and the last one; of a resumed run, whose first is none, too."""
    assert trained_for(7, every=every)[0] == saved
    more = {1: [8, 9, 10, 11], 3: [9, 11], 7: [11], 99: [11]}[every]
    found, _ = trained_for(11, initial_epoch=7, every=every)
    assert found == saved + more


@pytest.mark.parametrize(
    ("epoch", "saving", "saved"),
    [
        (1.0, 0.22, [1, 6, 11, 12]),  # Due 4.4 s after 1.22 s, and after 6.44 s.
        (30.0, 0.22, list(range(1, 13))),
        (1.0, 10.0, [1, 12]),
        (1.0, 0.0, list(range(1, 13))),
    ],
)
def test_saves_as_often_as_takes_a_twentieth(epoch, saving, saved, trained_for):
    """By the clock; the wall time of the epochs holds that of all but the last."""
    found, checkpoint = trained_for(12, every=None, epoch=epoch, saving=saving)
    assert found == saved
    assert checkpoint.seconds == pytest.approx(12 * epoch + (len(saved) - 1) * saving)
