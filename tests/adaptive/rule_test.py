"""TrustRule: every constant of the adaptive method, checked, read and saved."""

import dataclasses

import keras
import numpy as np
import pytest

from josrc_keras import AdaptiveJoSRC, TrustRule
from josrc_keras.adaptive import trust
from tests.support import models

RULE = TrustRule()


def test_it_is_frozen_and_compared_by_value():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RULE.alpha = 0.5
    assert TrustRule() == RULE != TrustRule(alpha=0.5)
    assert hash(TrustRule()) == hash(RULE)


def test_a_config_makes_it_again():
    rule = TrustRule(judge="student", warmup_epochs=3, strength=4.0, hold=False)
    assert TrustRule.from_config(rule.get_config()) == rule
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(rule)
    )
    assert type(again) is TrustRule and again == rule


BAD = {
    "smoothing": (0.8, r"`smoothing` must be at least 0 and below"),
    "alpha": (1.5, r"alpha=1\.5"),
    "judge": ("both", r"judge as one of \('teacher', 'student'\)\. Received: 'both'"),
    "temperature": (0, r"`temperature` must be positive\. Received: temperature=0"),
    "unclean_weight": ("two", r"unclean_weight as one of .*Received: 'two'"),
    "tau_ood": (1.0, r"tau_ood=1\.0"),
    "doubt": (1.0, r"Expected doubt in \(0, 1\)\. Received: doubt=1\.0\."),
    "warmup_epochs": (0, r"Expected warmup_epochs of at least 1\. Received: 0\."),
    "warmup_share": (0.0, r"warmup_share in \(0, 1\)\. Received: warmup_share=0\.0"),
    "memory_epochs": (0.5, r"Expected memory_epochs of at least 1\. Received: 0\.5\."),
    "memory_share": (2.0, r"memory_share in \(0, 1\]\. Received: memory_share=2\.0"),
    "sharpness": (0.0, r"Expected a positive sharpness\. Received: sharpness=0\.0\."),
    "strength": (-1.0, r"Expected a positive strength\. Received: strength=-1\.0\."),
    "allowance": (1.5, r"allowance in \[0, 1\]\. Received: allowance=1\.5\."),
    "average": ("median", r"average as one of .*Received: 'median'"),
    "balance": (1.5, r"balance in \[0, 1\]\. Received: balance=1\.5\."),
    "forgetting": (-1.0, r"Expected forgetting of at least 0\. Received: .*-1\.0\."),
    "negative": (-1.0, r"Expected negative of at least 0\. Received: negative=-1\.0\."),
    "hold_share": (1.5, r"hold_share in \(0, 1\]\. Received: hold_share=1\.5\."),
    "learnt": (1.5, r"learnt in \[0, 1\]\. Received: learnt=1\.5\."),
    "least_rate": (0.0, r"least_rate in \(0, 0\.9\)\. Received: least_rate=0\.0\."),
    "most_rate": (1.0, r"most_rate in \(0\.01, 1\)\. Received: most_rate=1\.0\."),
}


@pytest.mark.parametrize("name", BAD)
def test_a_value_out_of_range_is_refused(name):
    """At the latest by the model, which knows the number of classes."""
    value, text = BAD[name]
    with pytest.raises(ValueError, match=text):
        AdaptiveJoSRC(
            models.linear_network(), models.CLASSES, 9, rule=TrustRule(**{name: value})
        )


@pytest.mark.parametrize("name", BAD)
def test_nan_is_out_of_every_range(name):
    if isinstance(getattr(RULE, name), str):
        return
    with pytest.raises(ValueError, match="nan"):
        AdaptiveJoSRC(
            models.linear_network(),
            models.CLASSES,
            9,
            rule=TrustRule(**{name: float("nan")}),
        )


def test_every_number_of_the_rule_is_checked():
    switches = {"transitions", "hold", "leave_one_out"}
    assert set(BAD) == {field.name for field in dataclasses.fields(RULE)} - switches


IDLE = {
    "memory_share": {"memory_epochs": 4},
    "strength": {"transitions": False},
    "hold_share": {"hold": False},
    "learnt": {"hold": False},
}


@pytest.mark.parametrize("name", IDLE)
def test_a_value_that_nothing_reads_is_refused(name):
    value = getattr(RULE, name) / 2
    TrustRule(**{name: value})
    TrustRule(**IDLE[name])
    with pytest.raises(ValueError, match=rf"Expected {name} only where it is read"):
        TrustRule(**{name: value}, **IDLE[name])


def test_a_rule_is_a_trust_rule():
    with pytest.raises(TypeError, match=r"`rule` as a TrustRule\. Received: \{\}\."):
        AdaptiveJoSRC(models.linear_network(), models.CLASSES, 9, rule={})


@pytest.mark.parametrize(
    ("fields", "epochs", "expected"),
    [
        # Warm-up, memory, and after how many epochs the noise rate is held.
        ({}, 40, (4, 10, 10)),
        ({}, 1, (2, 1, 2)),
        ({}, 200, (10, 50, 50)),
        ({"warmup_share": 0.2}, 30, (6, 7.5, 8)),
        ({"warmup_share": 0.5}, 40, (10, 10, 10)),
        ({"warmup_epochs": 15}, 40, (15, 10, 15)),
        ({"warmup_epochs": 1}, 8, (1, 2, 2)),
        ({"memory_share": 0.5}, 40, (4, 20, 10)),
        ({"memory_epochs": 3.5}, 40, (4, 3.5, 10)),
        ({"hold_share": 0.5}, 40, (4, 10, 20)),
    ],
)
def test_what_follows_from_the_number_of_epochs(fields, epochs, expected):
    rule = TrustRule(**fields)
    found = rule.warmup(epochs), rule.memory(epochs), rule.hold_after(epochs)
    assert found == expected


def test_the_constants_reach_the_formulas():
    """Each by hand: the limits of the rate, and how much uniform noise counts for."""
    rule = TrustRule(least_rate=0.2, most_rate=0.6, strength=3.0, sharpness=1.0)
    for rate, limit in ((0.0, 0.2), (0.5, 0.5), (1.0, 0.6)):
        found = trust.label_trust([0.6], [0.4], rate, 1.0, 2, rule=rule)
        right, wrong = (1 - limit) * 0.6, limit * 0.4
        assert found == pytest.approx([right / (right + wrong)])
    given, other = [0.9, 0.2, 0.2], [0.1, 0.3, 0.3]
    assert trust.learnt(given, other, 0.9, rule) == pytest.approx((1 / 3) / 0.4)
    wrong, others, labels = np.full(2, 0.9), np.array([1, 1]), np.array([0, 0])
    found = trust.transitions(1 - wrong, wrong, others, labels, 4, rule)
    np.testing.assert_allclose(found[1], [3 / 5, 0, 1 / 5, 1 / 5])
