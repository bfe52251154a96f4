"""The adaptive method by the arguments that `JoSRC` took before version 0.2."""

import keras
import numpy as np
import pytest

from josrc_keras import AdaptiveJoSRC, Choices, JoSRC, TrustRule, views
from tests.support import models

SAMPLES = 12
# Each argument that the adaptive method read, and what it is now.
FIELDS = {
    "smoothing": 0.2,
    "alpha": 0.3,
    "tau_ood": 0.6,
    "judge": "student",
    "temperature": 0.7,
    "unclean_weight": "one",
}

# What they were by default, which the rule's own defaults are not.
DEFAULTS = {"smoothing": 0.6, "alpha": 0.5, "temperature": 1.0}


def step(model):
    """Logs and weights of one step on two given views."""
    model.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"])
    models.set_state(model, 0.5, 1.0)
    model.label_trust.assign(np.linspace(0, 1, SAMPLES))
    model.mixup_seed.state.assign([0, 7])
    images, labels = models.pair_batch(SAMPLES)
    labels = {"label": labels, "index": np.arange(SAMPLES)}
    return model.train_on_batch(images, labels, return_dict=True), model.get_weights()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"mixup": 0.0, "rule": DEFAULTS}),
        (
            {**FIELDS, "mixup": 0.4, "teacher_views": "first"},
            {"mixup": 0.4, "teacher_views": "first", "rule": FIELDS},
        ),
    ],
)
def test_a_josrc_with_samples_is_the_adaptive_model(old, new):
    """With a warning that says what to write; and equal numbers."""
    new = new | {"rule": TrustRule(**new["rule"])}
    with pytest.warns(FutureWarning) as caught:
        model = JoSRC(models.linear_network(), models.CLASSES, samples=SAMPLES, **old)
    (warning,) = caught
    text = str(warning.message)
    assert "JoSRC(samples=...)" in text and "ersion 0.2" in text
    assert "Use AdaptiveJoSRC(network, num_classes, num_samples, augmentation" in text
    assert warning.filename == __file__
    expected = AdaptiveJoSRC(models.linear_network(), models.CLASSES, SAMPLES, **new)
    assert type(model) is AdaptiveJoSRC
    assert model.rule == expected.rule and model.mixup == expected.mixup
    assert model.num_samples == SAMPLES
    assert model.teacher_views == expected.teacher_views
    (logs, weights), (expected_logs, expected_weights) = step(model), step(expected)
    assert logs == expected_logs
    for ours, theirs in zip(weights, expected_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_positions_are_those_of_before():
    network, augmentation = models.linear_network(), views.crop_and_flip(1)
    options = {"augmentation": augmentation, "samples": SAMPLES}
    model = JoSRC(network, models.CLASSES, 0.1, 0.2, 0.4, **options)
    assert type(model) is AdaptiveJoSRC and model.student is network
    assert model.augmentation is augmentation
    expected = TrustRule(smoothing=0.1, alpha=0.2, tau_ood=0.4, temperature=1.0)
    assert model.rule == expected


IDLE = {
    "scale": 5.0,
    "relabel": (),
    "choices": Choices(),
    "consistency_base": 2.0,
    "inclusive": True,
    "bounded": True,
}


@pytest.mark.parametrize("name", IDLE)
def test_arguments_that_would_do_nothing_are_refused(name):
    arguments = {name: IDLE[name], "samples": SAMPLES}
    with pytest.raises(TypeError) as caught:
        JoSRC(models.linear_network(), models.CLASSES, **arguments)
    assert str(caught.value) == (
        f"The adaptive method does not read {name}. Received: JoSRC(samples=...) with "
        "them. Leave them out."
    )


@pytest.mark.parametrize("name", ["judge", "mixup", "temperature", "unclean_weight"])
def test_without_samples_its_arguments_are_none_of_josrc(name):
    """They did nothing there, in silence."""
    with pytest.raises((TypeError, ValueError), match=name):
        JoSRC(models.linear_network(), models.CLASSES, smoothing=0.3, **{name: 0.5})


OLD_CONFIG = {
    "num_classes": models.CLASSES,
    "smoothing": 0.3,
    "alpha": 0.1,
    "tau_ood": 0.6,
    "scale": 5.0,
    "augmentation": None,
    "consistency_base": 3.0,
    "inclusive": True,
    "relabel": ("in_distribution",),
    "teacher_views": "first",
    "teacher_statistics": "moving",
    "bounded": True,
    "samples": None,
    "judge": "student",
    "mixup": 0.25,
    "temperature": 0.5,
    "unclean_weight": "zero",
}


def old_config(**changes):
    """What `JoSRC.get_config()` returned before version 0.2."""
    network = keras.saving.serialize_keras_object(models.linear_network())
    return {"name": "mine", "network": network, **OLD_CONFIG, **changes}


@pytest.mark.filterwarnings("error::FutureWarning")
def test_a_config_of_before_makes_the_papers_model():
    """Files warn of nothing."""
    model = JoSRC.from_config(old_config())
    assert type(model) is JoSRC and model.name == "mine"
    assert (model.smoothing, model.alpha, model.tau_ood) == (0.3, 0.1, 0.6)
    assert (model.scale, model.relabel) == (5.0, ("in_distribution",))
    assert model.choices == Choices(
        consistency_base=3.0,
        inclusive=True,
        teacher_views="first",
        teacher_statistics="moving",
        bounded=True,
    )


@pytest.mark.filterwarnings("error::FutureWarning")
def test_a_config_of_before_with_samples_makes_the_adaptive_model():
    model = JoSRC.from_config(old_config(samples=SAMPLES))
    assert type(model) is AdaptiveJoSRC and model.name == "mine"
    assert (model.num_samples, model.mixup) == (SAMPLES, 0.25)
    assert (model.teacher_views, model.teacher_statistics) == ("first", "moving")
    assert model.rule == TrustRule(
        smoothing=0.3,
        alpha=0.1,
        tau_ood=0.6,
        judge="student",
        temperature=0.5,
        unclean_weight="zero",
    )
