"""DivideMix against an oracle in float64 NumPy, and what it does in the margins."""

import keras
import numpy as np
import pytest

from josrc_keras import DivideMix, Standard, views
from josrc_keras.callbacks import Divide, RunCheckpoint, SelectionMonitor
from josrc_keras.samples import gaussian_mixture
from tests.support import resumed
from tests.support.dividing import (
    COUNT,
    PARTNERS,
    ROWS,
    SHARE,
    divided,
    make,
    network_loss,
    softmax,
    targets_of,
)
from tests.support.models import CLASSES, SHAPE, linear_network

RATE = 0.25
INDEX = np.array([4, 0, 8, 2, 5, 7])
# What each network finds of the nine samples. They agree on few.
TABLE = np.array(
    [
        [0.9, 0.1, 0.2, 0.1, 0.8, 0.7, 0.1, 0.4, 0.95],
        [0.3, 0.1, 0.9, 0.1, 0.6, 0.2, 0.1, 0.99, 0.1],
    ]
)


def batch(classes=CLASSES, seed=0):
    random = np.random.default_rng(seed)
    pixels = random.uniform(0, 255, (2, COUNT, *SHAPE)).astype("float32")
    labels = random.integers(0, classes, COUNT)
    images = dict(zip(("view_a", "view_b"), pixels, strict=True))
    return images, {"label": labels, "index": INDEX}


def logits_of(images, weights):
    kernel, bias = weights
    return images.reshape(len(images), -1).astype("float64") / 255 @ kernel + bias


def expected_step(model, images, labels, weight, form):
    """The losses of both networks as functions of their weights, and the start."""
    starts = [
        [np.asarray(w, "float64") for w in network.get_weights()]
        for network in model.trained_networks()
    ]
    rows = np.concatenate([images["view_a"], images["view_b"]])
    probs = [
        [softmax(logits_of(images[view], start)) for view in ("view_a", "view_b")]
        for start in starts
    ]
    table = np.asarray(model.clean_probability, "float64")
    mixed = SHARE * rows + (1 - SHARE) * rows[PARTNERS]
    losses = []
    for own in (0, 1):
        clean = table[1 - own][INDEX]
        targets = targets_of(own, probs, labels["label"], clean)
        targets = np.concatenate([targets, targets])
        targets = SHARE * targets + (1 - SHARE) * targets[PARTNERS]

        def loss(weights, targets=targets, clean=clean):
            logits = logits_of(mixed, weights)
            return network_loss(logits, targets, clean > 0.5, weight, form)

        losses.append(loss)
    return losses, starts


def numeric_gradient(loss, weights):
    """Central differences of a function of a list of arrays."""
    gradients = [np.zeros_like(array) for array in weights]
    for array, gradient in zip(weights, gradients, strict=True):
        for place in np.ndindex(array.shape):
            before, ends = array[place], []
            for step in (1e-5, -1e-5):
                array[place] = before + step
                ends.append(loss(weights))
            array[place] = before
            gradient[place] = (ends[0] - ends[1]) / 2e-5
    return gradients


CASES = {
    "both kinds": (TABLE, CLASSES, {}),
    "all labelled": (np.maximum(TABLE, 0.6), CLASSES, {}),
    "none labelled": (0.4 * TABLE, CLASSES, {}),
    "two classes": (TABLE, 2, {}),
    "many classes": (TABLE, 40, {}),
    "labelled form": (TABLE, CLASSES, {"form": "labelled"}),
    "no weight": (TABLE, CLASSES, {"weight": 0.0}),
}


@pytest.mark.parametrize("case", CASES)
def test_one_step_moves_both_networks_by_their_gradients(case):
    """Each network learns from the other's division: the table is not symmetric."""
    table, classes, fields = CASES[case]
    weight = fields.pop("weight", 25.0)
    model = divided(make(RATE, classes, **fields), table, weight)
    images, labels = batch(classes)
    form = fields.get("form", "mixmatch")
    losses, starts = expected_step(model, images, labels, weight, form)
    expected = [loss(start) for loss, start in zip(losses, starts, strict=True)]
    logs = model.train_on_batch(images, labels, return_dict=True)
    np.testing.assert_allclose(logs["loss"], np.mean(expected), rtol=1e-4)
    networks = model.trained_networks()
    for network, loss, start in zip(networks, losses, starts, strict=True):
        gradients = numeric_gradient(loss, start)
        assert max(np.abs(each).max() for each in gradients) > 1e-3
        moved = [
            (before - after) / RATE
            for before, after in zip(start, network.get_weights(), strict=True)
        ]
        for found, gradient in zip(moved, gradients, strict=True):
            scale = max(1.0, np.abs(gradient).max())
            np.testing.assert_allclose(found, gradient, atol=5e-5 * scale)
    assert logs["clean_fraction"] == pytest.approx((table[1][INDEX] > 0.5).mean())


def test_the_warm_up_is_ordinary_training():
    """With both views alike, each network takes the step that `Standard` takes."""
    images, labels = batch()
    images["view_b"] = images["view_a"]
    model = make(RATE)
    standards = [Standard(linear_network(seed=seed), CLASSES) for seed in (0, 1)]
    logs = model.train_on_batch(images, labels, return_dict=True)
    expected = []
    for network, standard in zip(model.trained_networks(), standards, strict=True):
        standard.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
        expected.append(standard.train_on_batch(images, labels))
        pairs = zip(network.get_weights(), standard.student.get_weights(), strict=True)
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert logs["loss"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert logs["clean_fraction"] == 1


def test_the_confidence_penalty_is_of_the_warm_up():
    images, labels = batch()
    logs = [
        make(0.0, confidence_penalty=penalty).train_on_batch(
            images, labels, return_dict=True
        )
        for penalty in (False, True)
    ]
    probs = [
        softmax(logits_of(images[view], linear_network(seed=seed).get_weights()))
        for seed in (0, 1)
        for view in ("view_a", "view_b")
    ]
    expected = np.mean([(each * np.log(each)).sum(1) for each in probs])
    assert logs[1]["loss"] - logs[0]["loss"] == pytest.approx(expected, rel=1e-4)


def test_an_ignored_sample_changes_nothing():
    """Its weight is 0: neither its image nor its label is learnt, or mixed in."""
    found = []
    for noise in (0.0, 100.0):
        images, labels = batch()
        images = {name: each.copy() for name, each in images.items()}
        images["view_a"][2] += noise
        keras.utils.set_random_seed(0)
        model = make(RATE)
        model.clean_probability.assign(TABLE.astype("float32"))
        model.divided.assign(1.0)
        weights = np.array([1, 1, 0, 1, 1, 1], "float32")
        model.train_on_batch(images, labels, sample_weight=weights)
        found.append(model.student.get_weights())
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_predicts_with_both_networks(tmp_path):
    images, labels = batch()
    model = make(temperature=0.4, threshold=0.3, concentration=2.0)
    logits = [
        logits_of(images["view_a"], network.get_weights())
        for network in model.trained_networks()
    ]
    mean = sum(logits) / 2
    found = model.predict(images["view_a"], verbose=0)
    np.testing.assert_allclose(found, mean, atol=1e-4)
    results = model.evaluate(
        images["view_a"], labels["label"], verbose=0, return_dict=True
    )
    given = softmax(mean)[np.arange(COUNT), labels["label"]]
    assert results["loss"] == pytest.approx(-np.log(given).mean(), rel=1e-4)
    model.clean_probability.assign(TABLE.astype("float32"))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(images["view_a"], verbose=0), found)
    np.testing.assert_allclose(loaded.clean_probability, TABLE, rtol=1e-6)
    assert loaded.get_config().items() >= {"threshold": 0.3, "temperature": 0.4}.items()


def fitted(epochs=3, callbacks=(), seed=0, initial_epoch=0, **fields):
    """A training on 10 images in batches of 4: the last batch has two."""
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (10, *SHAPE)).astype("uint8")
    given = random.integers(0, CLASSES, 10)
    keras.utils.set_random_seed(seed)
    model = make(0.01, rows=10, eager=False, augmentation=views.crop_and_flip(1))
    in_order = [(images[:7], given[:7]), (images[7:], given[7:])]
    divide = Divide(lambda: in_order, **fields)
    own = callbacks(model, divide) if callable(callbacks) else list(callbacks)
    if own and isinstance(own[0], RunCheckpoint):
        initial_epoch = own[0].restore(model)
    history = model.fit(
        images,
        {"label": given, "true_label": given},
        batch_size=4,
        epochs=epochs,
        initial_epoch=initial_epoch,
        shuffle=False,
        callbacks=[divide, SelectionMonitor(), *own],
        verbose=0,
    ).history
    return model, divide, history, (images, given)


def test_divides_after_the_warm_up():
    """The table is that of the mixtures of the losses of the networks at the end."""
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(
            (float(look.model.divided), float(look.model.unlabelled_weight))
        )
    )
    model, _, history, (images, given) = fitted(
        4, [look], warmup_epochs=2, ramp_epochs=4, unlabelled_weight=8.0
    )
    # Weights are the means of a ramp from 0 to 8 over four epochs: 1, then 3.
    assert seen == [(0, 0), (0, 0), (1, 1), (1, 3)]
    for network, row in zip(
        model.trained_networks(), np.asarray(model.clean_probability), strict=True
    ):
        logits = logits_of(images, network.get_weights())
        losses = -np.log(softmax(logits)[np.arange(10), given])
        expected = gaussian_mixture.clean_probability(gaussian_mixture.rescaled(losses))
        np.testing.assert_allclose(row, expected, atol=1e-4)
    assert history["clean_fraction"][:2] == [1, 1]
    assert np.isfinite(history["loss"]).all()


def test_a_resumed_training_is_the_uninterrupted_one(tmp_path, equal_arrays):
    """To the last digit: networks, table, generators and remembered losses."""
    found = {}
    for name in ("whole", "parts"):

        def callbacks(model, divide, name=name):
            checkpoint = RunCheckpoint(tmp_path / name, carried=[divide])
            copy = resumed.CopyAfter(2, tmp_path / "whole", tmp_path / "parts")
            return [checkpoint, copy][: 2 if name == "whole" else 1]

        model, divide, history, _ = fitted(
            4, callbacks, warmup_epochs=1, memory_epochs=3
        )
        found[name] = [np.asarray(each) for each in model.variables], divide.losses
    assert len(history["loss"]) == 2  # The other two are not trained again.
    equal_arrays(found["parts"][0], found["whole"][0])
    np.testing.assert_array_equal(found["parts"][1], found["whole"][1])
    assert len(found["whole"][1]) == 3  # Of the four divisions the newest three.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0}, r"above 0.*Received: {'temperature': 0}"),
        ({"concentration": -1.0}, r"Received: {'concentration': -1.0}"),
        ({"threshold": 1.0}, r"\[0, 1\). Received: {'threshold': 1.0}"),
        ({"rows": None}, r"Received: {'num_samples': None}"),
        ({"form": "other"}, r"form.*mixmatch.*Received: 'other'"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"warmup_epochs": 0}, "at least 1. Received: warmup_epochs=0"),
        ({"unlabelled_weight": -1}, "Received: unlabelled_weight=-1"),
        ({"ramp_epochs": -1}, "Received: ramp_epochs=-1"),
        ({"memory_epochs": 0}, "Received: memory_epochs=0"),
    ],
)
def test_divide_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        Divide(list, **arguments)


def test_data_that_do_not_fit():
    images = np.zeros((ROWS, *SHAPE), "uint8")
    labels = np.arange(ROWS) % CLASSES
    model = make(0.0, augmentation=views.crop_and_flip(1))
    with pytest.raises(ValueError, match=r"needs the callbacks.*Divide\(make_batches"):
        model.fit(images, labels, verbose=0)
    few = Divide(lambda: [(images[:4], labels[:4])], warmup_epochs=1)
    with pytest.raises(ValueError, match=r"each of the 9 training samples.*4 samples"):
        model.fit(images, labels, verbose=0, callbacks=few)
    with pytest.raises(ValueError, match=r"9 samples, as in DivideMix.*Received: 8"):
        model.fit(images[1:], labels[1:], verbose=0, callbacks=Divide(list))
    other = Standard(linear_network(), CLASSES)
    other.compile("sgd")
    with pytest.raises(TypeError, match=r"Divide sets `clean_probability`.*Standard"):
        other.fit(images, labels, verbose=0, callbacks=Divide(list))


def test_is_made_from_a_configuration():
    assert DivideMix.needs_two_views
    assert make().passes() == 18
