"""JoSRC as a Keras model: names, saving, compilation, precision, determinism."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import JoSRC, Standard, networks, views
from josrc_keras.callbacks import SelectionMonitor
from tests.support.models import (
    CLASSES,
    SHAPE,
    callbacks,
    linear_network,
    make_model,
    pair_batch,
    set_state,
)


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
    kinds = ("clean", "id_given", "id_true", "ood_given")
    training |= {f"accuracy_{kind}" for kind in kinds}
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


@pytest.mark.slow
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


@pytest.mark.parametrize("evaluated", ["both", "student", "teacher"])
def test_saved_networks_are_their_own(evaluated, tmp_path):
    """Both networks come back as themselves, whatever was evaluated."""
    model = make_model(augmentation=views.crop_and_flip(1))
    model.set_evaluated(evaluated)
    for network, value in ((model.student, 1.0), (model.teacher, 2.0)):
        network.set_weights([np.full_like(w, value) for w in network.get_weights()])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert all((w == 1.0).all() for w in loaded.student.get_weights())
    assert all((w == 2.0).all() for w in loaded.teacher.get_weights())


def test_evaluate_returns_loss_and_accuracy():
    """As any Keras model with one metric; the dict has the teacher's beside them."""
    model = make_model()
    images, labels = pair_batch()
    loss, accuracy = model.evaluate(images, labels, verbose=0)
    named = model.evaluate(images, labels, verbose=0, return_dict=True)
    assert (loss, accuracy) == (named["loss"], named["accuracy"])
    assert named.keys() - {"loss", "accuracy"} == {"teacher_loss", "teacher_accuracy"}


def test_a_layer_that_is_frozen_and_unfrozen_has_a_teacher():
    """Frozen: the teacher has the student's weights. Unfrozen: it follows again."""
    x = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1)).astype("uint8")
    y = np.arange(64) % CLASSES
    network = networks.digits_cnn(CLASSES)
    model = JoSRC(
        network,
        CLASSES,
        smoothing=0.3,
        augmentation=views.crop_and_flip(0, flip=False),
    )
    for layer in network.layers[:-2]:
        layer.trainable = False
    frozen, copied = network.get_layer("conv1"), model.teacher.get_layer("conv1")
    frozen.set_weights([np.ones_like(w) for w in frozen.get_weights()])
    model.compile(keras.optimizers.SGD(0.01))
    np.testing.assert_array_equal(copied.kernel, frozen.kernel)
    assert not model.teacher.trainable_variables

    for layer in network.layers:
        layer.trainable = True
    model.compile(keras.optimizers.SGD(0.01))
    set_state(model, 0.0, 1.0, decay=0.0)
    for _ in range(60):
        model.train_on_batch(x, y)
    np.testing.assert_array_equal(copied.kernel, frozen.kernel)
    norm = "conv1_norm"
    np.testing.assert_allclose(
        model.teacher.get_layer(norm).moving_mean,
        network.get_layer(norm).moving_mean,
        rtol=0.05,
        atol=0.05,
    )
    assert not model.teacher.trainable_variables
