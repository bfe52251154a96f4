"""SelectionMonitor: its names and numbers against an independent count."""

import json

import keras
import numpy as np
import pytest

from josrc_keras import JoSRC
from josrc_keras.callbacks import CleanThreshold, MeanTeacher, SelectionMonitor
from tests import oracle

CLASSES = 3
COUNT = 96
TAU = 0.7
KINDS = ("clean", "id", "ood")
NAMES = {f"{k}_{s}" for k in KINDS for s in ("precision", "recall", "f1")}


def frozen_model():
    """A model whose images are its logits, and whose learning rate is 0."""
    pixels = keras.Input((1, 1, CLASSES))
    identity = keras.layers.Dense(
        CLASSES, use_bias=False, kernel_initializer="identity"
    )
    network = keras.Model(pixels, identity(keras.layers.Flatten()(pixels)))
    model = JoSRC(network, CLASSES, smoothing=0.3)
    model.compile(keras.optimizers.SGD(0.0))
    return model


def known_data():
    """Two views whose verdicts are known, and labels of all three kinds."""
    draw = np.random.default_rng(0)
    view_a = draw.normal(0, 3, (COUNT, 1, 1, CLASSES)).astype("float32")
    view_b = (view_a + draw.normal(0, 2, view_a.shape)).astype("float32")
    label = draw.integers(0, CLASSES, COUNT)
    true_label = np.where(draw.random(COUNT) < 0.4, label, (label + 1) % CLASSES)
    true_label[draw.random(COUNT) < 0.3] = -1
    images = {"view_a": view_a, "view_b": view_b}
    return images, {"label": label, "true_label": true_label}


def count_by_hand(images, labels):
    """The confusion, truth by verdict, counted sample by sample; the likelihoods."""
    a, b = (images[name].reshape(COUNT, CLASSES) for name in ("view_a", "view_b"))
    given = oracle.smooth(labels["label"], CLASSES, 0.3)
    likelihood = oracle.clean_likelihood(oracle.softmax(a), given)
    confusion = np.zeros((3, 3), int)
    for i in range(COUNT):
        truth = labels["true_label"][i]
        kind = 2 if truth == -1 else int(truth != labels["label"][i])
        if likelihood[i] > TAU:
            verdict = 0
        else:
            verdict = 2 if a[i].argmax() != b[i].argmax() else 1
        confusion[kind, verdict] += 1
    return confusion, likelihood


def fit(model, images, labels, monitor, **arguments):
    return model.fit(
        images,
        labels,
        batch_size=32,
        callbacks=[
            CleanThreshold(TAU, TAU, warmup_epochs=0),
            MeanTeacher(),
            monitor,
        ],
        verbose=0,
        **arguments,
    ).history


def test_quality_equals_a_count_by_hand(tmp_path):
    """Names, precision, recall, F1, AUROC and histogram; validation changes none."""
    images, labels = known_data()
    model, monitor = frozen_model(), SelectionMonitor(tmp_path / "histogram.json")
    validation = (images["view_a"][:40], labels["label"][:40])
    history = fit(model, images, labels, monitor, validation_data=validation, epochs=2)
    confusion, likelihood = count_by_hand(images, labels)
    assert confusion.min() > 0  # Else nothing is tested.

    assert {n for n in history if n.startswith(KINDS)} - {
        "clean_likelihood",
        *(f"{kind}_fraction" for kind in KINDS),
    } == NAMES | {"clean_auroc"}
    validated = {name for name in history if name.startswith("val_")}
    assert validated == {
        f"val_{name}" for name in ("loss", "teacher_loss", "teacher_accuracy")
    }
    for index, kind in enumerate(KINDS):
        precision = confusion[index, index] / confusion[:, index].sum()
        recall = confusion[index, index] / confusion[index].sum()
        f1 = 2 * precision * recall / (precision + recall)
        assert history[f"{kind}_precision"] == pytest.approx([precision] * 2)
        assert history[f"{kind}_recall"] == pytest.approx([recall] * 2)
        assert history[f"{kind}_f1"] == pytest.approx([f1] * 2)
        share = confusion[:, index].sum() / COUNT
        assert history[f"{kind}_fraction"] == pytest.approx([share] * 2)

    clean = labels["label"] == labels["true_label"]
    pairs = likelihood[clean][:, None] - likelihood[~clean]
    auroc = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    assert history["clean_auroc"] == pytest.approx([auroc] * 2, abs=0.01)  # 200 bins.

    histogram = json.loads((tmp_path / "histogram.json").read_text())
    assert histogram == monitor.histogram
    assert [sum(histogram[kind]) for kind in KINDS] == list(confusion.sum(axis=1))
    expected, _ = np.histogram(likelihood[clean], histogram["edges"])
    np.testing.assert_array_equal(histogram["clean"], expected)


def test_confusion_is_truth_by_verdict():
    """The variable itself, row by row, before anything resets it."""
    images, labels = known_data()
    model, seen = frozen_model(), []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            confusion = self.model.selection_quality.confusion
            seen.append(keras.ops.convert_to_numpy(confusion).copy())

    model.fit(
        images,
        labels,
        batch_size=32,
        callbacks=[
            CleanThreshold(TAU, TAU, warmup_epochs=0),
            MeanTeacher(),
            SelectionMonitor(),
            Look(),
        ],
        verbose=0,
    )
    np.testing.assert_array_equal(seen[-1], count_by_hand(images, labels)[0])


def test_no_validation_has_a_histogram_too(digits, make_digits_model):
    """As many counts as samples, without validation data."""
    monitor = SelectionMonitor()
    fit(make_digits_model(), digits.x, digits.labels, monitor)
    assert sum(sum(monitor.histogram[kind]) for kind in KINDS) == digits.count


def test_metrics_are_gone_without_the_callback(digits, make_digits_model):
    model = make_digits_model()
    fit(model, digits.x, digits.labels, SelectionMonitor())
    callbacks = [CleanThreshold(), MeanTeacher()]
    history = model.fit(digits.x, digits.y, callbacks=callbacks, verbose=0).history
    assert not NAMES & set(history)
    assert "clean_auroc" not in history


def test_without_true_labels_is_refused(digits, make_digits_model):
    """The error names the callback and the fix; the model can still be trained."""
    model = make_digits_model()
    with pytest.raises(ValueError, match=r"data without true labels.*'true_label'"):
        fit(model, digits.x, digits.y, SelectionMonitor())
    callbacks = [CleanThreshold(), MeanTeacher()]
    history = model.fit(digits.x, digits.y, callbacks=callbacks, verbose=0).history
    assert np.isfinite(history["loss"]).all()
