"""JoSRC as a Keras model: one step against NumPy, phases, weights, saving."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import JoSRC, Standard, networks, views
from josrc_keras.callbacks import CleanThreshold, MeanTeacher, SelectionMonitor

CLASSES = 4
SHAPE = (6, 6, 1)


def linear_network(classes=CLASSES, seed=0, regularizer=None):
    """A network without batch normalisation, so that a step is easy to redo."""
    image = keras.Input(SHAPE)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    dense = keras.layers.Dense(
        classes,
        kernel_initializer=keras.initializers.RandomNormal(0, 2, seed=seed),
        kernel_regularizer=regularizer,
    )
    return keras.Model(image, dense(x))


def pair_batch(count=12, seed=0):
    """Two given views, so that nothing in a step is random."""
    generator = np.random.default_rng(seed)
    pixels = generator.uniform(0, 255, (2, count, *SHAPE)).astype("float32")
    labels = generator.integers(0, CLASSES, count)
    return {"view_a": pixels[0], "view_b": pixels[1]}, labels


def make_model(network=None, rate=0.1, **arguments):
    model = JoSRC(network or linear_network(), CLASSES, smoothing=0.3, **arguments)
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"])
    return model


def set_state(model, tau, joint, decay=0.99):
    model.tau_clean.assign(tau)
    model.joint.assign(joint)
    model.teacher_decay.assign(decay)


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


def test_class_weights_equal_sample_weights():
    """`class_weight` weighs by the given label."""
    x = np.random.default_rng(0).integers(0, 256, (32, *SHAPE)).astype("uint8")
    y = np.random.default_rng(1).integers(0, CLASSES, 32)
    class_weight = {0: 0.0, 1: 1.0, 2: 2.0, 3: 0.5}
    results = []
    for arguments in (
        {"class_weight": class_weight},
        {"sample_weight": np.array([class_weight[label] for label in y])},
    ):
        keras.utils.set_random_seed(0)
        model = make_model(augmentation=views.crop_and_flip(1, seed=3))
        model.fit(x, y, batch_size=8, verbose=0, callbacks=callbacks(), **arguments)
        results.append(model.student.get_weights())
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-6)


def callbacks(warmup_epochs=1):
    return [CleanThreshold(warmup_epochs=warmup_epochs), MeanTeacher()]


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
        teacher_statistics=statistics,
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


def test_history_has_the_documented_names():
    """What `fit` reports, in training and in validation."""
    x = np.random.default_rng(0).integers(0, 256, (16, *SHAPE)).astype("uint8")
    y = np.arange(16) % CLASSES
    model = make_model(augmentation=views.crop_and_flip(1))
    history = model.fit(
        x,
        {"label": y, "true_label": y},
        batch_size=8,
        epochs=2,
        validation_data=(x, y),
        callbacks=[*callbacks(), SelectionMonitor()],
        verbose=0,
    ).history
    training = {
        "loss",
        "accuracy",
        "classification_loss",
        "consistency_loss",
        "clean_likelihood",
        "clean_fraction",
        "id_fraction",
        "ood_fraction",
        "tau_clean",
        "clean_auroc",
    }
    training |= {
        f"{kind}_{score}"
        for kind in ("clean", "id", "ood")
        for score in ("precision", "recall", "f1")
    }
    validation = {"loss", "accuracy", "teacher_loss", "teacher_accuracy"}
    assert set(history) == training | {f"val_{name}" for name in validation}
    np.testing.assert_allclose(history["tau_clean"], [0.75, 0.95])


def loaded_config(part):
    """The configuration of a layer as JSON brings it back."""
    return json.loads(json.dumps(part["config"]))


@pytest.mark.parametrize("make", [JoSRC, Standard])
def test_keras_file_round_trip(make, tmp_path):
    """A loaded model predicts, evaluates and trains on like the saved one."""
    keras.utils.set_random_seed(0)
    augmentation = views.crop_and_flip(1, seed=1)
    model = make(linear_network(), CLASSES, augmentation=augmentation)
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    x = np.random.default_rng(0).integers(0, 256, (16, *SHAPE)).astype("uint8")
    y = np.arange(16) % CLASSES
    needed = callbacks() if make is JoSRC else []
    model.fit(x, y, epochs=2, verbose=0, callbacks=needed)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    before, after = model.get_config(), loaded.get_config()
    for part in ("network", "augmentation"):
        assert loaded_config(after.pop(part)) == loaded_config(before.pop(part))
    assert after == before
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), loaded.predict(x, verbose=0)
    )
    assert model.evaluate(x, y, verbose=0) == loaded.evaluate(x, y, verbose=0)
    assert int(loaded.optimizer.iterations) == 2
    loaded.fit(x, y, epochs=1, verbose=0, callbacks=needed)
    assert int(loaded.optimizer.iterations) == 3


def test_predict_gives_the_students_logits():
    """`predict` is the student, of images or of the first view."""
    model = make_model()
    images, _ = pair_batch()
    expected = model.student(images["view_a"])
    np.testing.assert_allclose(
        model.predict(images["view_a"], verbose=0), expected, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        model.predict(images, verbose=0), expected, rtol=1e-5, atol=1e-6
    )


def test_xla_and_eager_steps_agree():
    """One step compiled by XLA, as a graph and eagerly: the same weights."""
    results = []
    for arguments in (
        {"jit_compile": True},
        {"jit_compile": False},
        {"run_eagerly": True},
    ):
        model = JoSRC(linear_network(), CLASSES, smoothing=0.3)
        model.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"], **arguments)
        set_state(model, 0.6, 1.0)
        model.train_on_batch(*pair_batch())
        results.append(model.student.trainable_variables[0].numpy())
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)
    np.testing.assert_allclose(results[2], results[1], atol=1e-6)


def test_float16_networks_are_loss_scaled():
    """Keras looks at the wrapper's policy only; we look at the network's layers."""
    policy = keras.DTypePolicy("mixed_float16")
    image = keras.Input(SHAPE)
    x = keras.layers.Flatten()(image)
    network = keras.Model(image, keras.layers.Dense(CLASSES, dtype=policy)(x))
    model = make_model(network)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    images, labels = pair_batch()
    set_state(model, 0.6, 1.0)
    before = network.weights[0].numpy()
    logs = model.train_on_batch(images, labels, return_dict=True)
    assert np.isfinite(logs["loss"])
    assert logs["loss"] != 0 and not np.isnan(before).any()


def test_deterministic_two_fits_give_the_same_history():
    """Same seed, same machine: the same history to the last digit."""
    x = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1)).astype("uint8")
    y = np.arange(64) % CLASSES
    histories = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        network = networks.digits_cnn(CLASSES)
        model = JoSRC(
            network, CLASSES, smoothing=0.3, augmentation=views.crop_and_flip(1)
        )
        model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
        histories.append(
            model.fit(
                x, y, batch_size=16, epochs=3, verbose=0, callbacks=callbacks(2)
            ).history
        )
    assert histories[0] == histories[1]


def test_steps_per_execution_gives_the_same_weights():
    """Two steps an execution: the teacher still follows every step."""
    images, labels = pair_batch(16)
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
    results = []
    for steps in (1, 2):
        model = JoSRC(linear_network(), CLASSES, smoothing=0.3)
        model.compile(keras.optimizers.SGD(0.1), steps_per_execution=steps)
        model.fit(data, epochs=2, verbose=0, callbacks=callbacks())
        results.append(model.get_weights())
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)
