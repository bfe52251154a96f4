"""`relabel`: which unclean samples a step trains on (Table 6), against NumPy."""

import json

import keras
import numpy as np
import pytest

from josrc_keras import JoSRC, selection
from tests.support import oracle
from tests.support.models import CLASSES, make_model, outcome_of, pair_batch, set_state

TAU = 0.6
RATE = 0.1
INSIDE, OUTSIDE = selection.UNCLEAN
VARIANTS = [(), (INSIDE,), (OUTSIDE,), (INSIDE, OUTSIDE)]


def predict(weights, images):
    """The logits of `models.linear_network` in float64."""
    kernel, bias = weights
    return images.reshape(len(images), -1) / 255.0 @ kernel + bias


class Oracle:
    """Algorithm 1 on one batch: what is constant in a step, then loss and gradient."""

    def __init__(self, model, batch, *, joint, relabel):
        images, labels = batch
        self.views = [oracle.float64(images[name]) for name in ("view_a", "view_b")]
        self.weights = [oracle.float64(w) for w in model.student.get_weights()]
        teacher = [oracle.float64(w) for w in model.teacher.get_weights()]
        a, b = (oracle.softmax(predict(self.weights, view)) for view in self.views)
        given = oracle.smooth(labels, CLASSES, 0.3)
        self.clean = oracle.clean_likelihood(a, given) > TAU
        differ = oracle.ood_likelihood(a, b) > 0.5
        self.in_distribution = ~self.clean & ~differ
        self.out_of_distribution = ~self.clean & differ
        q = sum(oracle.softmax(predict(teacher, view)) for view in self.views) / 2
        self.targets = oracle.reassign(
            self.clean, self.out_of_distribution, given, q, s=10
        )
        self.joint = joint
        self.included = self.clean.copy()
        if joint:
            for kind in relabel:
                self.included |= getattr(self, kind)

    def loss(self, weights):
        logits = [predict(weights, view) for view in self.views]
        classification = oracle.classification(*logits, self.targets)
        consistency = oracle.consistency(*logits, self.out_of_distribution)
        alpha = 0.5 if self.joint else 0.0
        per_sample = oracle.joint(classification, consistency, alpha)
        return per_sample[self.included].sum() / max(self.included.sum(), 1)

    def gradient(self, step=1e-6):
        """Central differences, one weight after the other."""
        gradients = [np.zeros_like(weight) for weight in self.weights]
        for weight, gradient in zip(self.weights, gradients, strict=True):
            for index in np.ndindex(weight.shape):
                before = weight[index]
                weight[index] = before + step
                above = self.loss(self.weights)
                weight[index] = before - step
                below = self.loss(self.weights)
                weight[index] = before
                gradient[index] = (above - below) / (2 * step)
        return gradients


def model_and_batch(relabel, joint):
    """A model whose teacher is not its student, and a batch of all three kinds."""
    model = make_model(rate=RATE, relabel=relabel)
    random = np.random.default_rng(7)
    model.teacher.set_weights(
        [random.normal(size=weight.shape) for weight in model.teacher.get_weights()]
    )
    set_state(model, TAU, joint)
    return model, pair_batch(count=24)


@pytest.mark.parametrize("relabel", VARIANTS)
@pytest.mark.parametrize("joint", [0.0, 1.0])
def test_step_equals_numpy(joint, relabel):
    """The mask, the loss, and every weight after one step of SGD.

    In the warm-up the four variants are one: the clean samples alone.
    """
    model, batch = model_and_batch(relabel, joint)
    by_hand = Oracle(model, batch, joint=joint, relabel=relabel)
    for kind in ("clean", INSIDE, OUTSIDE):
        assert 3 <= getattr(by_hand, kind).sum() < 20  # Else nothing is tested.

    images, labels = batch
    outcome = outcome_of(model, images, labels)
    ((_, included),) = outcome.terms
    np.testing.assert_array_equal(included, by_hand.included)
    for kind in ("clean", INSIDE, OUTSIDE):
        np.testing.assert_array_equal(
            getattr(outcome.selection, kind), getattr(by_hand, kind)
        )

    before = model.student.get_weights()
    logs = model.train_on_batch(images, labels, return_dict=True)
    np.testing.assert_allclose(logs["loss"], by_hand.loss(by_hand.weights), rtol=1e-5)
    assert logs["id_fraction"] == pytest.approx(by_hand.in_distribution.mean())
    for old, new, gradient in zip(
        before, model.student.get_weights(), by_hand.gradient(), strict=True
    ):
        assert np.abs(gradient).max() > 0.01
        np.testing.assert_allclose(new, old - RATE * gradient, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_nothing_to_train_on_changes_nothing(optimizer):
    """No clean sample and `relabel=()`: a loss of exactly 0 and a gradient of 0.

    Adam would divide a gradient that is not finite, or move by its rate on a tiny one.
    """
    model, batch = model_and_batch((), 1.0)
    model.compile(optimizer, metrics=["accuracy"])
    set_state(model, 1.0, 1.0)
    before = model.student.get_weights()
    logs = model.train_on_batch(*batch, return_dict=True)
    assert logs["loss"] == 0.0 and logs["clean_fraction"] == 0.0
    assert logs["id_fraction"] > 0 and logs["ood_fraction"] > 0
    assert np.isfinite(list(logs.values())).all()
    for old, new in zip(before, model.student.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("relabel", ["in_distribution", ("clean",), ("noise", INSIDE)])
def test_unknown_kinds_are_refused(relabel):
    with pytest.raises(ValueError) as caught:
        make_model(relabel=relabel)
    assert str(caught.value) == (
        "Expected `relabel` as a tuple of any of ('in_distribution', "
        f"'out_of_distribution'), or (). Received: relabel={relabel!r}. For one kind "
        "write ('in_distribution',)."
    )


@pytest.mark.parametrize("relabel", VARIANTS)
def test_relabel_survives_configuration_and_file(relabel, tmp_path):
    """Through Keras's own file, and through JSON, which makes a list of a tuple."""
    model = make_model(relabel=relabel)
    assert model.get_config()["relabel"] == relabel
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, JoSRC) and again.relabel == relabel
    config = dict(model.get_config(), relabel=list(relabel))
    assert JoSRC.from_config(config).relabel == relabel
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.relabel == relabel
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_both_kinds_are_the_default():
    assert make_model().relabel == ("in_distribution", "out_of_distribution")
