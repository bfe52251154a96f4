"""LabelTrust through `fit`: what it writes, reports, refuses, and how it goes on."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import AdaptiveJoSRC, Standard, TrustRule, views
from josrc_keras.adaptive import trust
from josrc_keras.callbacks import (
    CleanThreshold,
    LabelTrust,
    MeanTeacher,
    RunCheckpoint,
    VerdictHistory,
)
from josrc_keras.runs import train
from josrc_keras.samples import findings, history
from tests import tiny
from tests.support.runs import StopAfter, history_of, without_pictures

COUNT = 24
RULE = TrustRule()


def make_model(rate=0.5, samples=COUNT, mixup=0.0, augmentation=None, **fields):
    """With these fields of its rule; targets are not sharpened."""
    keras.utils.set_random_seed(0)
    network = tiny.linear_network()
    network.set_weights([0.1 * w for w in network.get_weights()])
    rule = TrustRule(**{"temperature": 1.0, **fields})
    model = AdaptiveJoSRC(
        network, tiny.CLASSES, samples, augmentation, mixup=mixup, rule=rule
    )
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"])
    return model


@pytest.fixture
def pairs():
    """Two views of 24 images in which a row is lit by class; labels, some wrong."""
    images, given = tiny.pair_batch(COUNT)
    draw = np.random.default_rng(0)
    truth = np.where(draw.random(COUNT) < 0.7, given, draw.integers(0, 4, COUNT))
    for view in images.values():
        view /= 4
        view[np.arange(COUNT), truth] += 150
    return images, given


class Spy(keras.callbacks.Callback):
    """The trust that each epoch trains with, and the table that it leaves."""

    def __init__(self):
        super().__init__()
        self.trust, self.tables, self.state = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self.trust.append(self.model.label_trust.numpy())
            self.state.append((float(self.model.tau_clean), float(self.model.joint)))

    def on_epoch_end(self, epoch, logs=None):
        table = self.model.epoch_findings.numpy().astype("float64")
        self.tables.append(dict(zip(findings.FIELDS, table.T, strict=True)))


def fit(model, x, y=None, callback=None, more=(), **arguments):
    callbacks = [callback or LabelTrust(), MeanTeacher(0.5), *more]
    if not isinstance(x, tf.data.Dataset):
        arguments = {"batch_size": 8} | arguments
    return model.fit(x, y, callbacks=callbacks, verbose=0, **arguments).history


def by_hand(tables, decay):
    """Weighted means of what the epochs found: of weights 1, d, d^2 backwards."""
    weights = np.array([decay**k for k in range(len(tables))][::-1])
    pairs = list(zip(weights / weights.sum(), tables, strict=True))
    columns = ("given_prob", "other_prob")
    return [sum(weight * table[name] for weight, table in pairs) for name in columns]


def rate_by_hand(tables, given, other):
    """`v (1 - a / s)`; before the second epoch nothing is stable."""
    confidence = np.maximum(given, other)
    sure = confidence >= confidence.mean()
    agreement, stability = (given >= other)[sure].mean(), 0.0
    if len(tables) > 1:
        before, now = (table["predicted"] for table in tables[-2:])
        stability = (before == now)[sure].mean()
    explained = max(stability, agreement)
    rate = 1 - agreement / explained if explained else 1.0
    return tables[-1]["consistent"].mean() * rate


def bayes(given, other, rate, flip, sharpness, least):
    """The rule in the docstring of `josrc_keras.adaptive.trust`."""
    rate = np.clip(rate, RULE.least_rate, RULE.most_rate)
    rest = np.maximum(1 - given - other, 0) / (tiny.CLASSES - 1)
    right = (1 - rate) * given**sharpness
    return right / (right + rate * np.maximum(other * flip + rest, least) ** sharpness)


def learnt_by_hand(given, other, rate):
    """How many labels are predicted, among as many as are right."""
    return min((given >= other).mean() / (1 - min(rate, RULE.most_rate)), 1)


def least_by_hand(given, other, rate, labels, allowance=0.5):
    """A share of what the labels of each class get, weighted by itself."""
    alike = [given[labels == label] for label in labels]
    typical = np.array([np.average(each, weights=each) for each in alike])
    return allowance * learnt_by_hand(given, other, rate) * typical


def flips_by_hand(tables, given, other, labels):
    """How often a label is what each sample's is, among the wrong ones of a class."""
    others = tables[-1]["other_class"].astype(int)
    confidence = np.maximum(given, other)
    wrong = (confidence >= confidence.mean()) & (other > given)
    found = []
    for other_class, label in zip(others, labels, strict=True):
        alike = wrong & (others == other_class)
        same = (alike & (labels == label)).sum()
        uniform = RULE.strength / (tiny.CLASSES - 1)
        found.append((same + uniform) / (alike.sum() + RULE.strength))
    return np.array(found)


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
                flip = 1 / (tiny.CLASSES - 1)
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


# Going on.


def drawn_model(**fields):
    """A model whose views and blends are random."""
    keras.utils.set_random_seed(0)
    augmentation = views.crop_and_flip(1)
    return make_model(augmentation=augmentation, mixup=1.0, **fields)


def test_a_resumed_fit_is_the_uninterrupted_one(pairs, tmp_path, equal_arrays):
    """Whether the checkpoint comes before the callback, as in one, or after it."""
    images, given = pairs[0]["view_a"], pairs[1]
    found = {}
    for name, parts in (("whole", [5]), ("parts", [3, 5])):
        for until in parts:
            model, spy = drawn_model(warmup_epochs=2, memory_epochs=3), Spy()
            callback = LabelTrust()
            checkpoint = RunCheckpoint(tmp_path / name, carried=[callback])
            start = checkpoint.restore(model)

            class Stop(keras.callbacks.Callback):
                def on_epoch_end(self, epoch, logs=None, until=until):
                    self.model.stop_training = epoch + 1 == until

            own = [MeanTeacher(0.5), checkpoint, callback, spy, Stop()]
            if name == "parts":
                own[1:3] = callback, checkpoint
            model.fit(
                images,
                given,
                batch_size=8,
                epochs=5,
                initial_epoch=start,
                shuffle=False,
                callbacks=own,
                verbose=0,
            )
        history_rows = [{**row, "noise_rate": 0} for row in checkpoint.history]
        found[name] = model, callback.state(), spy.trust[-1], history_rows
    (ours, state, last, rows), (theirs, expected, expected_last, expected_rows) = (
        found["parts"],
        found["whole"],
    )
    equal_arrays(
        [np.asarray(v) for v in ours.variables],
        [np.asarray(v) for v in theirs.variables],
    )
    assert state.keys() == expected.keys() > {"memory_given", "stable"}
    equal_arrays(list(state.values()), list(expected.values()))
    np.testing.assert_array_equal(last, expected_last)
    assert rows == expected_rows and len(rows) == 5
    assert 0 < last.min() < 0.5


def test_going_on_without_what_was_known_keeps_the_trust(pairs, caplog):
    """For as long as a warm-up, and says so; then it is of the epochs since."""
    model, first = make_model(warmup_epochs=2, memory_epochs=1), Spy()
    fit(model, *pairs, LabelTrust(), [first], epochs=4)
    kept = model.label_trust.numpy()
    assert 0.1 < kept.min() < 0.5  # The newest, which none of the epochs trained with.
    assert np.any(kept != first.trust[-1])
    spy, callback = Spy(), LabelTrust()
    with caplog.at_level("WARNING"):
        shown = fit(model, *pairs, callback, [spy], epochs=8, initial_epoch=4)
    assert "starts in epoch 5 without what it knew of the samples" in caplog.text
    assert "carried=[label_trust]" in caplog.text
    for trust_then in spy.trust[:2]:
        np.testing.assert_array_equal(trust_then, kept)
    assert shown["noise_rate"][0] == 0
    expected = by_hand(spy.tables[:2], 0.0)
    rate = rate_by_hand(spy.tables[:2], *expected)
    assert shown["noise_rate"][1] == pytest.approx(rate) and rate > 0
    assert np.any(spy.trust[2] != kept)
    caplog.clear()
    with caplog.at_level("WARNING"):
        fit(model, *pairs, callback, epochs=9, initial_epoch=8)
    assert "without what" not in caplog.text


def test_what_two_replicas_saw_of_a_sample_is_no_class(pairs):
    """Probabilities are averaged; the class stays what it was, if it was any."""
    callback = LabelTrust()
    fit(make_model(memory_epochs=1), *pairs, callback, epochs=2)
    before = callback._newest["predicted"].copy()
    table = np.zeros((COUNT, len(findings.FIELDS)), "float32")
    column = {name: number for number, name in enumerate(findings.FIELDS)}
    table[:2, column["seen"]] = 2, 1
    table[:2, column["given_prob"]] = 0.6, 0.4
    table[:2, column["predicted"]] = 1 + 2, 3  # Classes 1 and 2 are not class 1.5.
    callback._add(table)
    assert callback._newest["predicted"][:2].tolist() == [before[0], 3]
    np.testing.assert_array_equal(callback._newest["predicted"][2:], before[2:])
    np.testing.assert_allclose(callback._memory.mean("given")[:2], [0.3, 0.4])


def test_a_resumed_run_is_the_uninterrupted_one(
    quick_config, deterministic, monkeypatch, tmp_path
):
    """Through `experiment.train`: history, weights, memory, to the last digit."""
    without_pictures(monkeypatch)
    config = quick_config("adaptive", **{"adaptive.warmup_epochs": 1})
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    assert train.train(config, parts, verbose=0, callbacks=[StopAfter(3)]) is None
    summary = train.train(config, parts, verbose=0)
    assert summary == json.loads((parts / "summary.json").read_text())
    assert summary["teacher"]["last"] != summary["student"]["last"]
    train.train(config, whole, verbose=0)
    rows = history_of(parts)
    assert rows == history_of(whole) and len(rows) == 4
    assert {"noise_rate", "clean_auroc", "val_student_accuracy"} < rows[0].keys()
    ours, theirs = (
        np.load(folder / "checkpoint" / "epoch-00004" / "variables.npz")
        for folder in (parts, whole)
    )
    assert ours.files == theirs.files
    assert any(name.endswith("/memory_given") for name in ours.files)
    for name in theirs.files:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    models = [keras.saving.load_model(f / "model.keras") for f in (parts, whole)]
    assert models[0].num_samples == 128
    trusts = [np.asarray(model.label_trust) for model in models]
    np.testing.assert_array_equal(*trusts)
    assert trusts[0].min() < 1


# Refusals.


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
    model = tiny.make_model()
    message = r"LabelTrust sets `label_trust` of a model\. Received: a {}\. Leave"
    with pytest.raises(TypeError, match=message.format("JoSRC")):
        fit(model, *pairs, LabelTrust(), [CleanThreshold()])
    assert model.epoch_findings is None
    plain = Standard(tiny.linear_network(), tiny.CLASSES, augmentation=None)
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


@pytest.mark.parametrize("first", [-1, 1])
def test_numbers_out_of_range_are_refused(first, pairs):
    images, given = pairs
    labels = {"label": given, "index": first + np.arange(COUNT)}
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
    with pytest.raises(ValueError, match=r"Received: 1 out of range in this epoch"):
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


# The rule.


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
