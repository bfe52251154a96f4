"""Recording what training finds of each sample, at no further forward pass."""

import contextlib
from typing import Any

import keras
import numpy as np

from josrc_keras.adaptive.model import NUMBERING
from josrc_keras.data.checks import contract
from josrc_keras.samples import evidence, findings

NOT_NUMBERED = (
    "{} needs each sample's number in the dataset. Received: {} without 'index'. "
    "Number the samples before they are shuffled: {}"
)


class Recorded(keras.Model):
    """Part of a model that records verdicts by sample; see `VerdictHistory`.

    Attributes:
        epoch_findings: The `history.EpochFindings` of this epoch while it records,
            else None.
        sample_history: The `history.SampleHistory` that the callback `VerdictHistory`
            gathered, or None.
    """

    epoch_findings: Any = None
    sample_history: Any = None

    @property
    def metrics(self):
        """As Keras, and the table, so that it is passed on with them."""
        found = super().metrics
        return found if self.epoch_findings is None else [*found, self.epoch_findings]

    def record_epochs_of(self, count):
        """Records what each epoch finds of so many samples; nothing where None."""
        made = None
        if count is not None:
            with _scope(self):
                made = findings.EpochFindings(count)
        # Past Keras's own registration, for no attribute that it tracks can be removed.
        self.__dict__["epoch_findings"] = made
        if self.train_function is not None:
            self.make_train_function(force=True)

    def record_findings(self, batch, selected, logits_a, logits_b):
        """Writes down a batch's verdicts and what its predictions say, if it records.

        Args:
            batch: A `contract.Batch`.
            selected: A `selection.Selection`.
            logits_a: `(N, C)`, of the first view.
            logits_b: `(N, C)`, of the second.

        Raises:
            ValueError: If it records and the batch has no numbers.
        """
        if self.epoch_findings is None:
            return
        if batch.index is None:
            raise ValueError(NOT_NUMBERED.format("VerdictHistory", "labels", NUMBERING))
        labels = batch.integer_labels()
        columns = {"label": labels, **selected._asdict()}
        columns |= evidence.of_views(logits_a, logits_b, labels)
        self.epoch_findings.update_state(batch.index, columns)

    def audit(self, x, y=None, **options):
        """What is known about each sample's label; see `josrc_keras.audit.audit`.

        Args:
            x: Images, or a dataset of `(image, label)`, unshuffled.
            y: Labels, where `x` is images.
            **options: Further arguments of `josrc_keras.audit.audit`.

        Returns:
            A `pandas.DataFrame`, a row a sample in dataset order.
        """
        from josrc_keras import audit

        return audit.audit(self, x, y, **options)


def stop(model):
    """Ends the recording of a model whose `fit` failed, if it records."""
    if getattr(model, "epoch_findings", None) is not None:
        model.record_epochs_of(None)


def _scope(model):
    """Where variables are made that belong to the model's replicas."""
    if keras.backend.backend() == "tensorflow":
        return model.distribute_strategy.scope()
    return contextlib.nullcontext()


def number_samples(given, callbacks):
    """Adds numbers to the arrays that `fit` got, if a callback records samples.

    Args:
        given: The arguments of `fit`; changed in place.
        callbacks: Its callbacks.

    Raises:
        ValueError: If numbers can't be added, or a dataset brings none.
    """
    listed = getattr(callbacks, "callbacks", callbacks)
    recorder = next((c for c in listed if hasattr(c, "records_samples")), None)
    if recorder is None:
        return
    recorder.numbered = None
    labels = given.get("y")
    if labels is None:
        spec = getattr(given["x"], "element_spec", None)
        if spec is not None and contract.unpack(spec).index is None:
            name = type(recorder).__name__
            raise ValueError(
                NOT_NUMBERED.format(name, "a dataset of labels", NUMBERING)
            )
        return
    if given.get("class_weight") is not None:
        raise ValueError(
            f"{type(recorder).__name__} numbers the labels, beside which Keras takes "
            "no `class_weight`. Received: both. Pass `sample_weight=` the weight of "
            "each sample's given label instead."
        )
    if not isinstance(labels, dict):
        labels = {"label": labels}
    count = len(labels["label"])
    if "index" not in labels:
        given["y"] = {**labels, "index": np.arange(count, dtype="int32")}
    _check_count(recorder, given, count)
    recorder.numbered = count


def _check_count(recorder, given, count):
    """Refuses a callback for fewer samples than arrays bring to training."""
    trained = int(count * (1 - (given.get("validation_split") or 0)))
    if recorder.count is not None and recorder.count < trained:
        name = type(recorder).__name__
        raise ValueError(
            f"Expected {name}(count) of at least the number of samples, {trained}. "
            f"Received: {recorder.count}. Pass {trained}, or num_samples={trained} to "
            "the recipe that made it."
        )
