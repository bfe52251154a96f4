"""Rows of a table that has one for each sample: what a step reads and writes of it.

A step touches only the rows of its batch. TensorFlow's `assign` would copy the whole
table in every step, and an epoch would take time by the square of the number of
samples. Here rows are changed in place. With JAX, XLA does that by itself, on a CPU
only for other types than bfloat16.
"""

import keras
from keras import ops


def take(table, rows):
    """Some rows of a table.

    Args:
        table: A variable `(count, ...)`.
        rows: `(N,)` int32 in `[0, count)`.

    Returns:
        `(N, ...)` in the table's dtype.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # `ops.take` would copy the whole of a variable that is changed in place.
        return tf.raw_ops.ResourceGather(
            resource=table.value.handle, indices=rows, dtype=tf.as_dtype(table.dtype)
        )
    return ops.take(ops.convert_to_tensor(table), rows, axis=0)


def put(table, rows, values):
    """Replaces rows of a table.

    Args:
        table: A variable `(count, ...)`.
        rows: `(N,)` int32 in `[0, count)`, all different.
        values: `(N, ...)`, which are cast to the table's dtype.
    """
    rows, values = _as_a_scatter_takes_them(table, rows, values)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.raw_ops.ResourceScatterNdUpdate(
            ref=table.value.handle, indices=rows, updates=values
        )
    else:
        table.assign(ops.scatter_update(ops.convert_to_tensor(table), rows, values))


def add(table, rows, values):
    """Adds to rows of a table, as `put` replaces them; equal rows add up."""
    rows, values = _as_a_scatter_takes_them(table, rows, values)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.raw_ops.ResourceScatterNdAdd(
            ref=table.value.handle, indices=rows, updates=values
        )
    else:
        table.assign(ops.convert_to_tensor(table).at[rows[:, 0]].add(values))


def _as_a_scatter_takes_them(table, rows, values):
    """`(N, 1)` rows, and values of the table's dtype without a gradient."""
    values = ops.stop_gradient(ops.cast(values, table.dtype))
    return ops.expand_dims(rows, -1), values
