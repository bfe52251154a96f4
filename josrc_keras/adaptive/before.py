"""Keeps `JoSRC(samples=...)` working, which once made the adaptive model."""

import dataclasses
import warnings

import keras

from josrc_keras.adaptive.model import AdaptiveJoSRC
from josrc_keras.adaptive.rule import TrustRule

# Defaults of the old arguments where `TrustRule` has a different one.
DEFAULTS = {"smoothing": 0.6, "alpha": 0.5, "temperature": 1.0}
OF_THE_RULE = ("judge", "unclean_weight", "tau_ood", *DEFAULTS)
KEPT = ("network", "num_classes", "augmentation", "teacher_views", "teacher_statistics")
# The positional arguments of JoSRC.
NAMES: tuple[str, ...] = ("network", "num_classes", "smoothing", "alpha", "tau_ood")
NAMES += ("scale", "augmentation")
IDLE = ("scale", "relabel", "choices", "consistency_base", "inclusive", "bounded")
# Arguments of the adaptive method that the `get_config()` of every old JoSRC has.
NOT_THE_PAPERS = ("samples", "judge", "mixup", "temperature", "unclean_weight")


def wanted(arguments):
    """Whether these keyword arguments of `JoSRC` ask for the adaptive method."""
    return any(arguments.get(name) is not None for name in ("samples", "num_samples"))


def config_of(config):
    """Turns the config of a `JoSRC` with `samples` into one of an `AdaptiveJoSRC`."""
    values = DEFAULTS | {name: config[name] for name in OF_THE_RULE if name in config}
    rule = config.get("rule") or dataclasses.replace(TrustRule(), **values)
    known = (*KEPT, *OF_THE_RULE, *IDLE, "samples", "num_samples", "mixup", "rule")
    rest = {name: value for name, value in config.items() if name not in known}
    kept = {name: config[name] for name in KEPT if name in config}
    samples = config.get("num_samples") or config.get("samples")
    mixup = config.get("mixup", 0.0)
    return rest | kept | {"num_samples": samples, "mixup": mixup, "rule": rule}


def make(args, kwargs):
    """Makes an `AdaptiveJoSRC` from arguments of `JoSRC`, with a warning.

    Raises:
        TypeError: If an argument is given that would do nothing.
    """
    config = dict(zip(NAMES, args, strict=False)) | kwargs
    idle = [name for name in IDLE if name in config]
    if idle:
        raise TypeError(
            f"The adaptive method does not read {', '.join(idle)}. Received: JoSRC("
            "samples=...) with them. Leave them out."
        )
    warnings.warn(
        "Version 0.2 will not accept JoSRC(samples=...). Use AdaptiveJoSRC(network, "
        "num_classes, num_samples, augmentation=...) instead; the values of "
        "`recipes.adaptive(...).model` are its arguments.",
        FutureWarning,
        stacklevel=3,
    )
    return AdaptiveJoSRC(**config_of(config))


def from_config(config, custom_objects):
    """Makes an `AdaptiveJoSRC` from the `get_config()` of a `JoSRC` with `samples`."""
    config = config_of(config)
    config["rule"] = keras.saving.serialize_keras_object(config["rule"])
    return AdaptiveJoSRC.from_config(config, custom_objects)
