"""What is recorded of each sample equals what can be found out about it otherwise."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import JoSRC, Standard, labels, networks, selection, views
from josrc_keras.callbacks import CleanThreshold, MeanTeacher, VerdictHistory
from josrc_keras.data.checks import values
from josrc_keras.samples import findings, history
from tests.support import models

COUNT = 24
ARRAYS = ("epochs", "early_epochs", "labels", "verdicts", *findings.AVERAGED)


def make_model(rate=0.1, **compiled):
    keras.utils.set_random_seed(0)
    model = JoSRC(models.linear_network(), models.CLASSES, smoothing=0.3)
    arguments = {"metrics": ["accuracy"], **compiled}
    model.compile(keras.optimizers.SGD(rate), **arguments)
    return model


@pytest.fixture
def pairs():
    """Two views of 24 images, and labels."""
    return models.pair_batch(COUNT)


def fit(model, x, y=None, recorder=None, more=(), **arguments):
    callbacks = [CleanThreshold(0.6, 0.7, 1), MeanTeacher(), *more]
    callbacks += [] if recorder is None else [recorder]
    if not isinstance(x, tf.data.Dataset):
        arguments = {"batch_size": 8} | arguments
    return model.fit(x, y, callbacks=callbacks, verbose=0, **arguments)


def numbered(pairs, index=None):
    """An unbatched dataset whose labels bring numbers."""
    images, given = pairs
    index = np.arange(COUNT) if index is None else index
    labels = {"label": given, "index": index}
    return tf.data.Dataset.from_tensor_slices((images, labels))


def recorded(model, x, y=None, count=None, **arguments):
    """The arrays of a history that a training records."""
    recorder = VerdictHistory(count)
    fit(model, x, y, recorder, **arguments)
    return recorder.history.arrays()


def assert_same(ours, theirs, **tolerance):
    assert set(ours) == set(theirs) == set(ARRAYS)
    for name in ARRAYS:
        np.testing.assert_allclose(
            ours[name], theirs[name], err_msg=name, **(tolerance or {"rtol": 0})
        )


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def test_what_is_recorded_can_be_recomputed(pairs):
    """Nothing is learnt, so that each epoch finds the same; tau differs by epoch."""
    images, given = pairs
    model = make_model(rate=0.0)
    found = recorded(model, images, given, epochs=3)

    rows = np.arange(COUNT)
    logits = [np.asarray(model.student(view), "float64") for view in images.values()]
    expected = {name: np.zeros(COUNT) for name in findings.AVERAGED}
    for each in logits:
        others = each.copy()
        others[rows, given] = -np.inf
        expected["given_prob"] += softmax(each)[rows, given] / 2
        probs = softmax(each)
        probs[rows, given] = 0
        expected["other_prob"] += probs.max(axis=1) / 2
        expected["given_logit"] += each[rows, given] / 2
        expected["other_logit"] += others.max(axis=1) / 2
    counts = {"given_prob": 3, "other_prob": 3, "given_logit": 2, "other_logit": 2}
    for name, epochs in counts.items():
        np.testing.assert_allclose(found[name], epochs * expected[name], rtol=1e-4)

    np.testing.assert_array_equal(found["epochs"], np.full(COUNT, 3))
    np.testing.assert_array_equal(found["early_epochs"], np.full(COUNT, 2))
    np.testing.assert_array_equal(found["labels"], given)
    smooth = labels.smooth_labels(given, models.CLASSES, 0.3)
    likelihood = selection.clean_likelihood(softmax(logits[0]), smooth)
    for epoch, tau in enumerate((0.6, 0.65, 0.7)):
        verdict = selection.select(
            likelihood, selection.ood_likelihood(*logits), tau_clean=tau
        )
        expected = 1 + np.argmax([np.asarray(kind) for kind in verdict], axis=0)
        np.testing.assert_array_equal(found["verdicts"][:, 7 + epoch], expected)
    assert set(found["verdicts"][:, -1]) == {1, 2, 3}  # Each kind is there.
    np.testing.assert_array_equal(found["verdicts"][:, :7], np.zeros((COUNT, 7)))


def test_shuffled_arrays_and_datasets_land_in_the_right_rows(pairs):
    """Nothing is learnt, so every order of the samples finds the same."""
    images, given = pairs
    expected = recorded(make_model(rate=0.0), images, given, shuffle=False, epochs=2)
    close = {"rtol": 1e-5, "atol": 1e-6}
    arrays = recorded(make_model(rate=0.0), images, given, epochs=2)
    assert_same(arrays, expected, **close)
    data = tf.data.Dataset.from_tensor_slices(pairs).enumerate()
    data = data.map(lambda i, pair: (pair[0], {"label": pair[1], "index": i}))
    data = data.shuffle(COUNT).batch(8)
    assert_same(recorded(make_model(0.0), data, count=COUNT, epochs=2), expected)
    backwards = np.arange(COUNT)[::-1].copy()
    turned = {"label": np.eye(4)[given], "index": backwards}
    turned = recorded(make_model(0.0), images, turned, epochs=2)
    np.testing.assert_array_equal(turned["labels"], given[::-1])


def test_recording_changes_nothing_that_training_does_or_shows(pairs, equal_arrays):
    """The same history, keys and weights, bit for bit; and no further forward pass."""
    calls = []

    class Counted(keras.layers.Layer):
        def call(self, inputs):
            calls.append(self.name)
            return inputs

    def train(recorder):
        images, given = pairs
        network = models.linear_network()
        network = keras.Model(network.inputs, Counted()(network.outputs[0]))
        model = models.make_model(network)
        arguments = {"epochs": 3, "validation_data": (images["view_a"], given)}
        arguments["shuffle"] = False
        calls.clear()
        shown = fit(model, images, given, recorder, **arguments).history
        passes = len(calls)
        results = model.evaluate(images["view_a"], given, verbose=0, return_dict=True)
        return shown, model.get_weights(), passes, results

    without, weights, passes, results = train(None)
    with_it, same_weights, traced, same_results = train(VerdictHistory())
    assert with_it == without
    equal_arrays(same_weights, weights)
    assert same_results == results
    # Of `fit` without it, the step is traced for building and for training.
    assert 0 < traced <= passes + 6


def test_many_steps_an_execution_record_the_same(pairs):
    """Three batches an epoch: what is left of an execution is recorded too."""
    arguments = {"epochs": 2, "shuffle": False}
    expected = recorded(make_model(), *pairs, **arguments)
    many = make_model(steps_per_execution=2)
    assert_same(recorded(many, *pairs, **arguments), expected, rtol=1e-4, atol=1e-6)


def test_samples_held_out_for_validation_are_not_seen(pairs):
    found = recorded(make_model(), *pairs, validation_split=0.25, epochs=2)
    np.testing.assert_array_equal(found["epochs"], [2] * 18 + [0] * 6)
    np.testing.assert_array_equal(found["labels"][:18], pairs[1][:18])
    assert set(found["labels"][18:]) == {-1}


@pytest.mark.parametrize("before", [True, False])
def test_an_evaluation_within_an_epoch_loses_nothing(before, pairs):
    """`evaluate` resets all metrics; by a callback in front of this or behind it."""
    images, given = pairs

    class Evaluate(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(images["view_a"], given, verbose=0)

        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.evaluate(images["view_a"], given, verbose=0)

    recorder, more = VerdictHistory(), [Evaluate()]
    callbacks = [*more, recorder] if before else [recorder, *more]
    model = make_model()
    fit(model, images, given, more=callbacks, epochs=2)
    np.testing.assert_array_equal(recorder.history.epochs, np.full(COUNT, 2))


def test_each_fit_starts_anew_and_a_continued_one_goes_on(pairs, tmp_path):
    """Of other samples too, whose number `fit` finds again."""
    images, given = pairs
    model, path = make_model(), tmp_path / "history.npz"
    recorder = VerdictHistory(path=path)
    fit(model, images, given, recorder, epochs=2)
    fit(model, images, given, recorder, epochs=3, initial_epoch=2)
    assert set(recorder.history.epochs) == {3}
    assert set(recorder.history.early_epochs) == {1}  # 0 of epochs 0 and 1, of two.
    assert model.sample_history is recorder.history
    fit(model, images, given, recorder)
    assert set(recorder.history.epochs) == {1}
    stored = history.SampleHistory.load(path).arrays()
    assert_same(stored, recorder.history.arrays())

    larger = {name: np.concatenate([view, view]) for name, view in images.items()}
    with pytest.raises(ValueError, match=r"history of 48 samples.* Received: one of 2"):
        fit(
            model,
            larger,
            np.tile(given, 2),
            recorder,
            epochs=2,
            initial_epoch=1,
        )
    fit(model, larger, np.tile(given, 2), recorder)
    np.testing.assert_array_equal(recorder.history.labels, np.tile(given, 2))
    assert recorder.count is None


def test_a_training_without_it_keeps_the_history(pairs):
    model, recorder = make_model(), VerdictHistory()
    fit(model, *pairs, recorder)
    before = recorder.history.arrays()["given_prob"].copy()
    fit(model, tf.data.Dataset.from_tensor_slices(pairs).batch(8))
    assert model.sample_history is recorder.history
    np.testing.assert_array_equal(recorder.history.sums["given_prob"], before)


class Stop(keras.callbacks.Callback):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_train_batch_end(self, batch, logs=None):
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), FloatingPointError("NaN")])
def test_a_failed_fit_leaves_a_model_that_trains(error, pairs, tmp_path):
    """With the callback and without, on data that brings no numbers; and it saves."""
    model, recorder = make_model(), VerdictHistory()
    with pytest.raises(type(error)):
        fit(model, *pairs, recorder, more=[Stop(error)])
    assert model.epoch_findings is None
    assert set(recorder.state()["epochs"]) == {0}
    model.save(tmp_path / "model.keras")
    fit(model, tf.data.Dataset.from_tensor_slices(pairs).batch(8))
    assert set(recorded(model, *pairs)["epochs"]) == {1}


def test_models_saved_during_and_after_training_load(pairs, tmp_path, equal_arrays):
    """With the history, without the table of an epoch; and they train on."""
    model, paths = make_model(), [tmp_path / f"{name}.keras" for name in "ab"]
    save = keras.callbacks.ModelCheckpoint(paths[0])
    fit(model, *pairs, VerdictHistory(), more=[save])
    model.save(paths[1])
    for path in paths:
        loaded = keras.saving.load_model(path)
        equal_arrays(loaded.get_weights(), model.get_weights())
        assert loaded.sample_history is not None and loaded.epoch_findings is None
        assert set(recorded(loaded, *pairs)["epochs"]) == {1}


NO_INDEX = "VerdictHistory needs each sample's number in the dataset. Received: {}"


def test_a_dataset_without_numbers_is_refused_before_training(pairs):
    model, before = make_model(), models.linear_network().get_weights()
    data = tf.data.Dataset.from_tensor_slices(pairs).batch(8)
    with pytest.raises(
        ValueError, match=NO_INDEX.format("a dataset of labels without 'index'")
    ):
        fit(model, data, recorder=VerdictHistory(COUNT))
    np.testing.assert_array_equal(model.student.get_weights()[0], before[0])


def test_other_data_without_numbers_is_refused_by_the_first_step(pairs):
    model = make_model()
    message = (
        "A model that remembers samples needs each sample's number in the dataset. "
        "Received: labels without 'index'"
    )
    with pytest.raises(ValueError, match=message):
        fit(model, (pair for pair in [pairs]), recorder=VerdictHistory(COUNT))
    assert model.epoch_findings is None
    assert int(model.optimizer.iterations) == 0


def test_the_number_of_samples_must_be_known(pairs):
    message = r"Expected the number of samples of a dataset that is no array\. Received"
    with pytest.raises(ValueError, match=message):
        fit(make_model(), numbered(pairs).batch(8), recorder=VerdictHistory())


@pytest.mark.parametrize("first", [-1, 1])
def test_numbers_out_of_range_are_refused(first, pairs):
    data = numbered(pairs, first + np.arange(COUNT)).batch(8)
    message = rf"number in \[0, {COUNT - 1}\]\. Received: 1 out of range in this epoch"
    if first < 0:
        message = r"numbers of samples of at least 0\. Received: numbers from -1 to"
    with pytest.raises(ValueError, match=message):
        fit(make_model(), data, recorder=VerdictHistory(COUNT))


@pytest.mark.parametrize("index", [np.arange(COUNT) / 2, np.zeros((COUNT, 1), int)])
def test_numbers_must_be_integers_one_a_sample(index, pairs):
    message = r"each sample's number in the dataset as integers of shape \(N,\)\. Rece"
    with pytest.raises(ValueError, match=message):
        fit(make_model(), numbered(pairs, index).batch(8), recorder=VerdictHistory(9))


def test_a_count_below_that_of_the_arrays_is_refused(pairs):
    """Before training; but what is held out for validation needs no row."""
    message = (
        rf"Expected VerdictHistory\(count\) of at least the number of samples, "
        rf"{COUNT}\. Received: 9\. Pass {COUNT}, or num_samples={COUNT} to the recipe"
    )
    model = make_model()
    with pytest.raises(ValueError, match=message):
        fit(model, *pairs, VerdictHistory(9))
    assert int(model.optimizer.iterations) == 0
    recorder = VerdictHistory(COUNT * 3 // 4)
    fit(model, *pairs, recorder, validation_split=0.25)
    assert set(recorder.history.epochs) == {1}


@pytest.mark.parametrize("kind", ["class_weight", "sample_weight"])
def test_weights_go_with_numbers(pairs, kind):
    weights = {"class_weight": {0: 2.0}, "sample_weight": np.ones(COUNT)}[kind]
    recorder = VerdictHistory()
    fit(make_model(), *pairs, recorder, **{kind: weights})
    assert set(recorder.history.epochs) == {1}


def test_a_model_that_does_not_sort_is_refused():
    x, y = np.zeros((8, 8, 8, 1), "uint8"), np.zeros(8, int)
    model = Standard(networks.digits_cnn(4), 4, augmentation=views.crop_and_flip(1))
    model.compile("sgd")
    message = r"records what a JoSRC model finds\. Received: a Standard\. Leave"
    with pytest.raises(TypeError, match=message):
        model.fit(x, y, callbacks=[VerdictHistory()], verbose=0)


def test_generators_that_bring_numbers(pairs):
    """Not even TensorFlow's datasets are needed."""
    images, given = pairs

    def batches():
        for start in (8, 0, 16):
            rows = np.arange(start, start + 8)
            views_of = {name: view[rows] for name, view in images.items()}
            yield views_of, {"label": given[rows], "index": rows}

    found = recorded(make_model(rate=0.0), batches(), count=COUNT)
    expected = recorded(make_model(rate=0.0), images, given)
    assert_same(found, expected, rtol=1e-5, atol=1e-6)


def test_numbers_pass_through_the_checks_of_a_dataset(pairs):
    contract = make_model().data_contract()
    data = numbered(pairs).batch(8)
    checked, _, _ = values.checked_inputs((data, None, None), contract, training=True)
    found = [batch[1]["index"].numpy() for batch in checked]
    np.testing.assert_array_equal(np.concatenate(found), np.arange(COUNT))
