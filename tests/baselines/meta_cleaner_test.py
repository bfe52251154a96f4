"""Meta-Cleaner against numbers worked out by hand, and an oracle in float64 NumPy."""

import keras
import numpy as np
import pytest

from josrc_keras import MetaCleaner, Standard, data
from josrc_keras.baselines import meta_cleaner
from josrc_keras.callbacks import RunCheckpoint
from josrc_keras.data import batches
from tests.support.models import CLASSES, SHAPE, linear_network
from tests.support.resumed import CopyAfter

GROUP, HIDDEN, RATE = 3, 5, 0.25


def batch(classes=CLASSES, group=GROUP):
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(4) % classes, group)
    images = random.uniform(0, 255, (len(labels), *SHAPE)).astype("float32")
    return images, labels


def make(classes=CLASSES, eager=True, rate=RATE, **arguments):
    arguments = {"group": GROUP, "hidden": HIDDEN} | arguments
    model = MetaCleaner(linear_network(classes), classes, **arguments)
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"], run_eagerly=eager)
    return model


def test_the_clean_representation_of_a_group():
    """Scores 1, 1 and -1; the classifier doubles each coordinate."""
    shares = meta_cleaner.noisy_weights(np.array([[1.0, 1.0, -1.0]]))
    np.testing.assert_allclose(shares, [[0.468311, 0.468311, 0.063379]], atol=1e-6)
    groups = np.array([[[1, 0], [0.8, 0.6], [0, 1]]], "float32")
    found = np.asarray(meta_cleaner.hallucinate(groups, shares))
    np.testing.assert_allclose(found, [[0.842959, 0.344365]], atol=1e-6)
    logits = 2 * found[0]
    entropy = np.log(np.exp(logits).sum()) - logits[0]
    assert entropy == pytest.approx(0.314019, abs=1e-5)


def softmax(values):
    raised = np.exp(values - values.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def step_loss(weights, images, labels, plain):
    kernel, bias, kernel_a, bias_a, kernel_b, bias_b = weights
    found = images.reshape(len(images), -1).astype("float64") / 255
    groups = found.reshape(-1, GROUP, found.shape[1])
    hidden = np.maximum(groups.reshape(len(groups), -1) @ kernel_a + bias_a, 0)
    shares = softmax(hidden @ kernel_b + bias_b)
    mean = (shares[..., None] * groups).sum(1)
    probs = softmax(mean @ kernel + bias)
    total = -np.log(probs[np.arange(len(mean)), labels[::GROUP]]).mean()
    alone = softmax(found @ kernel + bias)
    return total - plain * np.log(alone[np.arange(len(found)), labels]).mean()


@pytest.mark.parametrize(("classes", "plain"), [(2, 0.0), (CLASSES, 0.3), (30, 0.0)])
def test_one_step_moves_both_networks(classes, plain):
    """Gradients by central differences at some places of every array."""
    images, labels = batch(classes)
    model = make(classes, plain_weight=plain)
    networks = model.trained_networks()
    start = [np.asarray(w, "float64") for n in networks for w in n.get_weights()]
    logs = model.train_on_batch(images, labels, return_dict=True)
    assert logs["loss"] == pytest.approx(
        step_loss(start, images, labels, plain), rel=1e-4
    )
    assert logs["group_fraction"] == 1 and 1 / 3 < logs["largest_share"] < 1
    after = [w for n in networks for w in n.get_weights()]
    random, largest = np.random.default_rng(1), []
    for array, moved in zip(start, after, strict=True):
        before = array.copy()
        for place in random.integers(0, array.shape, (12, array.ndim)):
            place, ends = tuple(place), []
            for step in (1e-5, -1e-5):
                array[place] = before[place] + step
                ends.append(step_loss(start, images, labels, plain))
            array[place] = before[place]
            gradient = (ends[0] - ends[1]) / 2e-5
            found = (before[place] - moved[place]) / RATE
            assert found == pytest.approx(gradient, abs=5e-5)
            largest.append(abs(gradient))
    assert max(largest[-24:]) > 1e-4  # A gradient reaches the small network.


def test_a_group_of_one_is_ordinary_training():
    images, labels = batch()
    model, standard = make(group=1), Standard(linear_network(), CLASSES)
    standard.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
    losses = [
        each.train_on_batch(images, labels, return_dict=True)["loss"]
        for each in (model, standard)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for ours, theirs in zip(
        model.student.get_weights(), standard.student.get_weights(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_group_of_several_labels_teaches_nothing():
    images, labels = batch()
    labels[1::GROUP] = (labels[1::GROUP] + 1) % CLASSES
    model = make()
    before = model.get_weights()
    logs = model.train_on_batch(images, labels, return_dict=True)
    assert logs["group_fraction"] == 0 and logs["loss"] == 0
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_an_ignored_image_gets_no_share():
    """Its weight is 0, so its features count for nothing in its group's mean."""
    images, labels = batch()
    weights = np.ones(len(labels), "float32")
    weights[2] = 0
    model = make()
    scores = model._kept(np.zeros((4, GROUP), "float32"), _Weighted(weights))
    shares = np.asarray(meta_cleaner.noisy_weights(scores))
    np.testing.assert_allclose(shares[0], [0.5, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(shares[1], [1 / 3] * 3, atol=1e-6)
    ignored = model.train_on_batch(images, labels, sample_weight=0 * weights)
    assert np.isfinite(ignored).all()


class _Weighted:
    def __init__(self, sample_weight):
        self.sample_weight = sample_weight


def test_a_resumed_training_is_the_uninterrupted_one(tmp_path, equal_arrays):
    """Predicts with the network alone, from a file, too."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (20, *SHAPE)).astype("uint8")
    labels = random.integers(0, CLASSES, 20)
    source = data.Split(images, labels, None, np.arange(20))
    options = {"batch_size": 6, "group": GROUP}
    found = {}
    for name in ("whole", "parts"):
        keras.utils.set_random_seed(0)
        model, own = make(eager=False), [RunCheckpoint(tmp_path / name)]
        start = own[0].restore(model)
        assert start == (name == "parts")
        if name == "whole":
            own.append(CopyAfter(1, tmp_path / "whole", tmp_path / "parts"))
        model.fit(
            batches.train_batches(source, seed=0, initial_epoch=start, **options),
            steps_per_epoch=batches.steps_per_epoch(source, **options),
            epochs=2,
            initial_epoch=start,
            callbacks=own,
            verbose=0,
        )
        found[name] = [np.asarray(each) for each in model.variables]
    equal_arrays(found["parts"], found["whole"])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), model.student.predict(images, verbose=0)
    )
    equal_arrays(loaded.cleaner.get_weights(), model.cleaner.get_weights())


def test_data_that_are_no_groups():
    images, labels = batch()
    with pytest.raises(ValueError, match=r"groups of 3 images.*train_batches.*group=3"):
        make().fit(images, labels, verbose=0)
    with pytest.raises(ValueError, match=r"whole groups of 3.*batch of 11"):
        make().train_on_batch(images[:11], labels[:11])


@pytest.mark.parametrize("field", ["group", "hidden"])
def test_arguments_out_of_range(field):
    with pytest.raises(ValueError, match=f"{field}=0"):
        make(**{field: 0})
    with pytest.raises(ValueError, match="plain_weight=-1"):
        make(plain_weight=-1)
