"""DeepSelf against an oracle in float64 NumPy."""

import keras
import numpy as np
import pytest

from josrc_keras import DeepSelf, Standard
from josrc_keras.callbacks import CorrectLabels, RunCheckpoint, SelectionMonitor
from josrc_keras.samples import prototypes
from tests.support.models import CLASSES, SHAPE, linear_network

COUNT, RATE = 10, 0.25


def arrays(classes=CLASSES):
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (COUNT, *SHAPE)).astype("float32")
    return images, random.integers(0, classes, COUNT)


def make(classes=CLASSES, eager=True, rate=RATE, **arguments):
    model = DeepSelf(linear_network(classes), classes, COUNT, **arguments)
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"], run_eagerly=eager)
    return model


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("classes", [2, 30])
def test_one_step(classes, alpha):
    """The gradient is of cross-entropy against a blend of both labels."""
    images, labels = arrays(classes)
    index = np.arange(COUNT)[::-1].copy()
    model = make(classes, alpha=alpha)
    corrected = np.where(np.arange(COUNT) < 4, -1, (np.arange(COUNT) + 1) % classes)
    model.corrected.assign(corrected.astype("float32"))
    kernel, bias = (np.asarray(w, "float64") for w in model.student.get_weights())
    x = images.reshape(COUNT, -1).astype("float64") / 255
    logits = x @ kernel + bias
    logits -= logits.max(1, keepdims=True)
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = np.where(corrected[index] < 0, labels, corrected[index])
    one_hot = np.eye(classes)
    target = (1 - alpha) * one_hot[labels] + alpha * one_hot[found]
    error = (probs - target) / COUNT
    logs = model.train_on_batch(
        images, {"label": labels, "index": index}, return_dict=True
    )
    loss = -(target * np.log(probs)).sum(1).mean()
    assert logs["loss"] == pytest.approx(loss, rel=1e-4)
    assert logs["clean_fraction"] == pytest.approx((found == labels).mean())
    after = model.student.get_weights()
    np.testing.assert_allclose(after[0], kernel - RATE * x.T @ error, atol=1e-5)
    np.testing.assert_allclose(after[1], bias - RATE * error.sum(0), atol=1e-5)


def test_a_blend_of_two_labels():
    """Probabilities 0.7 and 0.3, labels 0 and 1 with equal weights: 0.780324."""
    entropy = -(0.5 * np.log(0.7) + 0.5 * np.log(0.3))
    assert entropy == pytest.approx(0.780324, abs=1e-6)


def test_before_the_first_correction_it_is_ordinary_training():
    images, labels = arrays()
    model, standard = make(), Standard(linear_network(), CLASSES)
    standard.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
    for each in (model, standard):
        given = {"label": labels, "index": np.arange(COUNT)}
        each.train_on_batch(images, given)
    for ours, theirs in zip(
        model.student.get_weights(), standard.student.get_weights(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def fitted(images, labels, folder, until, **fields):
    keras.utils.set_random_seed(0)
    model, checkpoint = make(eager=False, rate=0.01), RunCheckpoint(folder)
    in_order = [(images[:7], labels[:7]), (images[7:], labels[7:])]
    history = model.fit(
        images,
        {"label": labels, "true_label": labels},
        batch_size=4,
        epochs=until,
        initial_epoch=checkpoint.restore(model),
        shuffle=False,
        callbacks=[
            CorrectLabels(lambda: in_order, **fields),
            SelectionMonitor(),
            checkpoint,
        ],
        verbose=0,
    ).history
    return model, history


@pytest.mark.parametrize("centred", [False, True])
def test_labels_are_those_of_the_closest_class(centred, tmp_path, equal_arrays):
    """Also of a training that stopped and went on; class 3 has no images."""
    images, labels = arrays()
    labels = labels % 3
    fields = {"count": 2, "quantile": 0.5, "centred": centred}
    model, history = fitted(images, labels, tmp_path / "whole", 3, **fields)
    rows = images.reshape(COUNT, -1) / 255  # The features are the pixels.
    rows = rows - centred * rows.mean(0)
    chosen = [prototypes.of_class(rows[labels == c], 2, 0.5) for c in range(3)]
    similarity = prototypes.class_similarity(rows, [*chosen, np.zeros((0, 36))])
    np.testing.assert_array_equal(model.corrected, similarity.argmax(1))
    given = (1 + similarity[np.arange(COUNT), labels]) / 2
    np.testing.assert_allclose(model.similarity, given, atol=1e-5)
    changed = (similarity.argmax(1) != labels).mean()
    shares = history["corrected_share"]
    assert shares[-1] == pytest.approx(changed)
    assert history["clean_fraction"] == pytest.approx([1, 1 - shares[0], 1 - shares[1]])
    assert 0 < changed < 1
    if not centred:
        return
    fitted(images, labels, tmp_path / "parts", 2, **fields)
    resumed, _ = fitted(images, labels, tmp_path / "parts", 3, **fields)
    equal_arrays(
        [np.asarray(v) for v in resumed.variables],
        [np.asarray(v) for v in model.variables],
    )


def test_the_start_and_the_number_of_images(tmp_path):
    """One image of each class is its only prototype; correction starts later."""
    images, labels = arrays()
    model, history = fitted(
        images, labels, tmp_path / "run", 2, start_epoch=3, samples=1
    )
    assert history["corrected_share"][0] == 0 < history["corrected_share"][1]
    rows = images.reshape(COUNT, -1)
    alike = prototypes.cosines(rows - rows.mean(0))
    likely = []
    for label in np.unique(labels):
        # Some image of the class explains every similarity to it.
        own = np.flatnonzero(labels == label)
        found = np.asarray(model.similarity)[own, None]
        likely.append(np.abs((1 + alike[np.ix_(own, own)]) / 2 - found).max(0).min())
    np.testing.assert_allclose(likely, 0, atol=1e-5)


def test_rows_that_fill_up_the_last_batch(tmp_path):
    """They have weight 0, for several devices; too many rows are still refused."""
    images, labels = arrays()
    weights = (np.arange(12) < COUNT).astype("float32")
    rows = np.arange(12) % COUNT
    filled = [(images[rows], labels[rows], weights)]
    models = []
    for data in ([(images, labels)], filled):
        models.append(make(eager=False, rate=0.01))
        models[-1].fit(
            images,
            labels,
            epochs=2,
            shuffle=False,
            callbacks=CorrectLabels(lambda data=data: data),
            verbose=0,
        )
    np.testing.assert_array_equal(models[0].corrected, models[1].corrected)
    np.testing.assert_allclose(models[0].similarity, models[1].similarity, atol=1e-6)
    many = CorrectLabels(lambda: [(images[rows], labels[rows], np.ones(12))])
    with pytest.raises(ValueError, match=r"each of the 10 training.*12 samples"):
        make().fit(images, labels, verbose=0, callbacks=many)


def test_data_that_do_not_fit(tmp_path):
    images, labels = arrays()
    with pytest.raises(ValueError, match=r"needs the callbacks.*CorrectLabels\(make"):
        make().fit(images, labels, verbose=0)
    few = CorrectLabels(lambda: [(images[:4], labels[:4])])
    with pytest.raises(ValueError, match=r"each of the 10 training samples.*4 samples"):
        make().fit(images, labels, verbose=0, callbacks=few)
    many = CorrectLabels(lambda: 2 * [(images, labels)])
    with pytest.raises(ValueError, match=r"each of the 10 training samples.*20 sample"):
        make().fit(images, labels, verbose=0, callbacks=many)
    with pytest.raises(ValueError, match=r"10 samples, as in DeepSelf.*Received: 9"):
        make().fit(images[1:], labels[1:], verbose=0, callbacks=CorrectLabels(list))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_epoch": 1}, "Received: start_epoch=1"),
        ({"samples": 0}, "samples=0"),
        ({"count": 0}, "count=0"),
        ({"quantile": 1.5}, r"quantile=1\.5"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        CorrectLabels(list, **arguments)


def test_alpha_out_of_range():
    with pytest.raises(ValueError, match=r"alpha.*\[0, 1\]. Received: alpha=2"):
        make(alpha=2)
    with pytest.raises(ValueError, match=r"num_samples.*Received: None"):
        DeepSelf(linear_network(), CLASSES, None)
    config = make(alpha=0.3).get_config()
    assert (config["alpha"], config["num_samples"]) == (0.3, COUNT)
