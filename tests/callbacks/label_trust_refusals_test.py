"""LabelTrust: what it refuses."""

import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import Standard
from josrc_keras.callbacks import (
    CleanThreshold,
    LabelTrust,
)
from tests.support import models
from tests.support.label_trust import COUNT, fit, make_model


def test_another_number_of_samples_is_refused(pairs):
    images, given = pairs
    message = (
        r"Expected a dataset of 9 samples, as in AdaptiveJoSRC\(num_samples=\.\.\.\)\. "
        r"Received: 24\. Make the model for as many as it is trained on\."
    )
    model = make_model(samples=9)
    for callback in (LabelTrust(), LabelTrust(COUNT)):
        with pytest.raises(ValueError, match=message):
            fit(model, images, given, callback)
    assert int(model.optimizer.iterations) == 0
    assert model.epoch_findings is None


def test_a_model_that_keeps_no_trust_is_refused(pairs):
    """The paper's, and a method that sorts no samples."""
    model = models.make_model()
    message = r"LabelTrust sets `label_trust` of a model\. Received: a {}\. Leave"
    with pytest.raises(TypeError, match=message.format("JoSRC")):
        fit(model, *pairs, LabelTrust(), [CleanThreshold()])
    assert model.epoch_findings is None
    plain = Standard(models.linear_network(), models.CLASSES, augmentation=None)
    plain.compile("sgd")
    with pytest.raises(TypeError, match=message.format("Standard")):
        plain.fit(pairs[0]["view_a"], pairs[1], callbacks=[LabelTrust()], verbose=0)


def test_the_number_of_samples_must_be_known(pairs):
    images, given = pairs
    labels = {"label": given, "index": np.arange(COUNT)}
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
    with pytest.raises(ValueError, match=r"Expected the number of samples of a da"):
        fit(make_model(), data, None, LabelTrust())
    data = tf.data.Dataset.from_tensor_slices(pairs).batch(8)
    with pytest.raises(ValueError, match=r"a dataset of labels without 'index'"):
        fit(make_model(), data, None, LabelTrust(COUNT))


@pytest.mark.parametrize(("first", "found"), [(-1, "-1 to 6"), (1, "17 to 24")])
def test_numbers_out_of_range_are_refused(first, found, pairs):
    images, given = pairs
    labels = {"label": given, "index": first + np.arange(COUNT)}
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
    with pytest.raises(ValueError, match=rf"numbers of samples in \[0, {COUNT - 1}\]"):
        fit(make_model(), data, None, LabelTrust(COUNT))


BAD = {
    "rate": (1.1, r"Expected a rate in \[0, 1\]\. Received: rate=1\.1\."),
    "memory_epochs": (0.5, r"Expected memory_epochs of at least 1\. Received: 0\.5\."),
    "sharpness": (0.0, r"Expected a positive sharpness\. Received: sharpness=0\.0\."),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused(name):
    value, text = BAD[name]
    with pytest.raises(ValueError, match=text):
        LabelTrust(**{name: value})


def test_an_unknown_argument_is_refused():
    message = (
        r"no such arguments\. Received: \['warm_up'\]\. Expected: count, path, rate"
    )
    with pytest.raises(TypeError, match=message):
        LabelTrust(warm_up=3)


@pytest.mark.parametrize(
    ("field", "value", "default"),
    [("average", "margin", "probability"), ("leave_one_out", True, False)],
)
def test_the_state_of_another_rule_is_refused(field, value, default, pairs):
    """A memory of logarithms is not read as one of probabilities."""
    before = LabelTrust()
    fit(make_model(**{field: value}), *pairs, before)
    after, model = LabelTrust(), make_model()
    after.set_state(before.state())
    message = rf"a rule with {field}={value!r}, .* Received: {default!r}\. Pass"
    with pytest.raises(ValueError, match=message):
        fit(model, *pairs, after, initial_epoch=1, epochs=2)
    assert int(model.optimizer.iterations) == 0
