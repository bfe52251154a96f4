"""What is refused at once, with what was received, expected, and the fix."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import JoSRC, networks
from josrc_keras.callbacks import CleanThreshold, MeanTeacher
from tests.support.models import CLASSES, X, Y, changed, dataset, digits_model, fit


@pytest.mark.parametrize(
    ("callbacks", "missing"),
    [
        ([], "tau_clean and teacher_decay"),
        ([MeanTeacher()], r"Add CleanThreshold\(tau_c"),
        ([CleanThreshold()], r"Add MeanTeacher\(decay"),
        (None, "callbacks=\\[\\]"),
    ],
)
def test_fit_without_a_callback_says_which(callbacks, missing):
    with pytest.raises(ValueError, match=missing):
        fit(digits_model(), callbacks=callbacks)


BAD_LABELS = {
    "strings": (np.array(["a", "b"] * 12), "Received: dtype str"),
    "floats": (Y.astype("float32"), "Received: dtype float32"),
    "negative": (changed(Y, 5, -1), "labels from -1 to 3"),
    "out of range": (changed(Y, 5, 4), r"Expected labels in \[0, 3\].*from 0 to 4"),
    "column": (Y[:, None], r"Received: shape \((24|None), 1\)"),
    "rows that do not sum to 1": (
        np.full((24, CLASSES), 0.5, "float32"),
        "rows that sum to between 2",
    ),
    "negative shares": (
        np.tile(np.float32([1.5, -0.5, 0, 0]), (24, 1)),
        r"no negative share\. Received: -0\.5",
    ),
    "another number of columns": (np.eye(5)[Y], r"\((24|None), 5\)"),
}


@pytest.mark.parametrize("kind", ["array", "dataset"])
@pytest.mark.parametrize("case", BAD_LABELS)
def test_bad_labels_are_refused(case, kind):
    """Both for arrays and inside a dataset: received, expected, and the fix."""
    labels, message = BAD_LABELS[case]
    data = {"x": X, "y": labels}
    if kind == "dataset":
        data = {"x": dataset(X, labels), "y": None}
    with pytest.raises(ValueError, match=message):
        fit(digits_model(), **data)


def test_wrong_length_is_refused():
    with pytest.raises(ValueError, match="24 images and 23 labels"):
        fit(digits_model(), X, Y[:-1])


def test_a_list_of_labels_is_refused():
    with pytest.raises(ValueError, match=r"a list of 24.*labels into an array"):
        fit(digits_model(), X, list(Y))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["array", "dataset", "validation"])
def test_nan_pixels_are_refused(kind, value):
    broken = changed(X, (3, 0, 0, 0), value, "float32")
    data = {"array": {"x": broken}, "dataset": {"x": dataset(broken), "y": None}}
    data["validation"] = {"validation_data": (broken, Y)}
    with pytest.raises(ValueError, match="finite pixels"):
        fit(digits_model(), **data[kind])


@pytest.mark.parametrize("weight", [-1.0, np.nan])
def test_bad_sample_weights_are_refused(weight):
    with pytest.raises(ValueError, match="sample weights of at least 0"):
        fit(digits_model(), sample_weight=changed(np.ones(24), 2, weight))


@pytest.mark.parametrize("weights", [np.ones((24, 1)), {"label": np.ones(24)}])
def test_sample_weights_of_another_shape_are_refused(weights):
    """(N, 1) against (N,) would broadcast to (N, N) in silence."""
    with pytest.raises(ValueError, match=r"shape \(N,\).*Squeeze"):
        fit(digits_model(), sample_weight=weights)


@pytest.mark.parametrize("weights", [[1.0, 2.0], {"cat": 2.0}, {0: -1.0}])
def test_class_weights_of_another_kind_are_refused(weights):
    with pytest.raises(ValueError, match=r"dict from a class, an integer, to a weight"):
        fit(digits_model(), class_weight=weights)


@pytest.mark.parametrize("kind", ["arrays", "dataset"])
def test_validation_images_of_another_size_are_refused_before_training(kind):
    other = np.zeros((4, 9, 9, 1), "uint8"), np.zeros(4, int)
    if kind == "dataset":
        other = dataset(*other)
    model = digits_model()
    with pytest.raises(ValueError, match=r"\(8, 8, 1\).*Received: \(9, 9, 1\)"):
        fit(model, validation_data=other)
    assert int(model.optimizer.iterations) == 0


def test_training_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"\(8, 8, 1\).*Received: \(9, 9, 1\)"):
        fit(digits_model(), np.zeros((24, 9, 9, 1), "uint8"))
    with pytest.raises(ValueError, match="add a channel axis"):
        fit(digits_model(), X[..., 0])


def test_an_unbatched_dataset_is_refused():
    unbatched = tf.data.Dataset.from_tensor_slices((X, Y))
    with pytest.raises(ValueError, match="Batch the dataset"):
        fit(digits_model(), unbatched, None)


def test_single_images_without_augmentation_are_refused():
    with pytest.raises(ValueError, match="two equal views"):
        fit(digits_model(augmentation=False))
    with pytest.raises(ValueError, match="two equal views"):
        digits_model(augmentation=False).train_on_batch(X, Y)


def test_a_generator_is_checked_by_the_first_step():
    def batches():
        while True:
            yield X[:8], Y[:8].astype("float32")

    with pytest.raises(ValueError, match="Received: dtype"):
        fit(digits_model(), batches(), None, batch_size=None, steps_per_epoch=2)


def test_labels_out_of_range_in_a_generator_do_not_train_on_in_silence():
    """A generator's values are seen by no check: its labels become NaN, and stop."""

    def batches():
        while True:
            yield X[:8], changed(Y[:8], 0, 9)

    with pytest.raises(FloatingPointError, match="labels out of range"):
        fit(digits_model(), batches(), None, batch_size=None, steps_per_epoch=2)


def test_smoothing_that_inverts_two_classes_is_refused():
    """With C = 2 the paper's 0.6 would favour the other class."""
    with pytest.raises(ValueError, match=r"0\.5 for 2 classes.*Try smoothing=0\.25"):
        digits_model(2, smoothing=0.6)


def test_an_augmentation_that_is_no_layer_is_refused():
    with pytest.raises(TypeError, match=r"views\.crop_and_flip"):
        JoSRC(networks.digits_cnn(4), 4, smoothing=0.3, augmentation=lambda x: x)


def test_a_loss_in_compile_is_refused():
    with pytest.raises(ValueError, match="brings its own loss"):
        digits_model().compile("adam", loss="sparse_categorical_crossentropy")


def test_evaluate_checks_its_data():
    with pytest.raises(ValueError, match="labels from 0 to 9"):
        digits_model().evaluate(X, changed(Y, 0, 9), verbose=0)


def test_labels_of_unknown_rank_are_refused():
    unknown = tf.data.Dataset.from_generator(
        lambda: iter([(X[:8], Y[:8])]), output_types=("uint8", "int64")
    )
    with pytest.raises(ValueError, match="output_signature"):
        fit(digits_model(), unknown, None)


def test_a_subclassed_network_is_checked():
    """It has no declared input, but remembers what it was called on."""

    class Network(keras.Model):
        def __init__(self, units, activation=None, **kwargs):
            super().__init__(**kwargs)
            self.flatten = keras.layers.Flatten()
            self.dense = keras.layers.Dense(units, activation=activation)

        def call(self, images):
            return self.dense(self.flatten(images))

    for arguments, message in (
        ((4, "softmax"), "Remove the softmax"),
        ((7,), "Give its last layer 4 units"),
    ):
        network = Network(*arguments)
        network(X[:1].astype("float32"))
        with pytest.raises(ValueError, match=message):
            JoSRC(network, 4, smoothing=0.3)


def test_evaluating_a_generator_with_labels_out_of_range_is_nan():
    """No check sees a generator's values; its loss must not look like a good one."""

    def batches():
        yield X[:8], Y[:8] + 50

    results = digits_model().evaluate(batches(), verbose=0, return_dict=True)
    assert np.isnan(results["loss"])


def test_steps_that_run_past_the_epoch_are_refused():
    """Four steps an execution, ten an epoch: Keras would train twelve."""
    model = digits_model()
    model.compile("sgd", steps_per_execution=4)
    message = r"multiple of steps_per_execution, 4\. Received: steps_per_epoch=10"
    with pytest.raises(ValueError, match=message):
        fit(model, steps_per_epoch=10)


def test_a_single_image_is_refused():
    """Keras would take its rows for images."""
    model, text = digits_model(), r"\(N, 8, 8, 1\)\. Received: shape \(8, 8, 1\)"
    with pytest.raises(ValueError, match=text):
        model.predict(X[0], verbose=0)
    assert model.predict(X[:1], verbose=0).shape == (1, 4)
