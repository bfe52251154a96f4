"""Where paper and published code differ: the choices, and what JoSRC does by them."""

import dataclasses

import keras
import numpy as np
import pytest

from josrc_keras import Choices, JoSRC, losses, selection
from tests.support import models

CHANGES = {
    "consistency_base": 3.0,
    "inclusive": True,
    "teacher_views": "first",
    "teacher_statistics": "moving",
    "bounded": True,
}


def test_by_default_they_are_those_of_the_papers_recipe():
    assert Choices().get_config() == {
        "consistency_base": 2.0,
        "inclusive": False,
        "teacher_views": "both",
        "teacher_statistics": "batch",
        "bounded": False,
    }


def test_what_the_papers_text_and_the_published_code_choose():
    assert Choices.paper_text() == Choices(teacher_views="first")
    assert Choices.published_code() == Choices(inclusive=True)


def test_they_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Choices().inclusive = True


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("consistency_base", 1.0, r"base.*Received: .*1"),
        ("teacher_views", "second", r"teacher_views as one of .*Received: 'second'"),
        ("teacher_statistics", "own", r"teacher_statistics as one of .*'own'"),
    ],
)
def test_bad_choices_are_refused(name, value, text):
    with pytest.raises(ValueError, match=text):
        Choices(**{name: value})


def test_choices_are_a_choices():
    with pytest.raises(TypeError, match=r"`choices` as a Choices\. Received: \{\}\."):
        models.make_model(choices={})


def test_a_saved_model_has_its_choices(tmp_path):
    model = models.make_model(choices=Choices(**CHANGES))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.choices == Choices(**CHANGES)
    assert (loaded.teacher_views, loaded.teacher_statistics) == ("first", "moving")


def step(model):
    """Logs and weights of a step in which some samples are unclean."""
    models.set_state(model, 0.6, 1.0)
    other = models.linear_network(seed=5).get_weights()
    model.teacher.set_weights([0.3 * weight for weight in other])
    logs = model.train_on_batch(*models.pair_batch(), return_dict=True)
    return logs, model.get_weights()


@pytest.mark.parametrize("name", [*CHANGES, "all"])
def test_arguments_of_their_own_are_choices_of_before(name):
    """With a warning that says what to write; and equal numbers."""
    fields = CHANGES if name == "all" else {name: CHANGES[name]}
    given = ", ".join(f"{key}={value!r}" for key, value in fields.items())
    with pytest.warns(FutureWarning) as caught:
        model = JoSRC(models.linear_network(), models.CLASSES, smoothing=0.3, **fields)
    (warning,) = caught
    text = str(warning.message)
    assert f"JoSRC({given})" in text and "ersion 0.2" in text
    assert f"Pass choices=Choices({given})" in text
    assert warning.filename == __file__
    assert model.choices == Choices(**fields)
    model.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"])
    expected = models.make_model(choices=Choices(**fields))
    (logs, weights), (expected_logs, expected_weights) = step(model), step(expected)
    assert logs == expected_logs
    for ours, theirs in zip(weights, expected_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_base_of_the_consistency_term(monkeypatch):
    """Eq. 9 in bits or in trits: by hand, a factor."""
    logs = {
        base: step(models.make_model(choices=Choices(consistency_base=base)))[0]
        for base in (2.0, 3.0)
    }
    bits, trits = (logs[base]["consistency_loss"] for base in (2.0, 3.0))
    assert abs(bits) > 0.01
    np.testing.assert_allclose(trits * np.log2(3.0), bits, rtol=1e-5)
    classification = logs[2.0]["classification_loss"]
    np.testing.assert_allclose(
        logs[3.0]["loss"], 0.5 * classification + 0.5 * trits, rtol=1e-5
    )


def test_a_likelihood_equal_to_its_threshold_passes_if_inclusive(monkeypatch):
    """Of all samples, whose likelihood is made to be the threshold."""

    def alike(probs, label_probs):
        return 0.6 * keras.ops.ones_like(probs[:, 0])

    monkeypatch.setattr(selection, "clean_likelihood", alike)
    for inclusive, fraction in ((False, 0.0), (True, 1.0)):
        model = models.make_model(choices=Choices(inclusive=inclusive))
        assert step(model)[0]["clean_fraction"] == fraction


def test_the_bounded_term_is_that_of_the_losses():
    images, labels = models.pair_batch()
    model = models.make_model(choices=Choices(bounded=True))
    logits = [model.student(images[name]) for name in ("view_a", "view_b")]
    tops = [np.argmax(each, axis=1) for each in logits]
    models.set_state(model, 1.0, 1.0)  # Nothing is clean.
    expected = losses.consistency_loss(*logits, tops[0] != tops[1], 2.0, bounded=True)
    logs = model.train_on_batch(images, labels, return_dict=True)
    assert logs["consistency_loss"] == pytest.approx(np.mean(expected), rel=1e-5)
