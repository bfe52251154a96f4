"""PENCIL against Yi and Wu (2019), in float64 NumPy and by hand."""

import keras
import numpy as np
import pytest

from josrc_keras import Pencil, Standard
from josrc_keras.baselines import pencil
from josrc_keras.callbacks import PencilStages
from josrc_keras.devices import replicas
from tests.support import resumed, steps
from tests.support.models import CLASSES

# The logits of p = (.2, .7, .1), label logits and a label.
LOGITS = np.log(np.array([[0.2, 0.7, 0.1]], "float32"))
LABEL_LOGITS = np.array([[2.0, 0.0, 0.0]], "float32")
LABEL = np.array([0])


@pytest.mark.parametrize(
    ("double", "compatibility", "total"),
    [(False, 0.239545, 0.476772), (True, 0.699501, 0.522768)],
)
def test_the_losses_by_hand(double, compatibility, total):
    found = pencil.pencil_losses(LOGITS, LABEL_LOGITS, LABEL, double_softmax=double)
    np.testing.assert_allclose(
        np.ravel(found), [1.037726, compatibility, 0.801819], rtol=2e-6
    )
    l_c, l_o, l_e = np.ravel(found)
    assert l_c / 3 + 0.1 * l_o + 0.4 / 3 * l_e == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize(
    ("double", "expected"),
    [
        (False, [0.174361, -0.187180, 0.012820]),
        (True, [0.183009, -0.191505, 0.008495]),
    ],
)
def test_the_gradient_of_the_labels(double, expected):
    """By hand, and by central differences of the losses."""
    options = {"double_softmax": double}
    found = pencil.label_gradient(LOGITS, LABEL_LOGITS, LABEL, 0.1, **options)
    np.testing.assert_allclose(found, [expected], atol=1e-6)
    label_logits = LABEL_LOGITS.astype("float64")

    def loss():
        return losses_of(LOGITS, label_logits, LABEL, 0.1, 0.4, double)[0]

    numeric = steps.numeric_gradients(loss, [label_logits])[0]
    np.testing.assert_allclose(found, numeric, atol=1e-6)


def losses_of(logits, label_logits, labels, alpha, beta, double=False):
    """`(N,)` losses of the second stage in float64."""
    log_p = steps.log_softmax(np.asarray(logits, "float64"))
    log_q = steps.log_softmax(np.asarray(label_logits, "float64"))
    p, classes, rows = np.exp(log_p), log_p.shape[1], np.arange(len(labels))
    own = -log_q[rows, labels]
    if double:
        own = -steps.log_softmax(np.exp(log_q))[rows, labels]
    l_c, l_e = (p * (log_p - log_q)).sum(1), -(p * log_p).sum(1)
    return l_c / classes + alpha * own + beta / classes * l_e


def in_stage(stage, samples=20, **arguments):
    model = steps.make(Pencil, samples, **arguments)
    model.stage.assign(stage)
    changes = np.random.default_rng(3).normal(0, 6, (samples, CLASSES))
    model.label_changes.assign(changes.astype("float32"))
    return model, changes


@pytest.mark.parametrize("alpha", [0.4, None])
def test_where_a_distribution_settles(alpha, caplog):
    """Of an image of another class: alpha / (1 / C + alpha) is left of the label.

    With the published code's weight that is above a half, so the label stays.
    """
    caplog.set_level("WARNING", logger="absl")
    model = steps.make(Pencil, 10, classes=10, alpha=alpha)
    assert ("never calls a label wrong" in caplog.text) == (alpha is not None)
    logits = np.full((1, 10), -20.0, "float32")
    logits[0, 1] = 20.0
    changes = np.zeros((1, 10), "float32")
    for _ in range(2000):
        label_logits = np.asarray(model.label_logits(LABEL, changes))
        changes -= 4.0 * np.asarray(
            pencil.label_gradient(logits, label_logits, LABEL, model.alpha)
        )
    left = np.exp(steps.log_softmax(np.asarray(model.label_logits(LABEL, changes))))
    expected = model.alpha / (0.1 + model.alpha)
    assert left[0, 0] == pytest.approx(expected, abs=2e-3)
    assert (left[0].argmax() == 0) == (alpha is not None)


@pytest.mark.parametrize("double", [False, True])
def test_a_step_of_the_second_stage_moves_network_and_labels(double):
    """Both by the gradient of one loss; only the rows of the batch's samples."""
    images, labels = steps.batch()
    rows = np.random.default_rng(4).permutation(20)[: len(labels)]
    model, changes = in_stage(
        1.0, alpha=0.1, beta=0.4, label_rate=30.0, double_softmax=double
    )
    label_logits = 10 * np.eye(CLASSES)[labels] + changes[rows]

    def loss(logits):
        return losses_of(logits, label_logits, labels, 0.1, 0.4, double).mean()

    given = {"label": labels, "index": rows}
    logs, logits = steps.check_step(model, images, given, loss)
    gradient = steps.numeric_gradients(lambda: loss(logits), [label_logits])[0]
    expected = changes.copy()
    expected[rows] -= 30.0 * gradient
    assert np.abs(30.0 * gradient).max() > 0.1
    np.testing.assert_allclose(model.label_changes, expected, atol=2e-5)
    agree = (label_logits.argmax(1) == labels).mean()
    assert 0 < agree < 1
    assert logs["clean_fraction"] == pytest.approx(agree)


def test_the_third_stage_keeps_the_labels():
    images, labels = steps.batch()
    model, changes = in_stage(2.0)
    rows = np.arange(len(labels))
    label_logits = 10 * np.eye(CLASSES)[labels] + changes[rows]

    def loss(logits):
        return losses_of(logits, label_logits, labels, 0.0, 0.0).mean()

    steps.check_step(model, images, {"label": labels, "index": rows}, loss)
    np.testing.assert_allclose(model.label_changes, changes, rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 100])
def test_the_first_stage_is_ordinary_training(classes):
    images, labels = steps.batch(classes=classes, count=5)
    model = steps.make(Pencil, 5, classes=classes)
    given = {"label": labels, "index": np.arange(5)}
    steps.check_equals_standard(model, images, given)
    assert np.abs(np.asarray(model.label_changes)).max() == 0
    first = np.asarray(model.label_logits(labels, np.zeros((5, classes))))
    probability = 1 / (1 + (classes - 1) * np.exp(-10))  # .999592 of ten classes.
    own = np.exp(steps.log_softmax(first.astype("float64")))[np.arange(5), labels]
    np.testing.assert_allclose(own, probability, rtol=1e-6)


def test_weights_and_rows_that_repeat():
    """A sample of weight 0 keeps its label; one that is there twice moves twice."""
    images, labels = steps.batch()
    images[1], labels[1] = images[0], labels[0]
    rows = np.arange(len(labels))
    rows[1] = 0
    weights = np.ones(len(labels), "float32")
    weights[2] = 0
    model, changes = in_stage(1.0, alpha=0.4, label_rate=30.0)
    logits = steps.logits_of(images, steps.weights_of(model))
    label_logits = 10 * np.eye(CLASSES)[labels] + changes[rows]
    given = {"label": labels, "index": rows}
    model.train_on_batch(images, given, sample_weight=weights)
    step = (
        30
        / len(labels)
        * np.asarray(
            pencil.label_gradient(
                logits.astype("float32"), label_logits.astype("float32"), labels, 0.4
            )
        )
    )
    moved = np.asarray(model.label_changes) - changes
    np.testing.assert_allclose(moved[0], -2 * step[0], atol=2e-5)
    np.testing.assert_allclose(moved[2], 0, atol=1e-6)
    np.testing.assert_allclose(moved[3], -step[3], atol=2e-5)


def test_labels_that_are_certain_stay_finite():
    images, labels = steps.batch()
    model, _ = in_stage(1.0, label_rate=600.0)
    model.label_changes.assign(np.full((20, CLASSES), 1e4) * -np.eye(CLASSES)[0])
    given = {"label": np.zeros_like(labels), "index": np.arange(len(labels))}
    logs = model.train_on_batch(images, given, return_dict=True)
    assert np.isfinite(logs["loss"])
    assert np.isfinite(np.asarray(model.label_changes)).all()


def test_the_stages_of_a_fit():
    """Arrays are numbered; labels move in the second of three epochs only."""
    images, labels = steps.batch(count=10)
    model, seen = steps.make(Pencil, 10, label_rate=20.0), []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            (float(model.stage), keras.ops.convert_to_numpy(model.label_changes).copy())
        )
    )
    model.fit(
        images,
        labels,
        batch_size=4,  # The last batch is of two.
        epochs=3,
        callbacks=[PencilStages(1, 2), look],
        verbose=0,
    )
    assert [stage for stage, _ in seen] == [0, 1, 2]
    assert np.abs(seen[0][1]).max() == 0
    assert np.abs(seen[1][1]).max(axis=1).min() > 0  # All samples.
    np.testing.assert_array_equal(seen[1][1], seen[2][1])


def test_a_resumed_training_is_the_uninterrupted_one(tmp_path):
    model = resumed.check_resumed(
        lambda: steps.make(Pencil, 24, label_rate=20.0),
        lambda: [PencilStages(1, 3)],
        tmp_path,
        stop=2,
    )
    assert np.abs(np.asarray(model.label_changes)).max() > 0.1


def test_arguments_out_of_range():
    for name in ("alpha", "beta", "label_rate"):
        with pytest.raises(ValueError, match=rf"at least 0.*Received: .*{name}=-1"):
            steps.make(Pencil, 4, **{name: -1})
    with pytest.raises(ValueError, match=r"positive scale.*scale=0"):
        steps.make(Pencil, 4, scale=0)
    with pytest.raises(ValueError, match=r"`num_samples`.*Received: 0"):
        steps.make(Pencil, 0)
    with pytest.raises(ValueError, match=r"correct_from=2, fixed_from=2"):
        PencilStages(2, 2)


def test_what_fit_refuses():
    images, labels = steps.batch()
    with pytest.raises(ValueError, match=r"stage.*Add PencilStages\(correct_from=70"):
        steps.make(Pencil, 12).fit(images, labels, verbose=0)
    with pytest.raises(ValueError, match=r"num_samples=5\).*Received: number 11"):
        steps.make(Pencil, 5).fit(
            images, labels, callbacks=PencilStages(1, 2), verbose=0
        )
    with pytest.raises(TypeError, match=r"PencilStages sets `stage`.*Standard"):
        steps.make(Standard).fit(
            images, labels, callbacks=PencilStages(1, 2), verbose=0
        )


def test_saves_and_loads(tmp_path):
    images, labels = steps.batch()
    model, _ = in_stage(1.0, alpha=0.3, scale=5.0, double_softmax=True)
    model.train_on_batch(images, {"label": labels, "index": np.arange(12)})
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    config = loaded.get_config()
    assert (config["alpha"], config["scale"], config["double_softmax"]) == (
        0.3,
        5,
        True,
    )
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_several_tensorflow_devices_are_refused(monkeypatch):
    """Each would write into a table of its own."""
    model = steps.make(Pencil, 6)
    monkeypatch.setattr(replicas, "part_count", lambda: 2)
    with pytest.raises(ValueError, match=r"one table\. Received: 2 devices.*JAX"):
        model.before_fit({"y": None, "callbacks": []})
