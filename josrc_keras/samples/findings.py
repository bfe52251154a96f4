"""What one epoch finds of each sample."""

import keras
from keras import ops

from josrc_keras.samples import evidence, numbering
from josrc_keras.samples import rows as table_rows

VERDICTS = ("clean", "in_distribution", "out_of_distribution")
# Averaged over all epochs or over the first half of them, after which networks fit even
# out-of-distribution images (docs/explanation/how_it_was_chosen.md).
AVERAGED = tuple(evidence.FINDINGS)
# Read in the newest epoch and not averaged.
NEWEST = tuple(evidence.PREDICTIONS)
# The columns of an epoch's table.
FIELDS = ("seen", "label", *VERDICTS, *AVERAGED, *NEWEST)


@keras.saving.register_keras_serializable(package="josrc_keras")
class EpochFindings(keras.metrics.Metric):
    """A table of what an epoch's steps found, `FIELDS` by sample.

    It is a metric, so each replica keeps the rows of its own samples, and the rows of
    all replicas are summed when the table is read.

    Args:
        count: Number of samples in the dataset.
        width: Number of features to keep of each sample besides; 0 keeps none.
        name: Name of the metric.
        **kwargs: Arguments of `keras.metrics.Metric`.
    """

    def __init__(self, count, width=0, name="epoch_findings", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = count
        self.table = self.add_variable((count, len(FIELDS)), "zeros", name="table")
        self.features = None
        if width:
            # Half precision is enough for directions, whose parts are at most 1. XLA on
            # a CPU copies a table of bfloat16 in each step, and writes this in place.
            self.features = self.add_variable(
                (count, width), "zeros", dtype="float16", name="features"
            )
        self.outside = self.add_variable((), "zeros", name="outside")
        self.recorded = self.add_variable((), "zeros", name="recorded")
        self.contradicted = self.add_variable((), "zeros", name="contradicted")

    def update_state(self, index, columns, features=None):
        """Writes the rows of a batch.

        Args:
            index: `(N,)` integers in `[0, count)`, all different.
            columns: Dict of `(N,)`, one for each of `FIELDS` but `seen`.
            features: `(N, F)` features of length 1, which are kept where there is room.
        """
        columns = {"seen": ops.ones_like(index), **columns}
        rows = ops.stack([ops.cast(columns[f], "float32") for f in FIELDS], axis=1)
        index = ops.cast(index, "int32")
        inside = ops.clip(index, 0, self.count - 1)
        self.outside.assign_add(ops.sum(ops.cast(index != inside, "float32")))
        before = table_rows.take(self.table, inside)
        other = ops.logical_and(before[:, 0] > 0, before[:, 1] != rows[:, 1])
        self.contradicted.assign_add(ops.sum(ops.cast(other, "float32")))
        self.recorded.assign_add(ops.sum(ops.ones_like(rows[:, 0])))
        table_rows.put(self.table, inside, rows)
        if self.features is not None:
            table_rows.put(self.features, inside, features)

    def reset_state(self):
        """Keeps the table: evaluation within an epoch resets all metrics."""

    def clear(self):
        """Forgets all rows."""
        super().reset_state()

    def result(self):
        """An empty dict, since `fit` can't show a table."""
        return {}

    def numpy(self):
        """`(count, len(FIELDS))` float32; the row of a sample not seen is all zeros.

        Raises:
            ValueError: If a sample's number was out of range, or one number stood for
                several samples.
        """
        # NumPy can read copies, but no variables that are spread over replicas.
        values = (self.table, self.outside, self.recorded, self.contradicted)
        table, outside, recorded, contradicted = map(ops.copy, values)
        if int(outside):
            raise ValueError(
                f"Expected each sample's number in [0, {self.count - 1}]. Received: "
                f"{int(outside)} out of range in this epoch. Number the samples "
                "from 0 on, or pass VerdictHistory the right `count`."
            )
        table = ops.convert_to_numpy(table)
        numbering.check_epoch(table, int(recorded), int(contradicted))
        return table

    def numpy_features(self):
        """`(count, F)` float16 features, zeros for a sample not seen this epoch."""
        return ops.convert_to_numpy(ops.copy(self.features))

    def get_config(self):
        """The constructor's arguments."""
        width = 0 if self.features is None else self.features.shape[1]
        return super().get_config() | {"count": self.count, "width": width}
