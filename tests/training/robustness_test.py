"""Unusual data and settings that work, or stop with a message."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import JoSRC, networks, views
from josrc_keras.callbacks import CleanThreshold, MeanTeacher
from tests.support.models import CLASSES, X, Y, changed, dataset, digits_model, fit


def test_a_callback_of_ones_own_may_control_a_variable():
    """Any callback that declares what it controls satisfies the check."""

    class Fixed(keras.callbacks.Callback):
        controls = "tau_clean"

        def on_epoch_begin(self, epoch, logs=None):
            self.model.tau_clean.assign(0.5)

    history = fit(digits_model(), callbacks=[Fixed(), MeanTeacher()]).history
    assert history["tau_clean"] == [0.5]


def test_true_labels_are_checked():
    truth = {"label": Y, "true_label": changed(Y, 0, -2)}
    with pytest.raises(ValueError, match=r"\[-1, 3\].*from -2 to 3"):
        fit(digits_model(), X, truth)
    with pytest.raises(ValueError, match=r"key 'label'.*'true_label'.*'labels'"):
        fit(digits_model(), X, {"labels": Y})


def test_an_exploding_learning_rate_stops_with_a_message():
    """Not with NaN weights and a smooth-looking history."""
    with pytest.raises(FloatingPointError, match="Lower the learning rate"):
        fit(digits_model(rate=1e30), epochs=5)


def test_an_empty_clean_set_for_a_whole_epoch_is_finite():
    """A threshold of 1: every sample is re-labelled, nothing is NaN."""
    model = digits_model()
    before = model.student.trainable_variables[0].numpy()
    callbacks = [CleanThreshold(1.0, 1.0, 1), MeanTeacher()]
    history = fit(model, callbacks=callbacks, initial_epoch=1, epochs=2).history
    assert history["tau_clean"] == [1.0]
    assert history["clean_fraction"] == [0.0]
    assert np.isfinite(history["loss"][0])
    assert np.abs(before - model.student.trainable_variables[0].numpy()).max() > 0


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int32"])
def test_pixels_of_any_dtype_train(dtype):
    assert np.isfinite(fit(digits_model(), X.astype(dtype)).history["loss"][0])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_labels_of_any_integer_dtype_train(dtype):
    assert np.isfinite(fit(digits_model(), y=Y.astype(dtype)).history["loss"][0])


def test_one_hot_and_integer_labels_train_alike():
    weights = []
    for labels in (Y, np.eye(CLASSES, dtype="float32")[Y]):
        keras.utils.set_random_seed(0)
        model = digits_model()
        fit(model, y=labels)
        weights.append(model.student.get_weights())
    for first, second in zip(*weights, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 24, 7])
def test_batches_of_one_and_a_partial_last_batch_train(batch):
    """24 samples in batches of 7 leave a last one of 3."""
    history = fit(digits_model(), batch_size=batch).history
    assert np.isfinite(history["loss"][0])
    total = sum(history[f"{k}_fraction"][0] for k in ("clean", "id", "ood"))
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)


def test_a_class_without_a_sample_trains():
    assert np.isfinite(fit(digits_model(), y=Y % 3).history["loss"][0])


@pytest.mark.parametrize("classes", [2, 1000])
def test_two_and_a_thousand_classes_train(classes):
    labels = np.arange(24) % classes
    history = fit(digits_model(classes), y=labels).history
    assert np.isfinite(history["loss"][0])


def test_pandas_labels_train():
    pandas = pytest.importorskip("pandas")
    history = fit(digits_model(), y=pandas.Series(Y)).history
    assert np.isfinite(history["loss"][0])


def test_256_classes_with_uint8_labels_train():
    """256 itself does not fit in the labels' dtype."""
    history = fit(digits_model(256), y=Y.astype("uint8")).history
    assert np.isfinite(history["loss"][0])


def test_bfloat16_images_train():
    images = tf.cast(X, "bfloat16")
    assert np.isfinite(fit(digits_model(), dataset(images), None).history["loss"][0])


def test_images_of_unknown_size_train():
    """The size may be known to the batch alone."""
    specs = (
        tf.TensorSpec((None, None, None, 1), "uint8"),
        tf.TensorSpec((None,), "int64"),
    )
    data = tf.data.Dataset.from_generator(
        lambda: iter([(X[:8], Y[:8])]), output_signature=specs
    )
    assert np.isfinite(fit(digits_model(), data, None).history["loss"][0])


def test_a_layer_of_ones_own_can_augment():
    """Even one that does not compute its output shape."""

    class Noise(keras.layers.Layer):
        def call(self, images, training=False):
            noise = keras.random.normal(keras.ops.shape(images))
            return keras.ops.cast(images, "float32") + noise

    model = JoSRC(networks.digits_cnn(4), 4, smoothing=0.3, augmentation=Noise())
    model.compile("sgd")
    assert np.isfinite(fit(model).history["loss"][0])


def test_two_views_of_a_layer_differ():
    """A layer augments only when it is told that this is training."""
    pair = views.two_views(views.crop_and_flip(3, seed=0))
    images, _ = next(iter(dataset(X, Y, 24).map(pair)))
    assert (images["view_a"].numpy() != images["view_b"].numpy()).any()
    assert (images["view_a"].numpy() != X).any()
