"""MeanTeacher: the decay of each epoch, and who is evaluated."""

import keras
import numpy as np
import pytest

from josrc_keras.callbacks import CleanThreshold, MeanTeacher


class Recorder(keras.callbacks.Callback):
    """Remembers `teacher_decay` as it is in each epoch."""

    def __init__(self):
        super().__init__()
        self.decays = []

    def on_train_batch_end(self, batch, logs=None):
        self.decays.append(float(self.model.teacher_decay))


def fit(model, digits, callback, epochs=1, **arguments):
    recorder = Recorder()
    history = model.fit(
        digits.x[:16],
        digits.y[:16],
        batch_size=16,
        epochs=epochs,
        callbacks=[CleanThreshold(warmup_epochs=1), callback, recorder],
        verbose=0,
        **arguments,
    )
    return recorder.decays, history.history


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [0.9] * 6),
        ({"start_epoch": 3}, [0, 0, 0.9, 0.9, 0.9, 0.9]),
        # Over two epochs in equal steps: a third, two thirds, then all of it.
        ({"ramp_up_epochs": 2}, [0.3, 0.6, 0.9, 0.9, 0.9, 0.9]),
        ({"start_epoch": 3, "ramp_up_epochs": 2}, [0, 0, 0.3, 0.6, 0.9, 0.9]),
    ],
)
def test_decay_of_each_epoch(make_digits_model, arguments, expected):
    callback, model, decays = MeanTeacher(0.9, **arguments), make_digits_model(), []
    callback.set_model(model)
    for epoch in range(6):
        callback.on_epoch_begin(epoch)
        decays.append(float(model.teacher_decay))
    assert decays == pytest.approx(expected, rel=1e-6)


def test_resumed_run_has_the_decay_of_its_epoch(make_digits_model, digits):
    callback = MeanTeacher(0.9, start_epoch=2, ramp_up_epochs=2)
    decays, _ = fit(make_digits_model(), digits, callback, epochs=3, initial_epoch=2)
    assert decays == pytest.approx([0.6], rel=1e-6)


def test_teacher_is_a_copy_before_the_start(make_digits_model, digits):
    """Before `start_epoch` the teacher's trained weights are the student's."""
    model = make_digits_model(keras.optimizers.Adam(0.01))
    fit(model, digits, MeanTeacher(0.99, start_epoch=3), epochs=2)
    student = model.student.trainable_weights[0]
    teacher = model.teacher.weights[0]
    np.testing.assert_allclose(teacher, student, atol=1e-6)
    fit(model, digits, MeanTeacher(0.99, start_epoch=3), epochs=3, initial_epoch=2)
    assert float(keras.ops.max(keras.ops.abs(student - teacher))) > 1e-3


def validation(model, digits, evaluate):
    data = (digits.x[:64], digits.y[:64])
    callback = MeanTeacher(0.99, evaluate=evaluate)
    _, history = fit(model, digits, callback, validation_data=data)
    return {name: v[0] for name, v in history.items() if name.startswith("val_")}


def accuracy(network, digits):
    predicted = np.argmax(network(digits.x[:64], training=False), axis=1)
    return np.mean(predicted == digits.y[:64])


def test_evaluate_both(make_digits_model, digits):
    """The student's metrics, and the teacher's beside them."""
    model = make_digits_model(keras.optimizers.Adam(0.01))
    results = validation(model, digits, "both")
    assert set(results) == {
        "val_loss",
        "val_accuracy",
        "val_teacher_loss",
        "val_teacher_accuracy",
    }
    assert results["val_accuracy"] == pytest.approx(accuracy(model.student, digits))
    teacher = accuracy(model.teacher, digits)
    assert results["val_teacher_accuracy"] == pytest.approx(teacher)
    assert results["val_loss"] != results["val_teacher_loss"]


@pytest.mark.parametrize("evaluate", ["student", "teacher"])
def test_evaluate_one(make_digits_model, digits, evaluate):
    """One network's metrics under the plain names, and no others."""
    model = make_digits_model(keras.optimizers.Adam(0.01))
    results = validation(model, digits, evaluate)
    expected = accuracy(getattr(model, evaluate), digits)
    assert results["val_accuracy"] == pytest.approx(expected)
    assert set(results) == {"val_loss", "val_accuracy"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"decay": 1.0}, r"must be in \[0, 1\).*decay=1.0.*never move"),
        ({"start_epoch": 0}, "start_epoch=0"),
        ({"ramp_up_epochs": -1}, "ramp_up_epochs=-1"),
        ({"evaluate": "all"}, "evaluate as one of .*Received: 'all'"),
    ],
)
def test_refuses_what_is_out_of_range(arguments, text):
    with pytest.raises(ValueError, match=text):
        MeanTeacher(**arguments)
