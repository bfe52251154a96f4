"""The methods that a configuration can name: `config.method`.

A new one is a file in `baselines/`, an entry here, and a test.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from josrc_keras import baselines
from josrc_keras.callbacks import CleanThreshold, ForgetRate, MeanTeacher
from josrc_keras.model import JoSRC


def _nothing(config):
    return {}


def _no_callbacks(config, wrong_share):
    return []


def _forget(config, wrong_share):
    """Tells a small-loss method the noise rate: the true one, if none is given."""
    fields = config.forget.to_dict()
    if fields["rate"] is None and wrong_share is None:
        raise ValueError(
            f"config.method={config.method} has to be told how many labels are wrong. "
            "Received: config.forget.rate=None, and data whose truth is not known. "
            "Set config.forget.rate, or use config.method=josrc."
        )
    if fields["rate"] is None:
        fields["rate"] = wrong_share
    return [ForgetRate(**fields)]


def _josrc_callbacks(config, wrong_share):
    return [CleanThreshold(**config.threshold), MeanTeacher(**config.teacher)]


class Method(NamedTuple):
    """How a method is made from a configuration.

    Attributes:
        model: Its class.
        title: Its name in tables.
        arguments: Function of the configuration that returns further arguments of the
            class.
        callbacks: Function of the configuration and the true share of wrong labels,
            or None, that returns the callbacks it requires.
        told: Whether it is told the noise rate.
        sorts: Whether it sorts samples, so that they can be audited.
    """

    model: Any
    title: str
    arguments: Callable = _nothing
    callbacks: Callable = _no_callbacks
    told: bool = False
    sorts: bool = False


METHODS = {
    "standard": Method(baselines.Standard, "ordinary training"),
    "decoupling": Method(baselines.Decoupling, "Decoupling"),
    "coteaching": Method(
        baselines.CoTeaching, "Co-teaching", callbacks=_forget, told=True
    ),
    "coteaching_plus": Method(
        baselines.CoTeachingPlus, "Co-teaching+", callbacks=_forget, told=True
    ),
    "jocor": Method(
        baselines.JoCoR,
        "JoCoR",
        lambda config: {"co_lambda": config.jocor.co_lambda},
        _forget,
        told=True,
    ),
    "josrc": Method(
        JoSRC,
        "Jo-SRC",
        lambda config: config.model.to_dict(),
        _josrc_callbacks,
        sorts=True,
    ),
}
