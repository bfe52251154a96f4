"""Histories in checkpoints of before version 0.2, when every model answered as student.

Since then the adaptive method's `val_accuracy` is its teacher's.
"""

import csv

import keras
import pytest

from josrc_keras import AdaptiveJoSRC
from josrc_keras.callbacks import RunCheckpoint
from tests.support import models

# What an epoch of the adaptive method reported, and the names of now.
BEFORE = {
    "loss": 0.1,
    "accuracy": 0.2,
    "noise_rate": 0.3,
    "val_accuracy": 0.4,
    "val_loss": 0.5,
    "val_teacher_accuracy": 0.6,
    "val_teacher_loss": 0.7,
    "held_out_accuracy": 0.8,
    "held_out_teacher_accuracy": 0.9,
}
NOW = {
    "loss": 0.1,
    "accuracy": 0.2,
    "noise_rate": 0.3,
    "val_student_accuracy": 0.4,
    "val_student_loss": 0.5,
    "val_accuracy": 0.6,
    "val_loss": 0.7,
    "held_out_student_accuracy": 0.8,
    "held_out_accuracy": 0.9,
}
ONE_NETWORK = {"loss": 0.1, "val_accuracy": 0.4, "val_loss": 0.5}


def adaptive_model():
    model = AdaptiveJoSRC(models.linear_network(), models.CLASSES, 12)
    model.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"])
    return model


def save(folder, model, *epochs):
    """A checkpoint after epochs that reported so."""
    checkpoint = RunCheckpoint(folder)
    checkpoint.set_model(model)
    checkpoint.restore(model)
    checkpoint.on_train_begin()
    for epoch, logs in enumerate(epochs):
        checkpoint.on_epoch_end(epoch, logs)
    checkpoint.on_train_end()


def restored(folder, model, path=None):
    checkpoint = RunCheckpoint(folder, history_path=path)
    assert checkpoint.restore(model) == len(checkpoint.history)
    return checkpoint.history


def test_an_adaptive_run_of_before_goes_on_by_the_names_of_now(tmp_path):
    """Its history.csv, too, which the next epoch is added to."""
    path = tmp_path / "history.csv"
    save(tmp_path / "checkpoint", adaptive_model(), BEFORE, BEFORE)
    history = restored(tmp_path / "checkpoint", adaptive_model(), path)
    assert history == [{"epoch": 1, **NOW}, {"epoch": 2, **NOW}]
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in row.items()} for row in rows] == history


@pytest.mark.parametrize("rows", [[NOW], [ONE_NETWORK], [NOW, NOW]])
def test_names_of_now_are_left_alone(rows, tmp_path):
    save(tmp_path, adaptive_model(), *rows)
    expected = [{"epoch": number, **row} for number, row in enumerate(rows, start=1)]
    assert restored(tmp_path, adaptive_model()) == expected


def test_the_papers_model_has_the_names_that_it_had(tmp_path):
    save(tmp_path, models.make_model(), BEFORE)
    assert restored(tmp_path, models.make_model()) == [{"epoch": 1, **BEFORE}]


def test_a_run_that_was_stopped_before_and_after(tmp_path):
    """Two epochs by the old names, one by the new ones: all by the new ones."""
    save(tmp_path, adaptive_model(), BEFORE, BEFORE)
    model, checkpoint = adaptive_model(), RunCheckpoint(tmp_path)
    checkpoint.set_model(model)
    assert checkpoint.restore(model) == 2
    checkpoint.on_train_begin()
    checkpoint.on_epoch_end(2, NOW)
    checkpoint.on_train_end()
    history = restored(tmp_path, adaptive_model())
    assert [row.pop("epoch") for row in history] == [1, 2, 3]
    assert history == [NOW, NOW, NOW]
