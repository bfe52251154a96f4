"""The methods that a configuration can name: `config.method`.

A new one is a file in `baselines/`, an entry here, and a test.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from josrc_keras import _checks, baselines, recipes
from josrc_keras.adaptive import values
from josrc_keras.callbacks import (
    CleanThreshold,
    ForgetRate,
    LabelTrust,
    MeanTeacher,
    VerdictHistory,
)
from josrc_keras.data.batches import balance
from josrc_keras.model import JoSRC


def _nothing(config):
    return {}


def _no_callbacks(config, train, path):
    return []


def _forget(config, train, path):
    """Tells a small-loss method the noise rate: the true one, if none is given."""
    fields, wrong_share = config.forget.to_dict(), None
    if train.true_labels is not None:
        wrong_share = float((train.labels != train.true_labels).mean())
    if fields["rate"] is None and wrong_share is None:
        raise ValueError(
            f"config.method={config.method} has to be told how many labels are wrong. "
            "Received: config.forget.rate=None, and data whose truth is not known. "
            "Set config.forget.rate, or use config.method=josrc."
        )
    if fields["rate"] is None:
        fields["rate"] = wrong_share
    return [ForgetRate(**fields)]


def trusts(config):
    """Whether a configuration is of Jo-SRC that trusts labels by their history."""
    # A run of before this field has none.
    choices = ("threshold", "trust")
    selection = config.get("selection", "threshold")
    _checks.check_choice("config.selection", selection, choices)
    return config.method == "josrc" and selection == "trust"


TRUSTING = (*recipes.ADAPTIVE, "mixup")  # Arguments of the model in `config.trust`.
SHARED = ("tau_ood", "teacher_views", "teacher_statistics")  # Of `config.model`.


def check_effective(config, names):
    """Refuses fields that the configuration's selection does not read.

    Args:
        config: A configuration.
        names: Dotted names of fields that somebody set.

    Raises:
        ValueError: If one of them says nothing.
    """
    if config.method != "josrc":
        return
    if trusts(config):
        idle = [
            name
            for name in names
            if name.startswith(("threshold.", "model."))
            and name not in {f"model.{field}" for field in SHARED}
        ]
        idle += [name for name in names if name == "teacher.decay"]
        fix = "Set those of config.trust, or take the recipe: --config=NAME:paper."
    else:
        idle = [name for name in names if name.startswith("trust.")]
        fix = "Set config.selection=trust, or take the recipe adaptive."
    if idle:
        raise ValueError(
            f"Expected fields that config.selection={config.selection} reads. "
            f"Received: {', '.join(idle)}, of another. {fix}"
        )


def _josrc_arguments(config):
    """Arguments of the model, but for the number of samples."""
    if not trusts(config):
        return config.model.to_dict()
    arguments = {name: config.model[name] for name in SHARED}
    return arguments | {name: config.trust[name] for name in TRUSTING}


def _josrc_callbacks(config, train, path):
    teacher = config.teacher.to_dict()
    if not trusts(config):
        threshold = CleanThreshold(**config.threshold)
        return [threshold, MeanTeacher(**teacher), VerdictHistory(len(train), path)]
    fields = config.trust.to_dict()
    for name in TRUSTING:
        fields.pop(name)
    teacher["decay"] = fields.pop("decay")
    if teacher["decay"] is None:
        images, balanced = len(train), balance.of(config)
        if balanced:
            limit = balance.limit_of(train.labels, balanced)
            images = balance.epoch_size(train.labels, limit)
        teacher["decay"] = values.teacher_decay(images, config.batch_size)
    return [LabelTrust(len(train), path, **fields), MeanTeacher(**teacher)]


class Method(NamedTuple):
    """How a method is made from a configuration.

    Attributes:
        model: Its class.
        title: Its name in tables.
        arguments: Function of the configuration that returns further arguments of the
            class.
        callbacks: Function of the configuration, the training `data.Split` (whose true
            share of wrong labels, if it is known, is told to the methods that need it)
            and the path for the history of its samples, that returns the callbacks
            that it requires.
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
        _josrc_arguments,
        _josrc_callbacks,
        sorts=True,
    ),
}
