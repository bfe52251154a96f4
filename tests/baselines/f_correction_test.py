"""F-correction against Patrini et al. (2017), in float64 NumPy and by hand."""

import keras
import numpy as np
import pytest

from josrc_keras import FCorrection, Standard
from josrc_keras.baselines import f_correction
from josrc_keras.callbacks import EstimateTransition, SecondStage
from tests.support import resumed, steps
from tests.support.models import CLASSES
from tests.support.resumed import LABELS

# A true class is taken for the next one, or for the one after that.
MATRIX = np.array(
    [[0.7, 0.3, 0, 0], [0, 0.8, 0.2, 0], [0.1, 0, 0.6, 0.3], [0.5, 0, 0, 0.5]]
)


def gradient_of(labels, logits, matrix):
    """`p_k (1 - T_ky / q_y)` of the mean over one sample."""
    probs = np.exp(steps.log_softmax(np.asarray(logits, "float64")))
    column = np.asarray(matrix)[:, labels]
    return probs * (
        1 - column.T / (probs @ matrix)[np.arange(len(labels)), labels, None]
    )


def test_the_loss_by_hand():
    """P = (.6, .3, .1) and label 1: q = (.49, .33, .18)."""
    matrix = np.array([[0.8, 0.2, 0], [0, 0.7, 0.3], [0.1, 0, 0.9]], "float32")
    logits = np.log(np.array([[0.6, 0.3, 0.1]], "float32"))
    labels = np.array([1])
    loss = f_correction.forward_cross_entropy(labels, logits, matrix)
    np.testing.assert_allclose(loss, [1.108663], rtol=1e-6)
    np.testing.assert_allclose(
        gradient_of(labels, logits, matrix), [[0.236364, -0.336364, 0.1]], atol=1e-6
    )


def test_extreme_matrices():
    """The identity is cross-entropy, also of tiny probabilities; 0 stays finite."""
    logits = np.array([[0.0, 30.0, -20.0], [3.0, 1.0, 2.0]], "float32")
    labels = np.array([2, 1])
    plain = -steps.log_softmax(logits.astype("float64"))[[0, 1], labels]
    eye = np.eye(3, dtype="float32")
    loss = f_correction.forward_cross_entropy(labels, logits, eye)
    np.testing.assert_allclose(loss, plain, rtol=1e-6)
    # Class i becomes i + 1: the label's own class is the one before.
    turned = f_correction.forward_cross_entropy(labels, logits, np.roll(eye, 1, axis=1))
    before = -steps.log_softmax(logits.astype("float64"))[[0, 1], labels - 1]
    np.testing.assert_allclose(turned, before, rtol=1e-6, atol=1e-7)
    eye[:, 2] = 0
    loss = f_correction.forward_cross_entropy(labels, logits, eye)
    np.testing.assert_allclose(loss, [69.0776, plain[1]], rtol=1e-5)  # log(1e30)
    assert np.isnan(
        f_correction.forward_cross_entropy(np.array([3, 0]), logits, eye)[0]
    )


def test_a_step_is_the_gradient_of_the_forward_loss():
    images, labels = steps.batch()
    model = steps.make(FCorrection, transition=MATRIX)

    def loss(logits):
        probs = np.exp(steps.log_softmax(logits))
        return -np.log((probs @ MATRIX)[np.arange(len(labels)), labels]).mean()

    _, logits = steps.check_step(model, images, labels, loss)
    # The formula of the gradient, which the numeric one has checked, as well.
    numeric = steps.numeric_gradients(lambda: loss(logits), [logits])[0]
    formula = gradient_of(labels, logits, MATRIX) / len(labels)
    np.testing.assert_allclose(numeric, formula, atol=1e-8)


@pytest.mark.parametrize("classes", [2, 4, 100])
def test_the_identity_is_ordinary_training(classes):
    images, labels = steps.batch(classes=classes, count=5)
    model = steps.make(FCorrection, classes=classes)
    np.testing.assert_array_equal(model.transition, np.eye(classes))
    steps.check_equals_standard(model, images, labels)


def test_the_anchors_by_hand():
    rows = np.array([(0.95, 0.05), (0.8, 0.2), (0.6, 0.4), (0.3, 0.7), (0.1, 0.9)])
    kept = rows.copy()
    plain = f_correction.transition_from_anchors(rows)
    np.testing.assert_allclose(plain, [(0.95, 0.05), (0.1, 0.9)])
    filtered = f_correction.transition_from_anchors(rows, 0.97)
    np.testing.assert_allclose(filtered, [(0.8, 0.2), (0.3, 0.7)])
    np.testing.assert_array_equal(rows, kept)


def test_anchors_where_samples_are_alike():
    """The first of equal samples; all of them where a filter would leave none."""
    rows = np.array([(0.5, 0.5), (0.5, 0.5)])
    for quantile in (None, 0.97):
        found = f_correction.transition_from_anchors(rows, quantile)
        np.testing.assert_array_equal(found, np.full((2, 2), 0.5))
    # No sample is predicted as class 2: its row is a sample of another class.
    never = np.array([(0.9, 0.1, 0.0), (0.2, 0.8, 0.0)])
    found = f_correction.transition_from_anchors(never)
    np.testing.assert_allclose(found, [never[0], never[1], never[0]])


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), r"shape \(4, 4\) without negative.*Received: shape \(3, 3\)"),
        (np.eye(4) * 2 - np.roll(np.eye(4), 1, 1), r"least entry -1.0"),
        (MATRIX.T, r"rows .* sum to 1. Received: \[1.3, .*transpose"),
    ],
)
def test_matrices_that_are_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        steps.make(FCorrection, transition=matrix)


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match=r"\(0, 1\).*Received: quantile=1.0"):
        EstimateTransition(None, 3, 1.0)
    with pytest.raises(ValueError, match=r"at least 1. Received: at_epoch=0"):
        EstimateTransition(None, 0)
    with pytest.raises(ValueError, match=r"one sample.*Received: shape \(0, 4\)"):
        f_correction.transition_from_anchors(np.zeros((0, 4)))


def test_who_sets_the_matrix():
    """`fit` needs the callback unless the matrix was given."""
    images, labels = steps.batch()
    with pytest.raises(ValueError, match=r"transition.*Add EstimateTransition\(images"):
        steps.make(FCorrection).fit(images, labels, verbose=0)
    told = steps.make(FCorrection, transition=MATRIX)
    told.fit(images, labels, verbose=0)
    np.testing.assert_allclose(told.transition, MATRIX, rtol=1e-6)
    with pytest.raises(TypeError, match=r"EstimateTransition sets `transition`"):
        steps.make(Standard).fit(
            images, labels, callbacks=EstimateTransition(images, 1), verbose=0
        )


class Look(keras.callbacks.Callback):
    """What the model holds at the beginning and at the end of every epoch."""

    def __init__(self):
        super().__init__()
        self.begin, self.end, self.steps = [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.steps.append(int(self.model.optimizer.iterations))
        self.begin.append([*self.model.student.get_weights(), *self.slots()])

    def on_epoch_end(self, epoch, logs=None):
        self.end.append([*self.model.student.get_weights(), *self.slots()])

    def slots(self):
        return [
            keras.ops.convert_to_numpy(v).copy()
            for v in self.model.optimizer.variables[2:]
        ]


def test_the_estimate_and_the_second_stage():
    """After two epochs: the first stage's anchors; then all is as at the start."""
    images, labels = steps.batch(count=40)
    model = steps.make(FCorrection)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    look, first = Look(), [w.copy() for w in steps.weights_of(model)]
    callbacks = [EstimateTransition(images, 2), look]
    model.fit(images, labels, batch_size=16, epochs=4, callbacks=callbacks, verbose=0)
    kernel, bias = look.end[1][:2]
    logits = steps.logits_of(images, [kernel, bias])
    expected = f_correction.transition_from_anchors(np.exp(steps.log_softmax(logits)))
    np.testing.assert_allclose(model.transition, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(expected - np.eye(CLASSES)).max() > 0.005
    assert np.any(look.end[1][0] != first[0])
    for now, then in zip(look.begin[2][:2], first, strict=True):
        np.testing.assert_array_equal(now, then)
    assert look.steps == [0, 3, 0, 3]
    assert np.abs(look.end[1][-1]).max() > 0
    assert np.abs(look.begin[2][-1]).max() == 0  # The momentum.
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)


class Batches(keras.utils.PyDataset):
    """All samples as one batch."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.arrays


def test_the_network_of_the_lowest_held_out_loss_makes_the_estimate():
    """A learning rate that wrecks the second epoch: the first one's weights count."""
    images, labels = steps.batch(count=40)
    model, look = steps.make(FCorrection), Look()
    callback = EstimateTransition(images, 2)
    callback.held_out = lambda: Batches(images[:16], labels[:16])

    def rate(epoch, _):
        return (0.05, 50.0, 0.05)[epoch]

    schedule = keras.callbacks.LearningRateScheduler(rate)
    model.fit(
        images,
        labels,
        batch_size=16,
        epochs=3,
        callbacks=[schedule, callback, look],
        verbose=0,
    )
    logits = steps.logits_of(images, look.end[0][:2])
    expected = f_correction.transition_from_anchors(np.exp(steps.log_softmax(logits)))
    np.testing.assert_allclose(model.transition, expected, rtol=1e-4, atol=1e-6)


def test_a_second_stage_needs_the_first_weights():
    images, labels = steps.batch()
    with pytest.raises(ValueError, match=r"before the first.*carried=\[callback\]"):
        steps.make(Standard).fit(
            images,
            labels,
            epochs=3,
            initial_epoch=1,
            callbacks=SecondStage(1),
            verbose=0,
        )


def test_a_schedule_of_steps_goes_on():
    """Adam's averages start anew, the number of steps does not."""
    images, labels = steps.batch()
    model, look = steps.make(Standard), Look()
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    model.compile(keras.optimizers.Adam(rate))
    model.fit(images, labels, epochs=3, callbacks=[SecondStage(1), look], verbose=0)
    assert look.steps == [0, 1, 2]
    assert all(np.abs(slot).max() == 0 for slot in look.begin[1][2:])
    assert any(np.abs(slot).max() > 0 for slot in look.end[0][2:])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a variable's name")
def test_a_schedule_goes_on_under_a_loss_scale():
    """The wrapper has a learning rate of its own, which counts for nothing."""
    images, labels = steps.batch()
    model = steps.make(Standard)
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    inner = keras.optimizers.Adam(rate)
    model.compile(keras.optimizers.LossScaleOptimizer(inner, initial_scale=1.0))
    model.fit(images, labels, epochs=3, callbacks=SecondStage(1), verbose=0)
    assert int(inner.iterations) == 3


def test_a_second_fit_starts_without_a_matrix():
    """And with the loss of no epoch, so that its own best network is estimated with."""
    images, labels = steps.batch(count=40)
    model, seen = steps.make(FCorrection), []
    callback = EstimateTransition(images, 1, held_out=lambda: Batches(images, labels))
    look = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(
            keras.ops.convert_to_numpy(model.transition).copy()
        )
    )
    for _ in range(2):
        callback._best = min(callback._best, 0.0)  # No network can be better.
        model.fit(
            images,
            labels,
            batch_size=40,
            epochs=2,
            callbacks=[callback, look],
            verbose=0,
        )
    np.testing.assert_array_equal(seen[2], np.eye(CLASSES))
    assert np.abs(seen[3] - np.eye(CLASSES)).max() > 0.005
    assert 0 < callback._best < np.inf


def test_saves_and_loads(tmp_path):
    images, labels = steps.batch()
    model = steps.make(FCorrection, transition=MATRIX)
    model.train_on_batch(images, labels)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.required_controls() == {}
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), model.student.predict(images, verbose=0)
    )


@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_training_is_the_uninterrupted_one(stop, tmp_path):
    """Stopped within the first stage, and right before the second one."""
    images = resumed.IMAGES
    model = resumed.check_resumed(
        lambda: steps.make(FCorrection),
        lambda: [
            EstimateTransition(images, 2, held_out=lambda: Batches(images, LABELS))
        ],
        tmp_path,
        stop=stop,
    )
    assert np.abs(np.asarray(model.transition) - np.eye(CLASSES)).max() > 1e-3
