"""Checks that callbacks set the variables that a model's step reads."""

import keras

from josrc_keras.training.finite_loss import FiniteLoss


def with_required_callbacks(callbacks, required):
    """Checks that callbacks set the required variables, and adds a `FiniteLoss`.

    The attribute `controls` of a callback names the variable of the model that it sets.

    Args:
        callbacks: What `fit` got: None, a callback, a list, or a `CallbackList`.
        required: Dict from a variable's name to an example of a callback for it.

    Returns:
        A list, or the same `CallbackList`, with a `FiniteLoss` in it.

    Raises:
        ValueError: If a required variable has no callback.
    """
    if callbacks is None:
        callbacks = []
    if isinstance(callbacks, keras.callbacks.Callback) and not isinstance(
        callbacks, keras.callbacks.CallbackList
    ):
        callbacks = [callbacks]
    is_container = isinstance(callbacks, keras.callbacks.CallbackList)
    present = callbacks.callbacks if is_container else list(callbacks)
    controlled = {getattr(callback, "controls", None) for callback in present}
    missing = [call for name, call in required.items() if name not in controlled]
    if missing:
        names = [type(callback).__name__ for callback in present]
        raise ValueError(
            f"`fit` needs the callbacks that set {' and '.join(required)}. Received: "
            f"callbacks={names}. Add {' and '.join(missing)} from "
            "josrc_keras.callbacks."
        )
    if is_container:
        if not any(isinstance(callback, FiniteLoss) for callback in present):
            guard = FiniteLoss()
            guard.set_params(callbacks.params)
            guard.set_model(present[0].model)
            present.insert(0, guard)
        return callbacks
    return [FiniteLoss(), *present]


def check_controlled(callback):
    """Raises a `TypeError` unless the callback's model has what it controls."""
    if not hasattr(callback.model, callback.controls):
        raise TypeError(
            f"{type(callback).__name__} sets `{callback.controls}` of a model. "
            f"Received: a {type(callback.model).__name__}. Leave the callback out."
        )
