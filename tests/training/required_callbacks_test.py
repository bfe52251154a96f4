"""Callbacks that `fit` must be given, and the guard that it adds."""

import keras
import pytest

from josrc_keras.callbacks import CleanThreshold
from josrc_keras.training import finite_loss, required_callbacks


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
        result = required_callbacks.with_required_callbacks(callbacks, {})
        result = getattr(result, "callbacks", result)
        kinds = [type(callback) for callback in result]
        assert kinds.count(finite_loss.FiniteLoss) == 1
        assert (own in result) == (callbacks is not None)
