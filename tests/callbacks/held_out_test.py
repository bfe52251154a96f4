"""HeldOut: its numbers, where they are shown, and that training is as without it."""

import csv
import types

import keras
import numpy as np
import pytest

from josrc_keras.callbacks import CleanThreshold, HeldOut, MeanTeacher
from josrc_keras.configs import digits8n_o as page
from josrc_keras.data import batches, digits8n_o
from josrc_keras.data.benchmark import Split
from josrc_keras.runs import train
from tests.support.runs import without_pictures

NAMES = {"held_out_accuracy", "held_out_teacher_accuracy"}


class ByHand(keras.callbacks.Callback):
    """Counts at the end of each epoch how many labels each network agrees with."""

    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels
        self.found = {"student": [], "teacher": []}

    def on_epoch_end(self, epoch, logs=None):
        for name, values in self.found.items():
            scores = getattr(self.model, name)(self.images, training=False)
            values.append(np.mean(np.argmax(scores, axis=1) == self.labels))


class Batches(keras.callbacks.Callback):
    """Remembers what is shown at the end of each batch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(dict(logs))


def make_batches(digits):
    """A function that makes the data of the digits that `fit` does not use."""
    split = Split(digits.x[96:], digits.y[96:], None, np.arange(96))
    return lambda: batches.evaluation_batches(split, batch_size=40)


def fit(model, digits, *callbacks, evaluate="both", epochs=3):
    """Trains on 64 digits, validated on other 32; what was shown, by epoch."""
    return model.fit(
        digits.x[:64],
        digits.y[:64],
        batch_size=16,
        epochs=epochs,
        validation_data=(digits.x[64:96], digits.y[64:96]),
        callbacks=[
            CleanThreshold(warmup_epochs=1),
            MeanTeacher(evaluate=evaluate),
            *callbacks,
        ],
        verbose=0,
    ).history


@pytest.fixture(scope="module")
def cache():
    return {}


@pytest.fixture
def trained_twice(cache, make_digits_model, digits):
    """Two trainings from the same start, without the callback and with it.

    Each as what was shown by epoch and by batch, the values of all variables, what is
    drawn next, what was counted by hand, and what the model evaluates in the end.
    """
    if not cache:
        for name in ("without", "with"):
            keras.utils.set_random_seed(1)
            model, seen = make_digits_model(keras.optimizers.Adam(0.02)), Batches()
            by_hand = ByHand(digits.x[96:], digits.y[96:])
            callback = [HeldOut(make_batches(digits))] * (name == "with")
            shown = fit(model, digits, *callback, seen, by_hand)
            variables = [*model.variables, *model.optimizer.variables]
            values = [keras.ops.convert_to_numpy(each) for each in variables]
            draws = [np.array(keras.random.uniform((4,))), np.random.random(4)]
            last = model.evaluate(make_batches(digits)(), verbose=0, return_dict=True)
            cache[name] = types.SimpleNamespace(
                shown=shown,
                batches=seen.seen,
                values=values,
                draws=draws,
                by_hand=by_hand.found,
                last=last,
            )
    return cache["without"], cache["with"]


def test_the_accuracies_of_every_epoch_are_those_counted_by_hand(trained_twice):
    """Of both networks, over 96 images in batches of 40, 40 and 16."""
    _, run = trained_twice
    student, teacher = run.by_hand["student"], run.by_hand["teacher"]
    assert run.shown["held_out_accuracy"] == pytest.approx(student)
    assert run.shown["held_out_teacher_accuracy"] == pytest.approx(teacher)
    # The numbers tell the networks, the epochs and both sets of images apart.
    assert student != teacher
    assert len(set(student)) > 1
    assert run.shown["held_out_accuracy"] != pytest.approx(run.shown["val_accuracy"])


def test_the_last_is_what_evaluate_says(trained_twice):
    _, run = trained_twice
    assert run.shown["held_out_accuracy"][-1] == run.last["accuracy"]
    assert run.shown["held_out_teacher_accuracy"][-1] == run.last["teacher_accuracy"]


def test_without_a_teacher_there_is_one_column(make_digits_model, digits):
    callback = HeldOut(make_batches(digits))
    model = make_digits_model()
    shown = fit(model, digits, callback, evaluate="student", epochs=1)
    assert NAMES & shown.keys() == {"held_out_accuracy"}


def test_training_is_bit_for_bit_the_same(trained_twice, equal_arrays):
    """All that is shown, weights, states of optimizer and views, and what is drawn."""
    without, with_it = trained_twice
    rest = {k: v for k, v in with_it.shown.items() if k not in NAMES}
    assert rest == without.shown
    assert with_it.shown.keys() - without.shown.keys() == NAMES
    assert len(without.batches) == 3 * 4
    assert with_it.batches == without.batches
    equal_arrays(with_it.values, without.values)
    equal_arrays(with_it.draws, without.draws)


class Nothing(keras.callbacks.Callback):
    """Stands where `HeldOut` does."""

    def __init__(self, make_batches):
        super().__init__()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of runs: a quarter held out; the same without the callback; and none."""
    from tensorflow.python.framework import config as determinism

    folders = {}
    with pytest.MonkeyPatch.context() as patch:
        without_pictures(patch)
        for name, share in (("held out", 0.25), ("silent", 0.25), ("whole", 0.0)):
            config = page.get_config("paper")
            fields = {"epochs": 2, "data.train_size": 256, "batch_size": 32}
            fields |= {"threshold.warmup_epochs": 1, "data.validation_share": share}
            fields["optimizer.arguments.learning_rate"] = 0.01
            if name == "whole":
                fields |= {"epochs": 1, "data.train_size": 64}
            config.update_from_flattened_dict(fields)
            if name == "silent":
                patch.setattr(train, "HeldOut", Nothing)
            folders[name] = tmp_path_factory.mktemp(name.replace(" ", "_"))
            train.train(config, folders[name], verbose=0)
    determinism.disable_op_determinism()
    return folders


def history_of(folder):
    """The columns of a run's history, as they are written."""
    with open(folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_a_run_with_images_held_out_has_the_columns(runs):
    """In every epoch, the last of them what the saved model says of these images."""
    history = history_of(runs["held out"])
    assert history.keys() >= NAMES
    for name in NAMES:
        assert len(history[name]) == 2 and all(history[name])
    split = digits8n_o(train_size=256).hold_out(0.25, seed=0).validation
    assert len(split) == 64
    model = keras.saving.load_model(runs["held out"] / "model.keras")
    for network, name in (
        (model.student, "held_out_accuracy"),
        (model.teacher, "held_out_teacher_accuracy"),
    ):
        predicted = np.argmax(network(split.images, training=False), axis=1)
        expected = np.mean(predicted == split.labels)
        assert float(history[name][-1]) == pytest.approx(expected)


def test_a_run_without_has_none(runs):
    history = history_of(runs["whole"])
    assert "val_teacher_accuracy" in history
    assert not NAMES & history.keys()


def test_a_run_is_the_same_as_if_nothing_were_evaluated(runs, equal_arrays):
    """Every other number of the history to the last digit, and the weights."""
    ours, theirs = (history_of(runs[name]) for name in ("held out", "silent"))
    assert {k: v for k, v in ours.items() if k not in NAMES} == theirs
    ours, theirs = (
        np.load(runs[name] / "checkpoint" / "epoch-00002" / "variables.npz")
        for name in ("held out", "silent")
    )
    assert ours.files == theirs.files and ours.files
    equal_arrays([ours[k] for k in ours.files], [theirs[k] for k in theirs.files])
