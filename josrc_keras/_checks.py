"""Checks of the backend, of arguments and of optional packages."""

import importlib

import keras


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


def duration(seconds):
    """A number of seconds as a text for a person, such as `"12 min"`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def imported(module, use, extra):
    """Imports an optional module; an `ImportError` says how to install it.

    Args:
        module: Name of the module.
        use: What needs it: the message's start, such as "An audit needs pandas".
        extra: The extra of this package that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{use}, which is not installed. Run `pip install josrc-keras[{extra}]`."
        ) from error


def check_true_labels(true_labels):
    """Returns `true_labels`; raises a `ValueError` if there are none."""
    if true_labels is None:
        raise ValueError(
            "SelectionMonitor compares verdicts with the truth. Received: data "
            "without true labels. Yield labels as {'label', 'true_label'}, or leave "
            "the callback out."
        )
    return true_labels
