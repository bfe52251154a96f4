"""Rows of tables: what is read and written, and that the rest stays where it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras.samples import rows

INDEX = np.array([4, 0, 7], "int32")


def make_table(dtype="float32"):
    start = np.arange(32).reshape(8, 4).astype("float32")
    return keras.Variable(start, dtype=dtype, trainable=False), start


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rows_are_read_and_written(dtype):
    """All of these values are exact in half precision."""
    table, expected = make_table(dtype)
    taken = rows.take(table, INDEX)
    assert keras.backend.standardize_dtype(taken.dtype) == dtype
    np.testing.assert_array_equal(np.asarray(taken, "float32"), expected[INDEX])
    values = np.arange(100, 112).reshape(3, 4).astype("float32")
    rows.put(table, INDEX, values)
    expected[INDEX] = values
    np.testing.assert_array_equal(np.asarray(table.value, "float32"), expected)
    rows.add(table, np.array([1, 1, 2], "int32"), np.ones((3, 4), "float32"))
    expected[[1, 2]] += [[2], [1]]
    np.testing.assert_array_equal(np.asarray(table.value, "float32"), expected)


def test_rows_may_have_any_shape():
    table = keras.Variable(np.zeros((5, 2, 3), "float32"), trainable=False)
    rows.put(table, np.array([3], "int32"), np.ones((1, 2, 3)))
    assert np.asarray(table).sum(axis=(1, 2)).tolist() == [0, 0, 0, 6, 0]
    numbers = keras.Variable(np.zeros(5, "float32"), trainable=False)
    rows.put(numbers, np.array([2], "int32"), np.array([7.0]))
    assert np.asarray(numbers).tolist() == [0, 0, 7, 0, 0]


def test_no_gradient_reaches_what_is_written():
    table, _ = make_table()
    weight = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        rows.put(table, INDEX, weight * tf.ones((3, 4)))
        loss = tf.reduce_sum(rows.take(table, INDEX)) + weight
    assert float(loss) == 3 * 4 * 2 + 2
    assert float(tape.gradient(loss, weight)) == 1.0


def test_a_step_makes_no_table_of_all_samples():
    """Else each step would take time by the number of samples."""
    table, _ = make_table()

    @tf.function
    def step(index, values):
        rows.put(table, index, values)
        rows.add(table, index, values)
        return rows.take(table, index)

    arguments = tf.constant(INDEX), tf.ones((3, 4))
    assert np.asarray(step(*arguments)).tolist() == [[2.0] * 4] * 3
    made = step.get_concrete_function(*arguments).graph.get_operations()
    assert "ResourceScatterNdUpdate" in [each.type for each in made]
    shapes = [output.shape for each in made for output in each.outputs]
    assert not [shape for shape in shapes if shape.rank and shape[0] == 8]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rows_are_written_under_xla(dtype):
    table, expected = make_table(dtype)

    @tf.function(jit_compile=True)
    def step(index, values):
        before = rows.take(table, index)
        rows.put(table, index, values)
        return before

    before = step(tf.constant(INDEX, tf.int64), tf.ones((3, 4)))
    np.testing.assert_array_equal(np.asarray(before, "float32"), expected[INDEX])
    expected[INDEX] = 1.0
    np.testing.assert_array_equal(np.asarray(table.value, "float32"), expected)
