"""The methods that `config.method` can name.

A new method is a file in `baselines/`, an entry here, and a test.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from josrc_keras import baselines
from josrc_keras.adaptive import AdaptiveJoSRC, TrustRule, values
from josrc_keras.callbacks import (
    CleanThreshold,
    CorrectLabels,
    Divide,
    ForgetRate,
    LabelTrust,
    MeanTeacher,
    VerdictHistory,
)
from josrc_keras.data import batches
from josrc_keras.data.batches import balance
from josrc_keras.model import Choices, JoSRC
from josrc_keras.runs import corrections, verification


def _nothing(config):
    return {}


def _no_callbacks(config, train, path):
    return []


def _forget(config, train, path):
    """Tells a small-loss method the noise rate, by default the true one."""
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


def _josrc_arguments(config):
    fields = config.model.to_dict()
    names = [field.name for field in dataclasses.fields(Choices)]
    choices = Choices(**{name: fields.pop(name) for name in names})
    return fields | {"choices": choices}


def _josrc_callbacks(config, train, path):
    threshold = CleanThreshold(**config.threshold)
    return [threshold, MeanTeacher(**config.teacher), VerdictHistory(len(train), path)]


def _adaptive_arguments(config):
    """Arguments of the model, but for the number of samples."""
    names = [field.name for field in dataclasses.fields(TrustRule)]
    return {
        "rule": TrustRule(**{name: config.adaptive[name] for name in names}),
        "mixup": config.adaptive.mixup,
        "student_views": config.adaptive.student_views,
        "teacher_views": config.model.teacher_views,
        "teacher_statistics": config.model.teacher_statistics,
    }


def _adaptive_callbacks(config, train, path):
    decay = config.adaptive.teacher_decay
    if decay is None:
        images, balanced = len(train), balance_of(config)
        if balanced:
            limit = balance.limit_of(train.labels, balanced)
            images = balance.epoch_size(train.labels, limit)
        decay = values.teacher_decay(
            images, config.batch_size, epochs=config.adaptive.teacher_epochs
        )
    teacher = config.teacher.to_dict() | {"decay": decay}
    trust = LabelTrust(len(train), path, rate=config.adaptive.rate)
    return [trust, MeanTeacher(**teacher)]


EVALUATED_TOGETHER = 256  # Images of a batch of an evaluation pass.
OF_DIVIDE = ("warmup_epochs", "unlabelled_weight", "ramp_epochs", "memory_epochs")


def _in_order(train):
    """A function that returns the training batches in the order of the samples."""
    size = min(EVALUATED_TOGETHER, len(train))
    return lambda: batches.evaluation_batches(train, batch_size=size)


def _dividemix_arguments(config):
    fields = config.dividemix.to_dict()
    return {name: each for name, each in fields.items() if name not in OF_DIVIDE}


def _dividemix_callbacks(config, train, path):
    fields = {name: config.dividemix[name] for name in OF_DIVIDE}
    most = max(config.epochs // 3, 1)
    fields["warmup_epochs"] = min(fields["warmup_epochs"], most)
    return [Divide(_in_order(train), **fields)]


def _deepself_callbacks(config, train, path):
    fields = config.deepself.to_dict()
    del fields["alpha"]
    return [CorrectLabels(_in_order(train), **fields, seed=config.seed)]


def _mlnt_arguments(config):
    fields = config.mlnt.to_dict()
    ramp = fields.pop("ramp_start"), fields.pop("ramp_end")
    return fields | {"ramp": ramp}


def group_of(config):
    """The argument `group` of `data.batches`, from a configuration."""
    return config.meta_cleaner.group if config.method == "meta_cleaner" else 1


def balance_of(config):
    """The argument `balanced` of `data.batches`, from a configuration."""
    if not config.data.balanced:
        return False
    return config.data.samples_per_class or True


class Method(NamedTuple):
    """How a method is made from a configuration.

    Attributes:
        model: Class of the method.
        title: Name of the method in tables.
        arguments: A function of the configuration that returns further arguments of
            the class, as a dict.
        callbacks: A function of the configuration, the training `data.Split` and the
            path for the history of its samples. It returns the callbacks that the
            method requires. Methods that need a noise rate are told the split's true
            share of wrong labels, where it is known and no rate is configured.
        told: Whether the method is told the noise rate.
        sorts: Whether the method sorts samples, so that they can be audited.
        remembers: Whether the class takes the number of training images, as
            `num_samples`.
        reads: Beginnings of the names of fields in `SECTIONS` that the method reads.
        on_cifar: Whether the paper's Tables 1 and 2 have the method, and not only its
            Tables 3 and 4.
    """

    model: Any
    title: str
    arguments: Callable = _nothing
    callbacks: Callable = _no_callbacks
    told: bool = False
    sorts: bool = False
    remembers: bool = False
    reads: tuple = ()
    on_cifar: bool = True


# Sections of a configuration that only some methods read.
SECTIONS: tuple = ("adaptive.", "model.", "threshold.", "teacher.", "forget.", "jocor.")
SECTIONS += corrections.SECTIONS
SECTIONS += ("dividemix.", "mlnt.", "meta_cleaner.", "deepself.", "cleannet.")
METHODS = {
    "standard": Method(baselines.Standard, "ordinary training"),
    "decoupling": Method(baselines.Decoupling, "Decoupling"),
    "coteaching": Method(
        baselines.CoTeaching,
        "Co-teaching",
        reads=("forget.rate", "forget.warmup_epochs"),
        callbacks=_forget,
        told=True,
    ),
    "coteaching_plus": Method(
        baselines.CoTeachingPlus,
        "Co-teaching+",
        reads=("forget.",),
        callbacks=_forget,
        told=True,
    ),
    "jocor": Method(
        baselines.JoCoR,
        "JoCoR",
        lambda config: {"co_lambda": config.jocor.co_lambda},
        reads=("forget.rate", "forget.warmup_epochs", "jocor."),
        callbacks=_forget,
        told=True,
    ),
    "f_correction": Method(
        baselines.FCorrection,
        "F-correction",
        callbacks=corrections.f_correction_callbacks,
        reads=("f_correction.",),
        on_cifar=False,
    ),
    "dividemix": Method(
        baselines.DivideMix,
        "DivideMix",
        _dividemix_arguments,
        _dividemix_callbacks,
        remembers=True,
        sorts=True,
        reads=("dividemix.",),
        on_cifar=False,
    ),
    "m_correction": Method(
        baselines.MCorrection,
        "M-correction",
        corrections.m_correction_arguments,
        corrections.m_correction_callbacks,
        sorts=True,
        reads=("m_correction.",),
        on_cifar=False,
    ),
    "joint_optim": Method(
        baselines.JointOptim,
        "Joint-Optim",
        corrections.joint_optim_arguments,
        corrections.joint_optim_callbacks,
        remembers=True,
        sorts=True,
        reads=("joint_optim.",),
        on_cifar=False,
    ),
    "pencil": Method(
        baselines.Pencil,
        "PENCIL",
        corrections.pencil_arguments,
        corrections.pencil_callbacks,
        remembers=True,
        sorts=True,
        reads=("pencil.",),
        on_cifar=False,
    ),
    "mlnt": Method(
        baselines.MLNT,
        "Meta-Learning",
        _mlnt_arguments,
        lambda config, train, path: [MeanTeacher(**config.teacher)],
        reads=("mlnt.", "teacher."),
        on_cifar=False,
    ),
    "meta_cleaner": Method(
        baselines.MetaCleaner,
        "Meta-Cleaner",
        lambda config: config.meta_cleaner.to_dict(),
        reads=("meta_cleaner.",),
        on_cifar=False,
    ),
    "deepself": Method(
        baselines.DeepSelf,
        "DeepSelf",
        lambda config: {"alpha": config.deepself.alpha},
        _deepself_callbacks,
        remembers=True,
        sorts=True,
        reads=("deepself.",),
        on_cifar=False,
    ),
    "cleannet_hard": Method(
        baselines.CleanNet,
        "CleanNet hard, told verified labels",
        verification.cleannet_arguments("hard"),
        verification.cleannet_callbacks,
        remembers=True,
        sorts=True,
        reads=("cleannet.",),
        on_cifar=False,
    ),
    "cleannet": Method(
        baselines.CleanNet,
        "CleanNet soft, told verified labels",
        verification.cleannet_arguments("soft"),
        verification.cleannet_callbacks,
        remembers=True,
        sorts=True,
        reads=("cleannet.",),
        on_cifar=False,
    ),
    "josrc": Method(
        JoSRC,
        "Jo-SRC",
        _josrc_arguments,
        _josrc_callbacks,
        sorts=True,
        reads=("model.", "threshold.", "teacher."),
    ),
    "josrc_adaptive": Method(
        AdaptiveJoSRC,
        "Jo-SRC",
        _adaptive_arguments,
        _adaptive_callbacks,
        sorts=True,
        reads=("adaptive.", "teacher.", "model.teacher_"),
    ),
}
JOSRC = ("josrc", "josrc_adaptive")
COMPARED = tuple(name for name in METHODS if name not in JOSRC)  # The other methods.
# The paper's Tables 1 and 2 have these.
ON_CIFAR = tuple(name for name in COMPARED if METHODS[name].on_cifar)
