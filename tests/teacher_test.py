import keras
import numpy as np
import pytest
from keras import layers

from josrc_keras import teacher as mean_teacher
from tests.support import oracle


@keras.saving.register_keras_serializable(package="josrc_keras_tests")
class Counter(layers.Layer):
    """Passes its input on; has an integer weight."""

    def build(self, input_shape):
        self.calls = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="calls"
        )

    def call(self, inputs):
        return inputs


class Irregular(layers.Layer):
    """Forgets its argument in `get_config`."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units))

    def call(self, inputs):
        return inputs @ self.kernel

    def get_config(self):
        return {"name": self.name}


def make_student():
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4),
            layers.BatchNormalization(momentum=0.5),
            Counter(),
            layers.Dense(2),
        ]
    )


def randomise(network, seed):
    """Floats normal, integers 10 * seed; returns all as arrays."""
    rng = np.random.default_rng(seed)
    for weight in network.weights:
        if "int" in weight.dtype:
            weight.assign(10 * seed)
        else:
            weight.assign(rng.normal(size=weight.shape))
    return network.get_weights()


def names(network):
    return [weight.path.split("/")[-1] for weight in network.weights]


def test_clone_is_equal_frozen_and_its_own():
    student = make_student()
    before = randomise(student, 1)
    teacher = mean_teacher.clone(student)
    assert teacher.trainable_variables == []
    assert len(student.trainable_variables) == 6
    randomise(student, 2)
    for ours, theirs in zip(teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_clone_normalises_by_the_batch_in_training():
    """Two rows x and -x become +-1 up to epsilon, and the statistics move half-way."""
    student = keras.Sequential(
        [keras.Input((1,)), layers.BatchNormalization(momentum=0.5, epsilon=1e-6)]
    )
    teacher = mean_teacher.clone(student)
    x = np.float32([[7.0], [3.0]])  # Mean 5, variance 4.
    np.testing.assert_allclose(teacher(x, training=True), [[1.0], [-1.0]], rtol=1e-5)
    norm = teacher.layers[0]
    np.testing.assert_allclose(norm.moving_mean, [2.5], rtol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, [2.5], rtol=1e-6)  # (1 + 4) / 2
    np.testing.assert_array_equal(student.layers[0].moving_mean, [0.0])
    expected = (x - 2.5) / np.sqrt(2.5 + 1e-6)
    np.testing.assert_allclose(teacher(x, training=False), expected, rtol=1e-5)


@pytest.mark.parametrize("statistics", ["batch", "moving"])
def test_updates_equal_the_closed_form(statistics):
    """N steps towards a fixed student: omega^n teacher + (1 - omega^n) student."""
    student = make_student()
    start = randomise(student, 1)
    teacher = mean_teacher.clone(student)
    goal = randomise(student, 2)
    for _ in range(5):
        mean_teacher.update(teacher, student, 0.9, statistics=statistics)
    kept = {"moving_mean", "moving_variance"} if statistics == "batch" else set()
    for name, ours, first, last in zip(
        names(teacher), teacher.get_weights(), start, goal, strict=True
    ):
        if name == "calls":
            assert ours == (10 if statistics == "batch" else 20)
        elif name in kept:
            np.testing.assert_array_equal(ours, first)
        else:
            expected = oracle.ema(first, last, 0.9**5)
            np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(student.get_weights(), goal, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_update_follows_a_moving_student():
    """Eq. 8 step by step, the decay given as a variable, as the model does."""
    student = make_student()
    expected = randomise(student, 1)
    teacher = mean_teacher.clone(student)
    decay = keras.Variable(0.99)
    for step in range(2, 5):
        current = randomise(student, step)
        mean_teacher.update(teacher, student, decay, statistics="moving")
        expected = [
            theirs if theirs.dtype == "int32" else oracle.ema(ours, theirs, 0.99)
            for ours, theirs in zip(expected, current, strict=True)
        ]
    for ours, theirs in zip(teacher.get_weights(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_decay_0_copies_and_1_keeps(decay):
    student = make_student()
    start = randomise(student, 1)
    teacher = mean_teacher.clone(student)
    goal = randomise(student, 2)
    mean_teacher.update(teacher, student, decay, statistics="moving")
    for name, ours, first, last in zip(
        names(teacher), teacher.get_weights(), start, goal, strict=True
    ):
        expected = first if decay and name != "calls" else last
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)


def test_clone_with_other_weights_is_refused():
    network = keras.Sequential([keras.Input((3,)), Irregular(5)], name="odd")
    message = (
        r"'odd' can't be cloned.*Received: a clone with 1 weights; expected the "
        r"network's 1, of equal shapes\. Let its `get_config` list every"
    )
    with pytest.raises(ValueError, match=message):
        mean_teacher.clone(network)
