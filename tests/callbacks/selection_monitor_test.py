"""SelectionMonitor: its names and numbers against an independent count."""

import json

import keras
import numpy as np
import pytest

from josrc_keras import JoSRC, Standard
from josrc_keras.callbacks import CleanThreshold, MeanTeacher, SelectionMonitor
from tests.support import oracle

CLASSES = 3
COUNT = 96
TAU = 0.7
KINDS = ("clean", "id", "ood")
NAMES = {f"{k}_{s}" for k in KINDS for s in ("precision", "recall", "f1")}
ACCURACIES = {
    f"accuracy_{name}" for name in ("clean", "id_given", "id_true", "ood_given")
}


def frozen_model(method="josrc"):
    """A model whose images are its logits, and whose learning rate is 0."""
    pixels = keras.Input((1, 1, CLASSES))
    identity = keras.layers.Dense(
        CLASSES, use_bias=False, kernel_initializer="identity"
    )
    network = keras.Model(pixels, identity(keras.layers.Flatten()(pixels)))
    if method == "standard":
        model = Standard(network, CLASSES)
    else:
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


def fit(model, images, labels, *monitors, **arguments):
    controls = [CleanThreshold(TAU, TAU, warmup_epochs=0), MeanTeacher()]
    return model.fit(
        images,
        labels,
        batch_size=32,
        callbacks=[*(controls if model.verdicts else []), *monitors],
        verbose=0,
        **arguments,
    ).history


def accuracy_by_hand(images, labels):
    """Figure 5's shares, sample by sample."""
    hits = {name: [] for name in ACCURACIES}
    found = images["view_a"].reshape(COUNT, CLASSES).argmax(axis=1)
    for predicted, given, true in zip(found, *labels.values(), strict=True):
        if true == -1:
            hits["accuracy_ood_given"].append(predicted == given)
        elif true == given:
            hits["accuracy_clean"].append(predicted == true)
        else:
            hits["accuracy_id_given"].append(predicted == given)
            hits["accuracy_id_true"].append(predicted == true)
    return {name: np.mean(each) for name, each in hits.items()}


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


@pytest.mark.parametrize(
    ("method", "form"),
    [("josrc", "int8"), ("josrc", "rows"), ("standard", "int64"), ("standard", "rows")],
)
def test_accuracy_by_kind_equals_a_count_by_hand(method, form, tmp_path):
    """Of any method, with integers or one-hot rows as given labels; no validation key.

    The keys of the verdicts and the histogram are those of a method that sorts.
    """
    images, labels = known_data()
    expected = accuracy_by_hand(images, labels)
    assert len(set(expected.values())) == 4 and min(expected.values()) > 0
    given = np.eye(CLASSES)[labels["label"]] if form == "rows" else labels["label"]
    dtype = "float32" if form == "rows" else form
    path = tmp_path / "histogram.json"
    monitor, model = SelectionMonitor(path), frozen_model(method)
    history = fit(
        model,
        images,
        {
            "label": given.astype(dtype),
            "true_label": labels["true_label"].astype("int8"),
        },
        monitor,
        validation_data=(images["view_a"][:40], labels["label"][:40]),
        epochs=2,
    )
    found = {name: history[name] for name in history if name.startswith("accuracy_")}
    assert found.keys() == ACCURACIES
    for name, value in expected.items():
        assert found[name] == pytest.approx([value] * 2), name
    assert not any(name.startswith("val_accuracy_") for name in history)
    sorts = method == "josrc"
    assert NAMES & set(history) == (NAMES if sorts else set())
    assert ("clean_auroc" in history) == sorts
    assert path.exists() == sorts == (monitor.histogram is not None)
    assert not ACCURACIES & set(model.evaluate(images, given, return_dict=True))
    history = fit(model, images, labels["label"])
    assert not (ACCURACIES | NAMES | {"clean_auroc"}) & set(history)


def test_a_model_of_another_kind_is_refused():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError) as caught:
        model.fit(np.ones((4, 2)), np.ones(4), callbacks=[SelectionMonitor()])
    assert str(caught.value) == (
        "SelectionMonitor judges the models of josrc_keras. Received: a Sequential. "
        "Leave the callback out."
    )


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


def test_without_true_labels_ordinary_training_is_refused_too():
    """As for Jo-SRC; and the model can be trained without the callback."""
    images, labels = known_data()
    model = frozen_model("standard")
    with pytest.raises(ValueError, match=r"data without true labels.*'true_label'"):
        fit(model, images, labels["label"], SelectionMonitor())
    assert np.isfinite(fit(model, images, labels["label"])["loss"]).all()


def test_without_true_labels_is_refused(digits, make_digits_model):
    """The error names the callback and the fix; the model can still be trained."""
    model = make_digits_model()
    with pytest.raises(ValueError, match=r"data without true labels.*'true_label'"):
        fit(model, digits.x, digits.y, SelectionMonitor())
    callbacks = [CleanThreshold(), MeanTeacher()]
    history = model.fit(digits.x, digits.y, callbacks=callbacks, verbose=0).history
    assert np.isfinite(history["loss"]).all()
