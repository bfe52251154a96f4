"""How far each label is trusted, from the predictions of earlier epochs."""

import dataclasses
import os
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from absl import logging

from josrc_keras.adaptive import leave_one_out, trust
from josrc_keras.adaptive import memory as memories
from josrc_keras.adaptive.rule import AVERAGES, OF_THE_STEP, TrustRule
from josrc_keras.callbacks.verdict_history import VerdictHistory
from josrc_keras.samples import findings
from josrc_keras.training import required_callbacks

NOT_HELD = -1.0  # The least noise rate as long as none is held.
# Old arguments of the callback that are now fields of the rule.
MOVED = (
    "warmup_epochs",
    "memory_epochs",
    "sharpness",
    "transitions",
    "allowance",
    "hold",
)


class LabelTrust(VerdictHistory):
    """Sets `label_trust` of an `AdaptiveJoSRC` after every epoch.

    `josrc_keras.adaptive.trust` has the formulas. The callback need not be told the
    noise rate. It estimates one, which every epoch reports as `noise_rate`, 0 in the
    warm-up. This working estimate is usually too low (results/robustness/README.md
    compares both). Use `josrc_keras.audit.summarise` for the real noise rate. The
    callback is also a `VerdictHistory`.

    To resume training it needs its state, which `RunCheckpoint(carried=[...])` keeps.
    Without it the callback warns, and keeps the trust that the model holds for as long
    as a warm-up.

    Args:
        count: Number of samples; may be None where `fit` gets arrays.
        path: File to write the history to after every epoch (`.npz`), or None.
        rate: The share of wrong labels, in [0, 1], where it is known; None estimates
            it.
        rule: A `TrustRule`; None takes the model's. Fields that the model's step reads
            must equal those of the model's rule.
        **fields: Fields of the rule that the callback once took as arguments. They make
            it warn.

    Attributes:
        noise_rate: The newest estimate, in [0, 1]; None during the warm-up.

    Raises:
        TypeError: If an argument is unknown.
        ValueError: If an argument is out of range.
    """

    controls = "label_trust"

    def __init__(
        self,
        count: int | None = None,
        path: str | os.PathLike | None = None,
        *,
        rate: float | None = None,
        rule: TrustRule | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(count, path)
        if rate is not None and not 0 <= rate <= 1:
            raise ValueError(f"Expected a rate in [0, 1]. Received: rate={rate}.")
        unknown = set(fields) - set(MOVED)
        if unknown:
            raise TypeError(
                f"LabelTrust has no such arguments. Received: {sorted(unknown)}. "
                "Expected: count, path, rate and rule."
            )
        if fields:
            given = ", ".join(f"{name}={value!r}" for name, value in fields.items())
            warnings.warn(
                f"Version 0.2 will not accept LabelTrust({given}). Pass "
                f"rule=TrustRule({given}) to AdaptiveJoSRC instead.",
                FutureWarning,
                stacklevel=2,
            )
            dataclasses.replace(trust.RULE, **fields)  # This checks the values.
        self.rate = rate
        self._given_rule, self._fields = rule, fields
        self.noise_rate: Any = None
        self._memory: Any = None
        self._newest: dict = {}
        self._stable = np.zeros(0, bool)
        self._least_rate = NOT_HELD
        self._first_epoch = 0  # The first epoch in the memory.
        self._average: str | None = None  # What the memory averages.
        self._others: Any = None  # What the other samples' labels say, if asked.
        self._epoch = 0

    @property
    def rule(self) -> TrustRule:
        """The `TrustRule` that the callback follows."""
        return dataclasses.replace(self._given_rule or self.model.rule, **self._fields)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the model, and continues from the state so far.

        Raises:
            TypeError: If the model has no `label_trust`.
            ValueError: If the model is for a different number of samples, or its rule
                differs in what a step reads.
        """
        required_callbacks.check_controlled(self)
        super().on_train_begin()
        if self.model.num_samples != self._samples:
            raise ValueError(
                f"Expected a dataset of {self.model.num_samples} samples, as in "
                f"AdaptiveJoSRC(num_samples=...). Received: {self._samples}. Make the "
                "model for as many as it is trained on."
            )
        differing = self.rule.differing(self.model.rule, OF_THE_STEP)
        if differing:
            raise ValueError(
                "Expected the rule of LabelTrust to agree with the model's in what a "
                f"step reads. Received: {', '.join(differing)}. Pass the rule to "
                "AdaptiveJoSRC alone."
            )
        warmup, epochs = self.warmup(), self.params["epochs"]
        if warmup >= epochs:
            logging.warning(
                "The warm-up of %d epochs does not end within %d epochs: no label is "
                "ever doubted.",
                warmup,
                epochs,
            )
        self.model.tau_clean.assign(self.rule.doubt)
        self.model.joint.assign(1.0)

    def warmup(self) -> int:
        """Number of epochs after which labels are first doubted."""
        return self.rule.warmup(self.params["epochs"])

    def memory_decay(self) -> float:
        """Weight of an epoch in the memory, relative to the one after it, in [0, 1)."""
        return 1.0 - 1.0 / self.rule.memory(self.params["epochs"])

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the memory where training starts; sets the trust of this epoch.

        Raises:
            ValueError: If the state is of another `average` or `leave_one_out`.
        """
        super().on_epoch_begin(epoch, logs)
        self._epoch = epoch
        if self._memory is None or epoch == 0:
            if epoch:
                logging.warning(
                    "LabelTrust starts in epoch %d without what it knew of the samples:"
                    " it keeps the trust that the model holds for %d epochs. Carry its "
                    "state: RunCheckpoint(..., carried=[label_trust]).",
                    epoch + 1,
                    self.warmup(),
                )
            self._first_epoch = epoch
            self._memory = memories.Memory(self._samples)
            self._newest = memories.nothing(self._samples)
            self._stable = np.zeros(self._samples, bool)
            self._least_rate, self._average = NOT_HELD, self.rule.average
            asked = self.rule.leave_one_out
            self._others = leave_one_out.OtherSamples(self._samples) if asked else None
        before = {"average": self._average, "leave_one_out": self._others is not None}
        for name, value in before.items():
            if (now := getattr(self.rule, name)) != value:
                raise ValueError(
                    f"Expected a rule with {name}={value!r}, as in the state that "
                    f"training goes on from. Received: {now!r}. Pass the rule of "
                    "before, or start anew."
                )
        self.model.label_trust.assign(self.trust())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the epoch's predictions to the memory; reports the noise rate."""
        super().on_epoch_end(epoch, logs)
        self.model.label_trust.assign(self.trust(epoch + 1))
        if logs is not None:
            logs["noise_rate"] = self.noise_rate or 0.0

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Warns if more labels are doubted than can be wrong; removes the table."""
        trusted = keras.ops.convert_to_numpy(self.model.label_trust)
        doubted = float((trusted <= self.rule.doubt).mean())
        classes = self.model.num_classes
        # Labels drawn at random would be right for one sample in C.
        if doubted > min(1 - 1 / classes, self.rule.most_rate):
            logging.warning(
                "%.0f%% of the labels are doubted, which is more than labels drawn at "
                "random would deserve. The training was too short, or the network "
                "learns nothing of these images: don't use the verdicts. Train for "
                "more epochs, or with another learning rate.",
                100 * doubted,
            )
        super().on_train_end(logs)

    def trust(self, epochs_done: int | None = None) -> np.ndarray:
        """The trust in each label.

        Args:
            epochs_done: Number of epochs that are done; None takes those before the
                present epoch.

        Returns:
            `(N,)` float32 in [0, 1]; 1 during the warm-up and for samples never seen.
        """
        if epochs_done is None:
            epochs_done = self._epoch
        memory = self._memory
        if epochs_done - self._first_epoch < self.warmup() or not memory.seen.any():
            self.noise_rate = None
            if self._first_epoch:
                return keras.ops.convert_to_numpy(self.model.label_trust)
            return np.ones(self._samples, "float32")
        given, other, known = self._mean("given"), self._mean("other"), memory.seen
        seen = given[known], other[known]
        self.noise_rate = self.rate
        if self.rate is None:
            self.noise_rate = self._estimate(*seen, epochs_done)
        labels, classes = self._labels(), self.model.num_classes
        least = trust.least_of_class(
            *seen, labels[known], self.noise_rate, classes, self.rule
        )
        trusted = trust.label_trust(
            given,
            other,
            self.noise_rate,
            self._flips(given, other, known),
            classes,
            least[labels],
            self.rule,
            self._of_others(labels),
        )
        trusted[known] = trust.balanced(
            trusted[known], labels[known], classes, self.rule.balance
        )
        return np.where(known, trusted, 1.0).astype("float32")

    def _mean(self, name):
        """`(N,)` average probability of the memory, the geometric one of margins."""
        mean = self._memory.mean(name)
        if self.rule.average == "margin":
            return np.where(self._memory.seen, np.exp(mean), 0.0)
        return mean

    def _estimate(self, given, other, epochs_done):
        """The noise rate, estimated from the samples that were seen."""
        known = self._memory.seen
        stable = self._stable[known]
        # A single view of each image is compared with its view of the epoch before.
        consistent = stable
        if self.model.judges_by_two_views:
            consistent = self._newest["consistent"][known]
        rate = trust.noise_rate(given, other, stable, consistent)
        rule = self.rule
        late = epochs_done >= rule.hold_after(self.params["epochs"])
        learnt = trust.learnt(given, other, rate, rule) >= rule.learnt
        if rule.hold and late and learnt and self._least_rate == NOT_HELD:
            self._least_rate = rate
        asked = 0.0 if self._others is None else self._others.noise_rate()
        return max(rate, self._least_rate, asked)

    def _flips(self, given, other, seen):
        """`(N,)`: how likely a wrong label on each image is the given one."""
        classes = self.model.num_classes
        if not self.rule.transitions:
            return 1.0 / (classes - 1)
        labels = self._labels()
        others = self._newest["other_class"].astype(int)
        matrix = trust.transitions(
            given[seen], other[seen], others[seen], labels[seen], classes, self.rule
        )
        return matrix[others, labels]

    def _add(self, table):
        super()._add(table)
        columns = dict(
            zip(findings.FIELDS, np.asarray(table, "float64").T, strict=True)
        )
        seen, times = columns["seen"] > 0, np.maximum(columns["seen"], 1)
        self._newest, self._stable = memories.renewed(
            self._newest, self._stable, columns
        )
        probs = {name: columns[f"{name}_prob"] / times for name in ("given", "other")}
        if self.rule.average == "margin":
            probs = {name: np.log(each + trust.TINY) for name, each in probs.items()}
        self._memory.add(seen, self.memory_decay(), **probs)
        if self._others is not None:
            self._others.add(
                seen,
                self.model.epoch_findings.numpy_features(),
                self._labels(),
                keras.ops.convert_to_numpy(self.model.label_trust),
                self.model.num_classes,
                self.memory_decay(),
            )

    def _of_others(self, labels):
        """`(N,)` what the other samples' labels say of each label, or None."""
        known = labels, self.model.num_classes, self.rule, self.rate
        return None if self._others is None else self._others.evidence(*known)

    def _labels(self):
        """`(N,)` given labels in [0, C); 0 for a sample never seen."""
        return np.maximum(self.history.labels, 0)

    def state(self) -> dict[str, Any]:
        """The arrays of `VerdictHistory`, and those of the memory."""
        arrays = super().state()
        if arrays and self._memory is not None:
            memory = self._memory.arrays()
            arrays |= {f"memory_{name}": array for name, array in memory.items()}
            arrays |= {f"newest_{name}": each for name, each in self._newest.items()}
            arrays["stable"] = self._stable
            arrays["least_rate"] = np.array(self._least_rate)
            arrays["first_epoch"] = np.array(self._first_epoch)
            arrays["average"] = np.array(AVERAGES.index(self._average))
            if self._others is not None:
                others = self._others.arrays()
                arrays |= {f"others_{name}": array for name, array in others.items()}
        return arrays

    def set_state(self, arrays: Mapping[str, Any]) -> None:
        """Continues from what `state` returned, the memory included."""
        super().set_state(arrays)
        memory = memories.starting_with("memory_", arrays)
        if memory:
            self._memory = memories.Memory(len(memory["weights"]))
            self._memory.set_arrays(memory)
            self._newest = memories.starting_with("newest_", arrays)
            self._stable = np.asarray(arrays["stable"], bool)
            self._least_rate = float(arrays.get("least_rate", NOT_HELD))
            self._first_epoch = int(arrays.get("first_epoch", 0))
            self._average = AVERAGES[int(arrays.get("average", 0))]
            others = memories.starting_with("others_", arrays)
            self._others = None
            if others:
                self._others = leave_one_out.OtherSamples(len(memory["weights"]))
                self._others.set_arrays(others)
