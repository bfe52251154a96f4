"""In the warm-up no sample is re-labelled, and the teacher does not predict."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import Choices, JoSRC
from josrc_keras.callbacks import CleanThreshold, MeanTeacher

CLASSES = 4
random = np.random.default_rng(0)
VIEWS = dict(
    zip(
        ("view_a", "view_b"),
        random.uniform(0, 1, (2, 32, 4, 4, 1)).astype("float32"),
        strict=True,
    )
)
LABELS = random.integers(0, CLASSES, 32)


@keras.saving.register_keras_serializable(package="tests")
class Calls(keras.layers.Layer):
    """Counts how often it runs, in no weight of its own; passes its input on."""

    def build(self, input_shape):
        self.count = tf.Variable(0, trainable=False)

    def call(self, inputs):
        self.count.assign_add(1)
        return inputs


def make_model(*stack, **arguments):
    image = keras.Input((4, 4, 1))
    x = keras.layers.Dense(8)(keras.layers.Flatten()(image))
    for layer in stack:
        x = layer(x)
    network = keras.Model(image, keras.layers.Dense(CLASSES)(x))
    model = JoSRC(network, CLASSES, smoothing=0.3, **arguments)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def fit(model, warmup, epochs):
    callbacks = [CleanThreshold(0.9, 0.95, warmup), MeanTeacher(0.8)]
    data = tf.data.Dataset.from_tensor_slices((VIEWS, LABELS)).batch(16)
    return model.fit(data, epochs=epochs, callbacks=callbacks, verbose=0)


@pytest.mark.parametrize(
    ("views", "statistics", "calls"),
    [("both", "batch", 2), ("first", "batch", 1), ("both", "moving", 2)],
)
def test_the_teacher_predicts_from_the_end_of_the_warm_up(views, statistics, calls):
    """Two steps an epoch; the joint phase begins in epoch 3 of 5 (t_w = 3)."""
    choices = Choices(teacher_views=views, teacher_statistics=statistics)
    model = make_model(Calls(name="calls"), choices=choices)
    student, counted = (
        network.get_layer("calls").count for network in (model.student, model.teacher)
    )
    for epochs, expected in ((2, 0), (5, 2 * 3 * calls)):
        student.assign(0)
        counted.assign(0)
        fit(model, warmup=3, epochs=epochs)
        assert int(counted) == expected
        assert int(student) == 2 * epochs * 2  # Two steps of two views.


def test_its_statistics_follow_the_students_meanwhile():
    """Eq. 8 for what its forward passes keep later: by hand over one step."""
    model = make_model(keras.layers.BatchNormalization(momentum=0.5, name="norm"))
    ours = model.teacher.get_layer("norm").moving_mean
    start = ours.numpy()
    data = tf.data.Dataset.from_tensor_slices((VIEWS, LABELS)).batch(32)
    callbacks = [CleanThreshold(0.9, 0.95, 3), MeanTeacher(0.8)]
    model.fit(data, epochs=1, callbacks=callbacks, verbose=0)
    theirs = model.student.get_layer("norm").moving_mean.numpy()
    assert np.abs(theirs - start).max() > 0.01
    np.testing.assert_allclose(ours.numpy(), start + 0.2 * (theirs - start), rtol=1e-5)


def test_the_student_learns_as_if_it_predicted(monkeypatch):
    """Skipping changes nothing for the student, in the warm-up and after it."""

    def trained(skip):
        keras.utils.set_random_seed(0)
        model = make_model(keras.layers.BatchNormalization())
        if not skip:
            monkeypatch.setattr(
                JoSRC, "only_if", lambda self, condition, function, *_, **__: function()
            )
        history = fit(model, warmup=3, epochs=6).history
        return model.student.get_weights(), history

    (ours, history), (theirs, expected) = trained(True), trained(False)
    for first, second in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)
    assert history["clean_fraction"] == expected["clean_fraction"]
