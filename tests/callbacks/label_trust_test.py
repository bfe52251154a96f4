"""LabelTrust through `fit`: the trust of every epoch, by hand, and what it reports."""

import math

import numpy as np
import pytest
import tensorflow as tf
from keras.callbacks import LambdaCallback

from josrc_keras.adaptive import leave_one_out, trust
from josrc_keras.callbacks import (
    LabelTrust,
    VerdictHistory,
)
from josrc_keras.samples import findings, history
from tests.support import models
from tests.support.label_trust import (
    COUNT,
    RULE,
    Spy,
    bayes,
    by_hand,
    fit,
    flips_by_hand,
    learnt_by_hand,
    least_by_hand,
    make_model,
    rate_by_hand,
)


@pytest.mark.parametrize(
    ("arguments", "warmup", "decay"),
    [
        # Of eight epochs: a tenth, at least one, and a memory of a quarter.
        ({"sharpness": 1.0}, 2, 0.5),
        ({"sharpness": 1.0, "allowance": 0.0}, 2, 0.5),
        ({"sharpness": 1.0, "allowance": 0.9, "hold": False}, 2, 0.5),
        ({"warmup_epochs": 3, "memory_epochs": 5, "sharpness": 2.0}, 3, 0.8),
        (
            {
                "warmup_epochs": 2,
                "memory_epochs": 1,
                "sharpness": 3.0,
                "transitions": False,
            },
            2,
            0.0,
        ),
    ],
)
def test_the_trust_of_every_epoch_by_hand(arguments, warmup, decay, pairs):
    """Ones during the warm-up, then Bayes' rule for what the epochs before found."""
    model, spy, callback = make_model(**arguments), Spy(), LabelTrust()
    shown = fit(model, *pairs, callback, [spy], epochs=8)
    assert len(shown["noise_rate"]) == 8
    least_rate, held = 0.0, False
    for epoch in range(1, 9):
        reported = shown["noise_rate"][epoch - 1]
        if epoch < warmup:
            np.testing.assert_array_equal(spy.trust[epoch], np.ones(COUNT))
            assert reported == 0
            continue
        given, other = by_hand(spy.tables[:epoch], decay)
        rate = rate_by_hand(spy.tables[:epoch], given, other)
        # A quarter of the epochs, or the warm-up, and when enough is learnt.
        learnt = learnt_by_hand(given, other, rate) >= 0.5
        if epoch >= max(warmup, 2) and arguments.get("hold", True) and not held:
            least_rate, held = (rate, True) if learnt else (0.0, False)
        rate = max(rate, least_rate)
        assert reported == pytest.approx(rate)
        if epoch < 8:  # There is no ninth epoch.
            flip = flips_by_hand(spy.tables[:epoch], given, other, pairs[1])
            if not arguments.get("transitions", True):
                flip = 1 / (models.CLASSES - 1)
            allowance = arguments.get("allowance", 0.5)
            least = least_by_hand(given, other, rate, pairs[1], allowance)
            options = arguments["sharpness"], least
            expected = bayes(given, other, rate, flip, *options)
            np.testing.assert_allclose(spy.trust[epoch], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(spy.trust[0], np.ones(COUNT))
    assert callback.noise_rate == shown["noise_rate"][-1]
    assert 0 < shown["noise_rate"][-1] < 1
    assert np.ptp(spy.trust[-1]) > 0.2
    assert set(spy.state) == {(RULE.doubt, 1.0)}


def test_a_single_view_is_compared_with_that_of_the_epoch_before(pairs):
    """Two equal views would always be predicted alike, and doubt too many labels."""
    model, spy = make_model(teacher_views="first", hold=False), Spy()
    shown = fit(model, *pairs, LabelTrust(), [spy], epochs=8)
    before, now = (table["predicted"] for table in spy.tables[-2:])
    assert spy.tables[-1]["consistent"].mean() == 1
    spy.tables[-1]["consistent"] = (before == now).astype(float)
    given, other = by_hand(spy.tables, 0.5)
    expected = rate_by_hand(spy.tables, given, other)
    assert shown["noise_rate"][-1] == pytest.approx(expected)


def test_averaged_margins_are_geometric_averages(pairs):
    """Of the two epochs that the memory weighs as 1 to 2, with the classes balanced."""
    rule = {"average": "margin", "balance": 1.0, "sharpness": 1.0, "hold": False}
    model, spy = make_model(memory_epochs=2, **rule), Spy()
    fit(model, *pairs, LabelTrust(rate=0.4), [spy], epochs=3)
    older, newer = spy.tables[:2]
    given, other = (
        np.exp((np.log(older[name]) + 2 * np.log(newer[name])) / 3)
        for name in ("given_prob", "other_prob")
    )
    flip = flips_by_hand(spy.tables[:2], given, other, pairs[1])
    least = least_by_hand(given, other, 0.4, pairs[1])
    expected = bayes(given, other, 0.4, flip, 1.0, least)
    expected = trust.balanced(expected, pairs[1], models.CLASSES, 1.0)
    np.testing.assert_allclose(spy.trust[2], expected, rtol=1e-4, atol=1e-6)


def test_a_known_rate_is_not_estimated(pairs):
    model, spy = make_model(sharpness=1.5), Spy()
    callback = LabelTrust(rate=0.4)
    shown = fit(model, *pairs, callback, [spy], epochs=3)
    assert shown["noise_rate"] == pytest.approx([0.0, 0.4, 0.4])
    given, other = by_hand(spy.tables[:2], 0.0)
    flip = flips_by_hand(spy.tables[:2], given, other, pairs[1])
    least = least_by_hand(given, other, 0.4, pairs[1])
    expected = bayes(given, other, 0.4, flip, 1.5, least)
    np.testing.assert_allclose(spy.trust[2], expected, rtol=1e-4, atol=1e-6)


def test_the_noise_rate_no_longer_falls_after_a_quarter_of_the_epochs(monkeypatch):
    """Of 12 epochs, after the third; from then on it may grow, and fall back to that.

    Without `hold` it is the estimate. What is held is part of the state.
    """
    estimates = [0.5, 0.3, 0.1, 0.4, 0.2, 0.3]

    def reported(callback, start, estimates, shares=(1.0,) * 6):
        found = []
        for epoch, estimate in enumerate(estimates, start=start):
            monkeypatch.setattr(trust, "noise_rate", lambda *_, e=estimate: e)
            share = shares[epoch - start]
            monkeypatch.setattr(trust, "learnt", lambda *_, s=share: s)
            callback.trust(epoch)
            found.append(callback.noise_rate)
        return found

    table = np.ones((COUNT, len(findings.FIELDS)))

    def make(**arguments):
        callback = LabelTrust(COUNT)
        callback.set_params({"epochs": 12})
        callback.set_model(make_model(**arguments))
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        callback._add(table)
        return callback

    callback = make()
    assert reported(callback, 2, estimates) == [0.5, 0.3, 0.3, 0.4, 0.3, 0.3]
    assert reported(make(hold=False), 2, estimates) == estimates
    # What a network estimates that has learnt too little is not held.
    shares = [0.9, 0.49, 0.5, 0.4, 0.4, 0.4]
    assert reported(make(), 2, estimates, shares) == [0.5, 0.3, 0.1, 0.4, 0.2, 0.3]
    falling = [0.5, 0.3, 0.2, 0.1, 0.0, 0.0]
    assert reported(make(), 2, falling, shares) == [0.5, 0.3, 0.2, 0.2, 0.2, 0.2]
    resumed = make()
    resumed.set_state(callback.state())
    assert reported(resumed, 8, [0.2, 0.4]) == [0.3, 0.4]
    resumed.on_epoch_begin(0)  # Training anew.
    resumed._add(table)
    assert reported(resumed, 2, [0.2]) == [0.2]


@pytest.mark.parametrize(
    ("epochs", "warmup"), [(1, 2), (14, 2), (26, 3), (40, 4), (100, 10), (300, 10)]
)
def test_the_warm_up_is_a_tenth_of_all_epochs(epochs, warmup):
    callback = LabelTrust()
    callback.set_params({"epochs": epochs})
    callback.set_model(make_model())
    assert callback.warmup() == warmup
    assert callback.memory_decay() == pytest.approx(1 - 1 / max(epochs / 4, 1))


def test_labels_of_samples_that_were_not_seen_are_trusted(pairs):
    """Here those that are held out for validation."""
    spy, callback = Spy(), LabelTrust(COUNT)
    images, given = pairs
    fit(make_model(), images, given, callback, [spy], epochs=4, validation_split=0.25)
    np.testing.assert_array_equal(spy.trust[-1][18:], np.ones(6))
    assert np.ptp(spy.trust[-1][:18]) > 0.1
    assert set(callback.history.epochs[18:]) == {0}


def test_shuffled_datasets_land_in_the_right_rows(pairs):
    """Nothing is learnt, so every order of the samples finds the same."""
    images, given = pairs
    arrays, dataset = Spy(), Spy()
    options = {"epochs": 3}
    fit(make_model(0.0, mixup=0.0), images, given, None, [arrays], **options)
    labels = {"label": given, "index": np.arange(COUNT)}
    data = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(COUNT).batch(8)
    callback = LabelTrust(COUNT)
    fit(make_model(0.0, mixup=0.0), data, None, callback, [dataset], **options)
    np.testing.assert_allclose(dataset.trust[-1], arrays.trust[-1], rtol=1e-4)
    np.testing.assert_array_equal(callback.history.labels, given)


def test_it_is_a_verdict_history_too(pairs, tmp_path):
    """With its file, and an audit of the model that has one."""
    model, path = make_model(), tmp_path / "history.npz"
    callback, spy = LabelTrust(path=path), Spy()
    assert isinstance(callback, VerdictHistory)
    fit(model, *pairs, callback, [spy], epochs=4)
    assert model.sample_history is callback.history
    assert set(callback.history.epochs) == {4}
    stored = history.SampleHistory.load(path)
    expected = sum(table["other_prob"] for table in spy.tables) / 4
    np.testing.assert_allclose(stored.mean("other_prob"), expected, rtol=1e-5)
    clean = spy.trust[-1] > 0.5
    np.testing.assert_array_equal(stored.verdicts[:, -1] == 1, clean)
    assert model.epoch_findings is None
    table = model.audit(pairs[0]["view_a"], pairs[1])
    assert len(table) == COUNT and np.isfinite(table["label_score"]).all()


def test_a_history_of_before_has_no_other_prob(pairs, tmp_path):
    callback = LabelTrust()
    fit(make_model(), *pairs, callback, epochs=2)
    arrays = callback.history.arrays()
    del arrays["other_prob"]
    np.savez(tmp_path / "old.npz", **arrays)
    old = history.SampleHistory.load(tmp_path / "old.npz")
    np.testing.assert_array_equal(old.sums["other_prob"], np.zeros(COUNT))
    np.testing.assert_array_equal(old.sums["given_prob"], arrays["given_prob"])


def test_each_fit_starts_anew(pairs):
    """Trust and memory too; also with another number of epochs."""
    callback, first, second = LabelTrust(), Spy(), Spy()
    fit(make_model(memory_epochs=2), *pairs, callback, [first], epochs=3)
    assert callback.noise_rate is not None
    fit(make_model(memory_epochs=2), *pairs, callback, [second], epochs=3)
    for ours, theirs in zip(second.trust, first.trust, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_warm_up_that_does_not_end_is_told(pairs, caplog):
    spy, callback = Spy(), LabelTrust()
    with caplog.at_level("WARNING"):
        shown = fit(make_model(warmup_epochs=3), *pairs, callback, [spy], epochs=3)
    assert "The warm-up of 3 epochs does not end within 3 epochs" in caplog.text
    np.testing.assert_array_equal(spy.trust, np.ones((3, COUNT)))
    assert shown["noise_rate"][:2] == [0.0, 0.0]
    caplog.clear()
    with caplog.at_level("WARNING"):
        fit(make_model(warmup_epochs=3), *pairs, callback, epochs=4)
    assert "warm-up" not in caplog.text


@pytest.mark.parametrize("views", ["both", "first"])
def test_the_labels_of_the_others_count_half(views, pairs):
    """Beside what the network predicts, by hand from the features of each epoch."""
    rule = {"leave_one_out": True, "sharpness": 3.0, "memory_epochs": 1, "hold": False}
    model, spy = make_model(teacher_views=views, **rule), Spy()
    kept = []
    keep = LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.append(
            (model.epoch_findings.numpy_features(), model.label_trust.numpy())
        )
    )
    shown = fit(model, *pairs, LabelTrust(), [spy, keep], epochs=5)
    labels, seen = pairs[1], np.ones(COUNT, bool)
    others = leave_one_out.OtherSamples(COUNT)
    for features, trusted in [(kept[0][0], np.ones(COUNT))] + [
        (features, kept[number][1]) for number, (features, _) in enumerate(kept[1:4])
    ]:
        others.add(seen, features, labels, trusted, models.CLASSES, 0.0)
    assert kept[0][0].shape == (COUNT, math.prod(models.SHAPE))
    given, other = by_hand(spy.tables[:4], 0.0)
    if views == "first":
        before, now = (table["predicted"] for table in spy.tables[2:4])
        spy.tables[3]["consistent"] = (before == now).astype(float)
    rates = others.noise_rate(), rate_by_hand(spy.tables[:4], given, other)
    assert rates[0] > 0 and shown["noise_rate"][3] == pytest.approx(max(rates))
    rate = max(rates)
    flip = flips_by_hand(spy.tables[:4], given, other, labels)
    least = least_by_hand(given, other, rate, labels)
    own = trust.evidence(given, other, flip, models.CLASSES, least)
    both = (own + others.evidence(labels, models.CLASSES, model.rule)) / 2
    rate = np.clip(rate, RULE.least_rate, RULE.most_rate)
    expected = 1 / (1 + rate / (1 - rate) * np.exp(-3 * both))
    np.testing.assert_allclose(spy.trust[4], expected, rtol=1e-3, atol=1e-5)
    assert np.ptp(spy.trust[4]) > 0.1
