"""Checks of arguments that many modules share."""

import keras
import pytest

from josrc_keras import JoSRC, _checks, networks


def test_choice():
    assert _checks.check_choice("colour", "red", ("red", "blue")) == "red"
    with pytest.raises(ValueError, match=r"colour as one of .*blue.*Received: 'green'"):
        _checks.check_choice("colour", "green", ("red", "blue"))


def test_another_backend_is_refused(monkeypatch):
    """When the model is built, not at some later step."""
    network = networks.digits_cnn(4)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(
        RuntimeError, match=r"tensorflow and jax\. Received: the backend 'torch'\. Set"
    ):
        JoSRC(network, 4, smoothing=0.3)
