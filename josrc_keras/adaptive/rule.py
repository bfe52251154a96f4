"""Every constant of the adaptive method, in one frozen object."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras

from josrc_keras import _checks, _values, losses, selection
from josrc_keras.adaptive.targets import check_temperature

JUDGES = ("teacher", "student")
UNCLEAN_WEIGHTS = ("confidence", "one", "zero")
AVERAGES = ("probability", "margin")
# Fields that the model's step reads; `LabelTrust` reads the others.
OF_THE_STEP = (
    "smoothing",
    "alpha",
    "judge",
    "leave_one_out",
    "temperature",
    "unclean_weight",
    "tau_ood",
    "forgetting",
    "negative",
)


@keras.saving.register_keras_serializable(package="josrc_keras")
@dataclasses.dataclass(frozen=True)
class TrustRule(_values.TrustValues):
    """How trust in each label is computed, and what a step does with it.

    The defaults were compared with others on held-out noisy labels, which changed the
    temperature alone (benchmarks/choose.py; docs/explanation/how_it_was_chosen.md has
    each comparison). `josrc_keras.adaptive.trust` has the formulas.

    Args:
        smoothing: Smoothing of the given labels (the paper's epsilon, eq. 5), in
            `[0, (C - 1) / C)`.
        alpha: Weight of the consistency term, here the bounded divergence of student
            and teacher, in [0, 1].
        judge: Whose predictions the history holds: the `"teacher"`'s, or the
            `"student"`'s, which are made on blended views.
        temperature: Temperature of the teacher's predictions as targets, positive;
            below 1 they are sharpened, as in MixMatch (Berthelot et al., NeurIPS 2019).
        unclean_weight: How much the teacher's part of a target counts:
            `"confidence"`, by the teacher's largest probability, which is small for
            out-of-distribution images; `"one"`, in full; `"zero"`, not at all.
        tau_ood: The image of a doubted label is out-of-distribution where the teacher's
            largest probability is below this share of its mean over the clean samples
            of the batch, in (0, 1).
        doubt: A label whose trust is at most this, in (0, 1), is doubted.
        warmup_epochs: Number of epochs before labels are doubted, at least 1; None
            takes `warmup_share`. The noise rate needs two epochs.
        warmup_share: Share of the epochs, in (0, 1); the warm-up lasts at least 2 and
            at most 10 epochs.
        memory_epochs: Number of epochs over which predictions are averaged, at least 1;
            None takes `memory_share`.
        memory_share: Share of the epochs, in (0, 1].
        sharpness: Exponent of the likelihood ratio, positive: how decided trust is.
        transitions: Whether to count which classes are taken for which; otherwise all
            wrong labels are equally likely.
        strength: Number of wrong labels of each class, spread evenly over the other
            classes, that counting starts from, positive.
        allowance: What a wrong label may get without being trusted, in [0, 1], as a
            share of what is typical of labels of its class.
        hold: Whether the estimated noise rate no longer falls after `hold_share` of the
            epochs.
        hold_share: Share of the epochs, in (0, 1].
        learnt: Share of the trusted labels that the network must predict for the noise
            rate to be held, in [0, 1].
        average: What is averaged over epochs: the `"probability"` of the given label
            and of the best other class, or their logarithms, whose difference is the
            `"margin"` of the two logits (Pleiss et al., "Identifying Mislabeled Data
            using the Area Under the Margin Ranking", NeurIPS 2020).
        leave_one_out: Whether the labels of the other samples are asked, too: a
            regression on the teacher's features predicts each label without having
            seen it (`josrc_keras.adaptive.leave_one_out`). Both predictions then count
            half, and of the two noise rates the larger. The features, at most 4,096,
            are the inputs of the teacher's last layer. Those of all samples are kept in
            memory, in half precision. A subclassed network gives its logits instead.
        balance: How far the mean trust in the labels of each class is moved to that of
            all labels, in [0, 1]; 1 assumes that every class has as many wrong labels.
        forgetting: Weight of unlearning the given label of a sample, in proportion to
            the doubt in it, at least 0; 0 leaves that out.
        negative: Weight of learning that such a sample is not of one other class, drawn
            at random (negative learning, Kim et al., "NLNL", ICCV 2019), at least 0.
        least_rate: The least noise rate that the formula of trust uses, above 0.
        most_rate: The largest noise rate that it uses, below 1.

    Raises:
        ValueError: If a value is out of range.
    """

    def __post_init__(self) -> None:
        losses.check_alpha(self.alpha)
        selection.check_tau_ood(self.tau_ood)
        check_temperature(self.temperature)
        _checks.check_choice("judge", self.judge, JUDGES)
        _checks.check_choice("unclean_weight", self.unclean_weight, UNCLEAN_WEIGHTS)
        _checks.check_choice("average", self.average, AVERAGES)
        for name in ("warmup_epochs", "memory_epochs"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise ValueError(f"Expected {name} of at least 1. Received: {value}.")
        for name in ("sharpness", "strength"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(
                    f"Expected a positive {name}. Received: {name}={value}."
                )
        for name in ("forgetting", "negative"):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(
                    f"Expected {name} of at least 0. Received: {name}={value}."
                )
        for name in ("allowance", "learnt", "balance"):
            self._check_between(name, 0, 1, closed=(True, True))
        for name in ("memory_share", "hold_share"):
            self._check_between(name, 0, 1, closed=(False, True))
        for name in ("doubt", "warmup_share"):
            self._check_between(name, 0, 1)
        self._check_between("least_rate", 0, self.most_rate)
        self._check_between("most_rate", self.least_rate, 1)
        idle = {
            "memory_share": self.memory_epochs is not None,
            "strength": not self.transitions,
            "hold_share": not self.hold,
            "learnt": not self.hold,
        }
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name, is_idle in idle.items():
            if is_idle and getattr(self, name) != defaults[name]:
                raise ValueError(
                    f"Expected {name} only where it is read. Received: {name}="
                    f"{getattr(self, name)}, beside a rule in which nothing reads it. "
                    "Leave it out."
                )

    def _check_between(self, name, low, high, closed=(False, False)):
        value = getattr(self, name)
        from_low = value >= low if closed[0] else value > low
        to_high = value <= high if closed[1] else value < high
        if not (from_low and to_high):
            left, right = "(["[closed[0]], ")]"[closed[1]]
            raise ValueError(
                f"Expected {name} in {left}{low}, {high}{right}. Received: "
                f"{name}={value}."
            )

    def warmup(self, epochs: int) -> int:
        """Number of epochs before labels are doubted, of `epochs` in all."""
        if self.warmup_epochs is not None:
            return self.warmup_epochs
        return min(max(round(self.warmup_share * epochs), 2), 10)

    def memory(self, epochs: int) -> float:
        """Number of epochs that predictions are averaged over, at least 1."""
        if self.memory_epochs is not None:
            return self.memory_epochs
        return max(self.memory_share * epochs, 1)

    def hold_after(self, epochs: int) -> int:
        """Number of epochs after which the noise rate may be held.

        It is at least the warm-up. Until then few wrong labels are learnt by heart.
        """
        by_share = min(max(round(self.warmup_share * epochs), 2), 10)
        return max(round(self.hold_share * epochs), by_share, self.warmup(epochs))

    def differing(self, other: Self, fields: Sequence[str]) -> list[str]:
        """The fields in which `other` has another value, as `name=value`."""
        return [
            f"{name}={getattr(self, name)!r}"
            for name in fields
            if getattr(self, name) != getattr(other, name)
        ]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes a rule from `get_config()`."""
        return cls(**config)
