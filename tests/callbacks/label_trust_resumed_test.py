"""LabelTrust goes on: in a resumed run, without its state, on two replicas."""

import json

import keras
import numpy as np
import pytest

from josrc_keras import views
from josrc_keras.callbacks import (
    LabelTrust,
    MeanTeacher,
    RunCheckpoint,
)
from josrc_keras.runs import train
from josrc_keras.samples import findings
from tests.support.label_trust import (
    COUNT,
    Spy,
    by_hand,
    fit,
    make_model,
    rate_by_hand,
)
from tests.support.resumed import CopyAfter
from tests.support.runs import history_of, without_pictures


def drawn_model(**fields):
    """A model whose views and blends are random."""
    keras.utils.set_random_seed(0)
    augmentation = views.crop_and_flip(1)
    return make_model(augmentation=augmentation, mixup=1.0, **fields)


@pytest.mark.parametrize(("together", "asked"), [(1, False), (3, False), (1, True)])
def test_a_resumed_fit_is_the_uninterrupted_one(
    pairs, tmp_path, equal_arrays, together, asked
):
    """Whether the checkpoint comes before the callback, as in one, or after it.

    Also where all steps of an epoch are run at a time, and where the labels of the
    other samples are asked.
    """
    images, given = pairs[0]["view_a"], pairs[1]
    found = {}
    for name, parts in (("whole", [5]), ("parts", [3, 5])):
        for until in parts:
            model = drawn_model(warmup_epochs=2, memory_epochs=3, leave_one_out=asked)
            model.compile(model.optimizer, steps_per_execution=together)
            callback = LabelTrust()
            checkpoint = RunCheckpoint(tmp_path / name, carried=[callback])
            start = checkpoint.restore(model)

            class Stop(keras.callbacks.Callback):
                def on_epoch_end(self, epoch, logs=None, until=until):
                    self.model.stop_training = epoch + 1 == until

            own = [MeanTeacher(0.5), checkpoint, callback, Stop()]
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
        last = np.asarray(model.label_trust)
        found[name] = model, callback.state(), last, history_rows
    (ours, state, last, rows), (theirs, expected, expected_last, expected_rows) = (
        found["parts"],
        found["whole"],
    )
    equal_arrays(
        [np.asarray(v) for v in ours.variables],
        [np.asarray(v) for v in theirs.variables],
    )
    assert state.keys() == expected.keys() > {"memory_given", "stable"}
    assert ("others_given" in state) == asked
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
    table[:2, column["label"]] = callback.history.labels[:2] * (2, 1)
    table[:2, column["label"]] = pairs[1][:2] * (2, 1)
    table[:2, column["given_prob"]] = 0.6, 0.4
    table[:2, column["predicted"]] = 1 + 2, 3  # Classes 1 and 2 are not class 1.5.
    callback._add(table)
    assert callback._newest["predicted"][:2].tolist() == [before[0], 3]
    np.testing.assert_array_equal(callback._newest["predicted"][2:], before[2:])
    np.testing.assert_allclose(callback._memory.mean("given")[:2], [0.3, 0.4])


def test_a_resumed_run_is_the_uninterrupted_one(
    quick_config, deterministic, monkeypatch, tmp_path
):
    """Through `runs.train.train`: history, weights, memory, to the last digit."""
    without_pictures(monkeypatch)
    config = quick_config("adaptive", **{"adaptive.warmup_epochs": 1})
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    copy = CopyAfter(3, whole, parts)  # As a kill leaves the folder.
    train.train(config, whole, verbose=0, callbacks=[copy])
    summary = train.train(config, parts, verbose=0)
    assert summary == json.loads((parts / "summary.json").read_text())
    assert summary["teacher"]["last"] != summary["student"]["last"]
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
