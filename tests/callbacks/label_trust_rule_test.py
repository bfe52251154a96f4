"""LabelTrust: the rule that it follows, by the names of now and of before."""

import numpy as np
import pytest

from josrc_keras import TrustRule
from josrc_keras.callbacks import (
    LabelTrust,
)
from tests.support.label_trust import Spy, fit, make_model


def test_without_a_rule_the_models_is_followed(pairs):
    model, callback = make_model(warmup_epochs=3, allowance=0.2), LabelTrust()
    fit(model, *pairs, callback, epochs=1)
    assert callback.rule == model.rule


def test_a_rule_of_its_own_is_followed(pairs):
    """Where it agrees with the model's in what a step reads."""
    given, spies = {"sharpness": 3.0, "warmup_epochs": 1, "hold": False}, []
    for model, callback in (
        (make_model(**given), LabelTrust()),
        (make_model(), LabelTrust(rule=TrustRule(temperature=1.0, **given))),
    ):
        spies.append(Spy())
        fit(model, *pairs, callback, [spies[-1]], epochs=3)
        assert callback.rule == TrustRule(temperature=1.0, **given)
    np.testing.assert_array_equal(*(spy.trust for spy in spies))


def test_a_rule_of_another_step_is_refused(pairs):
    model = make_model()
    rule = TrustRule(temperature=0.5, judge="student", sharpness=3.0)
    message = (
        r"rule of LabelTrust to agree with the model's in what a step reads\. "
        r"Received: judge='student', temperature=0\.5\. Pass the rule to AdaptiveJoSRC "
        r"alone\."
    )
    with pytest.raises(ValueError, match=message):
        fit(model, *pairs, LabelTrust(rule=rule))
    assert int(model.optimizer.iterations) == 0


def test_fields_of_the_rule_by_their_names_of_before(pairs):
    """Each warns of its end, and does what it does in a rule."""
    fields = {
        "warmup_epochs": 1,
        "memory_epochs": 3,
        "sharpness": 1.5,
        "transitions": False,
        "allowance": 0.2,
        "hold": False,
    }
    given = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    with pytest.warns(FutureWarning) as caught:
        callback = LabelTrust(**fields)
    (warning,) = caught
    text = str(warning.message)
    assert f"LabelTrust({given})" in text and "ersion 0.2" in text
    assert f"Pass rule=TrustRule({given}) to AdaptiveJoSRC" in text
    assert warning.filename == __file__
    spies = [Spy(), Spy()]
    fit(make_model(), *pairs, callback, [spies[0]], epochs=3)
    fit(make_model(**fields), *pairs, LabelTrust(), [spies[1]], epochs=3)
    np.testing.assert_array_equal(*(spy.trust for spy in spies))
    assert np.ptp(spies[0].trust[-1]) > 0.1
