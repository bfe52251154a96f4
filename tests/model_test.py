"""One step of Algorithm 1 against NumPy: loss, update, teacher, weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import Choices, JoSRC, networks, views
from tests.support.models import (
    CLASSES,
    SHAPE,
    callbacks,
    linear_network,
    make_model,
    pair_batch,
    set_state,
)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def oracle_loss(model, images, labels, tau, joint, weight=1.0):
    """Algorithm 1 for one batch in float64 NumPy, from DESIGN's formulas."""

    def predict(network, name):
        return np.float64(network(images[name]))

    a, b = predict(model.student, "view_a"), predict(model.student, "view_b")
    p, q = softmax(a), softmax(b)
    y = np.full((len(labels), CLASSES), 0.3 / (CLASSES - 1))
    y[np.arange(len(labels)), labels] = 0.7
    m = (p + y) / 2
    js = 0.5 * (p * np.log2(p / m)).sum(1) + 0.5 * (y * np.log2(y / m)).sum(1)
    clean = 1 - js > tau
    ood = ~clean & (p.argmax(1) != q.argmax(1))
    teacher = predict(model.teacher, "view_a"), predict(model.teacher, "view_b")
    t = (softmax(teacher[0]) + softmax(teacher[1])) / 2
    target = np.where(clean[:, None], y, np.where(ood[:, None], softmax(t / 10.0), t))
    classification = -(target * (np.log(p) + np.log(q))).sum(1)
    consistency = ((p - q) * (np.log2(p) - np.log2(q))).sum(1) * np.where(ood, -1, 1)
    if joint:
        return (weight * (0.5 * classification + 0.5 * consistency)).mean(), clean, ood
    count = max(clean.sum(), 1)
    return (weight * classification * clean).sum() / count, clean, ood


@pytest.mark.parametrize("joint", [0.0, 1.0])
def test_step_equals_numpy(joint):
    """Loss, fractions, update and teacher of one step against float64 NumPy."""
    model = make_model()
    images, labels = pair_batch()
    set_state(model, 0.6, joint)
    before = model.student.get_weights()
    expected, clean, ood = oracle_loss(model, images, labels, 0.6, joint)
    assert 0 < clean.sum() < len(labels) and ood.any()  # Else nothing is tested.

    logs = model.train_on_batch(images, labels, return_dict=True)

    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(logs["clean_fraction"], clean.mean(), rtol=1e-6)
    np.testing.assert_allclose(logs["ood_fraction"], ood.mean(), rtol=1e-6)
    np.testing.assert_allclose(logs["id_fraction"], (~clean & ~ood).mean(), rtol=1e-6)
    after = model.student.get_weights()
    for teacher, old, new in zip(
        model.teacher.get_weights(), before, after, strict=True
    ):
        np.testing.assert_allclose(teacher, 0.99 * old + 0.01 * new, atol=1e-6)


@pytest.mark.parametrize("joint", [0.0, 1.0])
def test_gradient_equals_finite_differences(joint):
    """SGD's update over the rate is the oracle's slope in a weight's direction."""
    model = make_model(rate=1e-3)
    images, labels = pair_batch()
    set_state(model, 0.6, joint, decay=1.0)
    kernel = model.student.trainable_variables[0]
    start = kernel.numpy()
    direction = np.random.default_rng(1).normal(size=start.shape)
    values = []
    for step in (1e-3, -1e-3):
        kernel.assign(start + step * direction)
        values.append(oracle_loss(model, images, labels, 0.6, joint)[0])
    kernel.assign(start)
    model.train_on_batch(images, labels)
    gradient = (start - kernel.numpy()) / 1e-3
    slope = (values[0] - values[1]) / 2e-3
    np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=2e-2)


def test_sample_weights_multiply_the_loss():
    """A weight of 0 leaves a sample out, 2 counts it twice; the mean is over N."""
    images, labels = pair_batch()
    weight = np.random.default_rng(2).integers(0, 3, len(labels)).astype("float32")
    model = make_model()
    set_state(model, 0.6, 1.0)
    expected, _, _ = oracle_loss(model, images, labels, 0.6, 1.0, weight)
    logs = model.train_on_batch(images, labels, weight, return_dict=True)
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["labels", "one-hot", "dict", "dataset"])
def test_class_weights_equal_sample_weights(kind):
    """`class_weight` weighs by the given label, whatever the labels are packed in."""
    x = np.random.default_rng(0).integers(0, 256, (32, *SHAPE)).astype("uint8")
    y = np.random.default_rng(1).integers(0, CLASSES, 32)
    class_weight = {0: 0.0, 2: 2.0, 3: 0.5}  # Another class counts once.
    weights = np.array([class_weight.get(label, 1.0) for label in y], "float32")
    packed = {"labels": y, "dict": {"label": y}, "one-hot": np.eye(CLASSES)[y]}
    data = (x, packed.get(kind, y))
    if kind == "dataset":
        data = (tf.data.Dataset.from_tensor_slices((x, {"label": y})).batch(8),)
    results = []
    for given, arguments in (
        (data, {"class_weight": class_weight}),
        ((x, y), {"sample_weight": weights}),
    ):
        keras.utils.set_random_seed(0)
        model = make_model(augmentation=views.crop_and_flip(1, seed=3))
        if len(given) > 1:
            arguments |= {"batch_size": 8}
        arguments |= {"verbose": 0, "shuffle": False, "callbacks": callbacks()}
        model.fit(*given, **arguments)
        results.append(model.student.get_weights())
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-6)


def test_empty_clean_set_in_warm_up_changes_nothing():
    """No sample above the threshold: loss 0, no update, nothing NaN."""
    model = make_model()
    images, labels = pair_batch()
    set_state(model, 1.0, 0.0)
    before = model.student.get_weights()
    logs = model.train_on_batch(images, labels, return_dict=True)
    assert logs["loss"] == 0 and logs["clean_fraction"] == 0
    for old, new in zip(before, model.student.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_regularisation_is_part_of_the_loss():
    """An L2 term on the kernel adds its value and shrinks the weights."""
    network = linear_network(regularizer=keras.regularizers.L2(0.5))
    model = make_model(network)
    images, labels = pair_batch()
    set_state(model, 0.0, 0.0)  # Everything is clean.
    expected, _, _ = oracle_loss(model, images, labels, 0.0, 0.0)
    kernel = network.layers[-1].kernel
    before = kernel.numpy()
    logs = model.train_on_batch(images, labels, return_dict=True)
    penalty = 0.5 * (before**2).sum()
    np.testing.assert_allclose(logs["loss"], expected + penalty, rtol=1e-5)

    set_state(model, 1.0, 0.0)  # Nothing is: the gradient is the penalty's alone.
    before = kernel.numpy()
    model.train_on_batch(images, labels)
    np.testing.assert_allclose(kernel.numpy(), before * (1 - 0.1), rtol=1e-5)


@pytest.mark.parametrize("statistics", ["batch", "moving"])
def test_teacher_can_be_evaluated(statistics):
    """With a decay of 0 the teacher is the student, and evaluates like it."""
    keras.utils.set_random_seed(0)
    network = networks.digits_cnn(CLASSES, input_shape=(8, 8, 1))
    model = JoSRC(
        network,
        CLASSES,
        smoothing=0.3,
        augmentation=views.crop_and_flip(0, flip=False),
        choices=Choices(teacher_statistics=statistics),
    )
    model.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"])
    set_state(model, 0.0, 1.0, decay=0.0)
    x = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1)).astype("uint8")
    y = np.arange(64) % CLASSES
    for _ in range(60):
        model.train_on_batch(x, y)
    student, teacher = model.student(x), model.teacher(x)
    np.testing.assert_allclose(student, teacher, atol=0.15)
    results = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(results) == {"loss", "accuracy", "teacher_loss", "teacher_accuracy"}
    np.testing.assert_allclose(results["loss"], results["teacher_loss"], atol=0.1)
