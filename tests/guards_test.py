"""FiniteLoss, and the checks at the start of `fit`."""

import keras
import numpy as np
import pytest

from josrc_keras import JoSRC, guards, networks
from josrc_keras.callbacks import CleanThreshold, MeanTeacher


def test_training_that_breaks_down_stops(make_digits_model, digits):
    """An infinite learning rate gives NaN; the error names the batch and the fix."""
    model = make_digits_model(keras.optimizers.SGD(1e30))
    with pytest.raises(
        FloatingPointError, match=r"epoch [12], by batch \d+.*Lower the learning rate"
    ):
        model.fit(
            digits.x,
            digits.y,
            batch_size=4,
            epochs=3,
            callbacks=[CleanThreshold(warmup_epochs=0), MeanTeacher()],
            verbose=0,
        )


def watched(batch, logs, interval=20):
    guard = guards.FiniteLoss(interval)
    guard.on_epoch_begin(2)
    guard.on_train_batch_end(0, {"loss": 1.0})
    guard.on_train_batch_end(batch, logs)
    return guard


@pytest.mark.parametrize("name", ["loss", "clean_likelihood"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_looks_at_loss_and_likelihood(name, value):
    """At batches 0, 20, 40; the message counts from 1."""
    logs = {"loss": 1.0, "clean_likelihood": 0.5, name: value}
    with pytest.raises(FloatingPointError, match=f"epoch 3, by batch 21.*{value}"):
        watched(20, logs)
    watched(19, logs)  # Not looked at, to spare the device.
    with pytest.raises(FloatingPointError, match=r"epoch 8\. Received"):
        guards.FiniteLoss().on_epoch_end(7, logs)


def test_other_metrics_may_be_anything():
    """It looked (at batch 20, the second of its looks) and went on."""
    for logs in ({"loss": 1.0, "mine": np.nan}, {}):
        assert watched(20, logs).looked == 1


def test_looks_though_an_execution_runs_many_batches():
    """With eight batches an execution the index is 7, 15, 23, ...: it looks at 23."""
    with pytest.raises(FloatingPointError, match="by batch 24"):
        watched(23, {"loss": np.nan})


def test_missing_callbacks_are_named(make_digits_model, digits):
    """Which are missing, which were given, and a line to paste."""
    model = make_digits_model()
    with pytest.raises(
        ValueError, match=r"callbacks=\['CleanThreshold'\].*Add MeanTeacher\(decay="
    ):
        model.fit(digits.x, digits.y, callbacks=CleanThreshold())
    with pytest.raises(
        ValueError, match=r"callbacks=\[\].*Add CleanThreshold\(.*MeanTeacher\("
    ):
        model.fit(digits.x, digits.y)


def test_every_kind_of_callbacks_gets_the_guard():
    """None, one, a list, and a `CallbackList` get a FiniteLoss."""
    own = keras.callbacks.Callback()
    for callbacks in (None, own, [own], keras.callbacks.CallbackList([own])):
        result = guards.with_required_callbacks(callbacks, {})
        result = getattr(result, "callbacks", result)
        kinds = [type(callback) for callback in result]
        assert kinds.count(guards.FiniteLoss) == 1
        assert (own in result) == (callbacks is not None)


def test_choice():
    assert guards.check_choice("colour", "red", ("red", "blue")) == "red"
    with pytest.raises(ValueError, match=r"colour as one of .*blue.*Received: 'green'"):
        guards.check_choice("colour", "green", ("red", "blue"))


def test_another_backend_is_refused(monkeypatch):
    """When the model is built, not at some later step."""
    network = networks.digits_cnn(4)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(
        RuntimeError, match=r"tensorflow and jax\. Received: the backend 'torch'\. Set"
    ):
        JoSRC(network, 4, smoothing=0.3)
