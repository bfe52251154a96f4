"""MLNT against an oracle in float64 NumPy: its second-order gradient is numeric."""

import keras
import numpy as np
import pytest

from josrc_keras import MLNT, Standard, views
from josrc_keras.baselines import mlnt
from josrc_keras.callbacks import MeanTeacher, RunCheckpoint
from tests.support.models import CLASSES, SHAPE, linear_network
from tests.support.resumed import CopyAfter

COUNT, RATE, META = 6, 0.25, 0.4


def batch(classes=CLASSES, count=COUNT):
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (count, *SHAPE)).astype("float32")
    return images, random.integers(0, classes, count)


def make(classes=CLASSES, eager=True, augmentation=None, rate=RATE, **arguments):
    arguments = {"synthetic_sets": 2, "meta_rate": META, "ramp": (0, 0)} | arguments
    network = linear_network(classes)
    model = MLNT(network, classes, augmentation, **arguments)
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"], run_eagerly=eager)
    model.teacher_decay.assign(0.9)
    return model


def log_softmax(logits):
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def step_loss(weights, images, labels, sets, teacher, meta, consistency):
    """The loss of one step of a linear network; the virtual gradient is exact."""
    x = images.reshape(len(images), -1).astype("float64") / 255
    kernel, bias = weights
    one_hot = np.eye(kernel.shape[1])
    log_probs = log_softmax(x @ kernel + bias)
    total = -log_probs[np.arange(len(x)), labels].mean()
    target = log_softmax(x @ teacher[0] + teacher[1])
    for synthetic in sets:
        error = (np.exp(log_probs) - one_hot[synthetic]) / len(x)
        fast = kernel - meta * x.T @ error, bias - meta * error.sum(0)
        after = log_softmax(x @ fast[0] + fast[1])
        divergence = (np.exp(target) * (target - after)).sum(1).mean()
        total += consistency * divergence / len(sets)
    return total


def numeric_gradients(loss, weights):
    gradients = [np.zeros_like(array) for array in weights]
    for array, gradient in zip(weights, gradients, strict=True):
        for place in np.ndindex(array.shape):
            before, ends = array[place], []
            for step in (1e-5, -1e-5):
                array[place] = before + step
                ends.append(loss())
            array[place] = before
            gradient[place] = (ends[0] - ends[1]) / 2e-5
    return gradients


def float64(network):
    return [np.asarray(weight, "float64") for weight in network.get_weights()]


@pytest.mark.parametrize("classes", [2, CLASSES, 40])
@pytest.mark.parametrize("meta", [0.0, META])
def test_one_step(classes, meta):
    """Loss and gradient of the student; the teacher follows and gets no gradient."""
    images, labels = batch(classes)
    model = make(classes, meta_rate=meta, consistency_weight=0.7)
    sets = [(labels + 1) % classes, np.roll(labels, 1)]
    model.synthetic_labels = lambda labels, found: sets
    model.teacher.set_weights([0.5 * w for w in model.teacher.get_weights()])
    start, teacher = float64(model.student), float64(model.teacher)
    moving = [array.copy() for array in start]
    given = images, labels, sets, teacher, meta, 0.7
    gradients = numeric_gradients(lambda: step_loss(moving, *given), moving)
    logs = model.train_on_batch(images, labels, return_dict=True)
    assert logs["loss"] == pytest.approx(step_loss(start, *given), rel=1e-4)
    for after, before, gradient in zip(
        model.student.get_weights(), start, gradients, strict=True
    ):
        np.testing.assert_allclose((before - after) / RATE, gradient, atol=5e-5)
    pairs = zip(
        model.teacher.get_weights(), teacher, model.student.get_weights(), strict=True
    )
    for now, before, student in pairs:
        np.testing.assert_allclose(now, 0.9 * before + 0.1 * student, atol=1e-6)


@pytest.mark.parametrize("fields", [{"consistency_weight": 0.0}, {"ramp": (500, 2000)}])
def test_without_divergences_it_is_ordinary_training(fields):
    images, labels = batch()
    model, standard = make(**fields), Standard(linear_network(), CLASSES)
    standard.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
    for each in (model, standard):
        each.train_on_batch(images, labels)
    for ours, theirs in zip(
        model.student.get_weights(), standard.student.get_weights(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_ramp():
    model = make(ramp=(500, 2000))
    found = [float(model.ramped(step)) for step in (0, 499, 500, 1250, 2000, 9000)]
    np.testing.assert_allclose(
        found, [0, 0, np.exp(-5), np.exp(-1.25), 1, 1], rtol=1e-5
    )
    assert float(make(ramp=(0, 0)).ramped(0)) == 1


def test_labels_come_from_near_neighbours():
    """Two far groups of 12 and 3 images, each with a label of its own for each image.

    Ten neighbours of an image in the large group are of that group. Those of an image
    in the small group are its two companions, then images of the other group.
    """
    found = np.concatenate([np.arange(12.0), 1000 + np.arange(3.0)])[:, None]
    order = np.asarray(mlnt.nearest_first(found))
    assert (order[:, -1] == np.arange(15)).all()  # An image is not its own neighbour.
    assert order[0, :10].tolist() == list(range(1, 11))
    assert set(order[13, :2]) == {12, 14} and order[13, 2] == 11
    labels, seed = np.arange(15), keras.random.SeedGenerator(0)
    drawn = np.array(
        [mlnt.neighbour_labels(labels, order, 0.5, seed) for _ in range(150)]
    )
    changed = drawn != labels
    assert (changed.sum(1) == 7).all()  # Of 15 labels half, rounded down.
    assert set(drawn[changed[:, 0], 0]) == set(range(1, 11))
    np.testing.assert_array_equal(
        mlnt.neighbour_labels(labels, order, 0.0, seed), labels
    )


@pytest.mark.parametrize("count", [1, 2, 3])
def test_batches_with_few_neighbours(count):
    """Neighbours are then all other images; a single image keeps its label."""
    labels, seed = np.arange(count), keras.random.SeedGenerator(0)
    order = mlnt.nearest_first(np.arange(float(count))[:, None])
    drawn = np.asarray(mlnt.neighbour_labels(labels, order, 1.0, seed))
    assert set(drawn) <= set(range(count))
    assert (drawn != labels).all() or count == 1
    images, given = batch(count=count)
    assert np.isfinite(make().train_on_batch(images, given)).all()


def test_a_resumed_training_is_the_uninterrupted_one(tmp_path, equal_arrays):
    """With a partial last batch, random views and random synthetic labels."""
    images, labels = batch(count=10)
    found = {}
    for name, trained in (("whole", 2), ("parts", 1)):
        keras.utils.set_random_seed(0)
        model = make(eager=False, augmentation=views.crop_and_flip(1), rate=0.01)
        own = [MeanTeacher(), RunCheckpoint(tmp_path / name)]
        start = own[1].restore(model)
        if name == "whole":
            own.append(CopyAfter(1, tmp_path / "whole", tmp_path / "parts"))
        history = model.fit(
            images,
            labels,
            batch_size=4,
            epochs=2,
            initial_epoch=start,
            shuffle=False,
            callbacks=own,
            verbose=0,
        ).history
        assert len(history["loss"]) == trained
        found[name] = [np.asarray(each) for each in model.variables]
    equal_arrays(found["parts"], found["whole"])
    assert np.isfinite(history["consistency_loss"]).all()
    assert min(history["consistency_loss"]) > 0
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), model.teacher.predict(images, verbose=0)
    )
    assert loaded.ramp == (0, 0) and loaded.synthetic_sets == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"synthetic_sets": 0}, "Received: synthetic_sets=0"),
        ({"synthetic_share": 1.5}, "synthetic_share=1.5"),
        ({"meta_rate": -1.0}, r"Received: meta_rate=-1\.0"),
        ({"consistency_weight": -1.0}, r"consistency_weight=-1\.0"),
        ({"ramp": (5, 2)}, r"ramp=\(5, 2\)"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_the_cost_of_a_step():
    """The labels 3, the teacher 1; a set 9, or 6 where it is of first order."""
    assert make().passes() == 22
    assert make(first_order=True).passes() == 16


def test_the_teacher_normalises_by_the_batch():
    """In training its moving statistics would say nothing of new weights."""
    keras.utils.set_random_seed(0)
    images, labels = batch()
    network = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
            keras.layers.BatchNormalization(momentum=0.75),
            keras.layers.Dense(CLASSES),
        ]
    )
    network = keras.Model(network.inputs, network.outputs)
    model = MLNT(network, CLASSES, synthetic_sets=1, meta_rate=0.0, ramp=(0, 0))
    model.compile(keras.optimizers.SGD(0.0))
    model.teacher_decay.assign(0.9)
    before = [w.copy() for w in model.teacher.get_weights()]
    logs = model.train_on_batch(images, labels, return_dict=True)
    # Equal weights and statistics: the student predicts what the teacher does.
    assert logs["consistency_loss"] == pytest.approx(0, abs=1e-6)
    dense = images.reshape(len(images), -1).astype("float64") @ before[0] + before[1]
    after = model.teacher.get_weights()
    mean = 0.75 * before[4] + 0.25 * dense.mean(0)  # Of one pass of its own.
    np.testing.assert_allclose(after[4], mean, rtol=1e-4, atol=1e-5)
