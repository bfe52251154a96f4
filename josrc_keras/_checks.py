"""What training refuses at the start, and what it must not run on through."""

import importlib

import keras
import numpy as np
from absl import logging
from keras import ops

RUNAWAY = -1.0  # Bits; in the runs on digits that did not collapse it is positive.


def check_backend(*supported):
    """Raises a `RuntimeError` unless Keras's backend is one of `supported`."""
    backend = keras.backend.backend()
    if backend not in supported:
        raise RuntimeError(
            f"This model trains on the backends {' and '.join(supported)}. Received: "
            f"the backend {backend!r}. Set the environment variable "
            f"KERAS_BACKEND={supported[0]} before Keras is imported."
        )


def check_augmentation(augmentation):
    """Returns `augmentation`; raises a `TypeError` unless it is None or a layer."""
    if augmentation is not None and not isinstance(augmentation, keras.Layer):
        raise TypeError(
            "Expected `augmentation` as a keras.Layer (or None), so that the model can "
            f"be saved with it. Received: {augmentation!r}. Use "
            "`views.crop_and_flip()`, or a keras.Sequential of random layers."
        )
    return augmentation


def check_choice(name, value, choices):
    """Returns `value`; raises a `ValueError` unless it is one of `choices`."""
    if value not in choices:
        raise ValueError(f"Expected {name} as one of {choices}. Received: {value!r}.")
    return value


def imported(module, use, extra):
    """An optional module; raises an `ImportError` that says how to install it.

    Args:
        module: Its name.
        use: What it is needed for, the start of a sentence.
        extra: The extra of this package that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{use}, which is not installed. Run `pip install josrc-keras[{extra}]`."
        ) from error


def with_required_callbacks(callbacks, required):
    """Checks that somebody sets the model's thresholds and teacher; adds the guard.

    A callback says which of the model's variables it sets in its attribute `controls`.

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


def check_true_labels(true_labels):
    """Returns `true_labels`; raises a `ValueError` if there are none."""
    if true_labels is None:
        raise ValueError(
            "SelectionMonitor compares verdicts with the truth. Received: data "
            "without true labels. Yield labels as {'label', 'true_label'}, or leave "
            "the callback out."
        )
    return true_labels


class FiniteLoss(keras.callbacks.Callback):
    """Stops when the loss or a weight is NaN or infinite; warns when eq. 9 runs away.

    A sample whose likelihood is NaN is never selected, so without this a broken
    network would train on in silence.

    Args:
        interval: Batches between two looks. The metrics are means over the epoch so
            far, so that nothing is missed in between.

    Raises:
        FloatingPointError: With the epoch, the batch and what to do.
    """

    WATCHED = ("loss", "clean_likelihood")

    def __init__(self, interval=20):
        super().__init__()
        self.interval = interval
        self.epoch = 0
        self.looked = None
        self.pending = None
        self.warned = False

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers the epoch for the message."""
        self.epoch = epoch
        self.looked = None
        self.pending = None

    def on_train_batch_end(self, batch, logs=None):
        """Looks once in `interval` batches; an execution may run several.

        It looks at what the device has computed by then, the numbers of the look
        before, so that the device never waits for the host.
        """
        if batch // self.interval != self.looked:
            self.looked = batch // self.interval
            if self.pending is not None:
                self._check(*self.pending)
            self.pending = f"epoch {self.epoch + 1}, by batch {batch + 1}", logs

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the whole epoch, and at the weights.

        oneDNN's ReLU after batch normalisation makes 0 of NaN, so that weights can be
        NaN behind a loss that is not.
        """
        self._check(f"epoch {epoch + 1}", logs)
        broken = [
            weight.path
            for network in self.model.trained_networks()
            for weight in network.weights
            if "float" in weight.dtype and not bool(ops.all(ops.isfinite(weight)))
        ]
        self._fail_if(broken, f"epoch {epoch + 1}", f"weights: {broken[:3]}")
        consistency = float((logs or {}).get("consistency_loss", 0.0))
        if consistency < RUNAWAY and not self.warned:
            self.warned = True
            logging.warning(
                "The out-of-distribution term of eq. 9 has no lower bound and runs "
                "away: consistency_loss is %.1f in epoch %d. The network is being "
                "trained to contradict itself. Lower alpha or the learning rate.",
                consistency,
                epoch + 1,
            )

    def _check(self, when, logs):
        values = {name: float(logs[name]) for name in self.WATCHED if name in logs}
        broken = not all(np.isfinite(value) for value in values.values())
        self._fail_if(broken, when, values)

    def _fail_if(self, broken, when, found):
        if broken:
            raise FloatingPointError(
                f"Training broke down in {when}. Received: {found}. Expected finite "
                "numbers. Lower the learning rate or clip gradients (`clipnorm`), and "
                "look for NaN pixels and labels out of range in the data."
            )
