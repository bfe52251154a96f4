"""A model that keeps a row of numbers for each training sample."""

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from josrc_keras.data.checks import contract
from josrc_keras.devices import replicas
from josrc_keras.samples import numbering
from josrc_keras.samples import rows as table_rows
from josrc_keras.selection import Selection
from josrc_keras.training.base import NoisyLabelModel
from josrc_keras.training.step import Outcome


class RemembersSamples(NoisyLabelModel):
    """A method of one network with tables that have a row for each training sample.

    Tables are variables of the model, so they are saved and resumed with it. A step
    reads and writes the rows of its batch by the samples' numbers. `fit` numbers the
    samples of arrays itself. A dataset has to yield labels as a dict of `label` and
    `index`, the sample's number before shuffling.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        num_samples: Number of training samples, at least 1.
        augmentation: A `keras.Layer` that draws a view, or None.
        **kwargs: Arguments of `keras.Model`.

    Raises:
        TypeError: If `network` or `augmentation` is of the wrong type.
        ValueError: If an argument is out of range.
    """

    needs_two_views = False
    verdicts = ("clean",)
    training_metrics: ClassVar[tuple] = ("clean_fraction",)
    writes_tables = True  # Whether a step does, and not only a callback.

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        num_samples: int,
        augmentation: keras.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, num_classes, augmentation, **kwargs)
        if num_samples is None or num_samples < 1:
            raise ValueError(
                "Expected `num_samples`, the number of training samples, of at least "
                f"1. Received: {num_samples}. Pass the number of rows."
            )
        self.num_samples = num_samples

    def make_table(
        self, name: str, shape: tuple | None = None, initial: float = 0.0
    ) -> None:
        """Creates a variable `(num_samples, ...)` as the attribute `name`.

        Args:
            name: Name of the attribute.
            shape: Shape of a row; None is `(C,)`.
            initial: Value of every entry.
        """
        shape = (self.num_classes,) if shape is None else shape
        table = self.add_weight(
            name=name,
            shape=(self.num_samples, *shape),
            initializer=keras.initializers.Constant(initial),
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
        )
        setattr(self, name, table)

    def data_contract(self) -> contract.Contract:
        """What this model expects of its data, sample numbers included."""
        return super().data_contract()._replace(num_samples=self.num_samples)

    def before_fit(self, given: dict[str, Any]) -> None:
        """Numbers the samples of arrays, and checks how many there are.

        Raises:
            ValueError: If there are more samples than the model has rows for, or
                several TensorFlow devices and a step that writes tables.
        """
        on_tensorflow = keras.backend.backend() == "tensorflow"
        if self.writes_tables and on_tensorflow and replicas.part_count() > 1:
            raise ValueError(
                f"{type(self).__name__} writes what it knows of each sample into one "
                f"table. Received: {replicas.part_count()} devices that share a batch. "
                "Train on one device, or on the JAX backend."
            )
        numbering.number_samples(given, given["callbacks"])
        labels = given.get("y")
        if isinstance(labels, dict) and "index" in labels:
            largest = int(np.max(labels["index"]))
            if largest >= self.num_samples:
                raise ValueError(
                    f"Expected samples with numbers in [0, {self.num_samples - 1}], as "
                    f"in {type(self).__name__}(num_samples={self.num_samples}). "
                    f"Received: number {largest}. Make the model for all samples."
                )

    def rows_of(self, batch: contract.Batch) -> Any:
        """`(N,)` int32: the rows of a batch's samples in the tables."""
        index = ops.cast(numbering.of_batch(batch), "int32")
        return ops.clip(index, 0, self.num_samples - 1)

    def read(self, table: Any, rows: Any) -> Any:
        """`(N, ...)`: some rows of a table."""
        return table_rows.take(table, rows)

    def write(self, table: Any, rows: Any, values: Any) -> None:
        """Replaces rows of a table.

        Args:
            table: A variable that `make_table` made.
            rows: `(N,)` as from `rows_of`.
            values: `(N, C)`, without a gradient.
        """
        table_rows.put(table, rows, values)

    def add(self, table: Any, rows: Any, values: Any) -> None:
        """Adds to rows of a table, as `write` writes them; equal rows add up."""
        table_rows.add(table, rows, values)

    def outcome_of(self, logits: Any, losses: Any, clean: Any, likelihood: Any) -> Any:
        """The outcome of a step that learns from all samples.

        Args:
            logits: `(N, C)`.
            losses: `(N,)` in nats.
            clean: `(N,)` boolean: whose label the method trusts.
            likelihood: `(N,)` in [0, 1], higher for what looks clean.

        Returns:
            An `Outcome`.
        """
        rest = ops.logical_not(clean)
        return Outcome(
            logits,
            terms=((losses, ops.ones_like(clean)),),
            means={"clean_fraction": (clean,)},
            selection=Selection(clean, rest, ops.zeros_like(rest)),
            likelihood=ops.stop_gradient(likelihood),
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"num_samples": self.num_samples}
