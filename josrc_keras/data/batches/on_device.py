"""Batches from arrays that stay on the device, for JAX. See `data.batches`.

The images are copied to the device once, and then only the order of each epoch. A batch
is gathered there, so the accelerator does not wait for the host.
"""

import itertools

import jax
import jax.numpy as jnp
import keras
import numpy as np

from josrc_keras.data.batches import balance, grouped
from josrc_keras.devices import replicas


@jax.jit
def _gather(arrays, rows, step):
    """The rows of the arrays that one step takes."""
    return jax.tree.map(lambda array: array[rows[step]], arrays)


def train_batches(split, steps, batch_size, seed, initial_epoch, limit, group=1):
    """Endless shuffled batches; see `data.batches.train_batches`."""
    arrays = _on_device((split.images, split.known()))

    def batches():
        for epoch in itertools.count(initial_epoch):
            if group > 1:
                order = grouped.epoch_order(split.labels, limit, group, seed, epoch)
            else:
                kept = balance.epoch_rows(split.labels, limit, seed, epoch)
                order = np.random.default_rng([seed, epoch]).permutation(len(kept))
                order = kept[order]
            order = _own(order[: steps * batch_size].reshape(steps, batch_size))
            rows = jnp.asarray(order, jnp.int32)
            for step in range(steps):
                yield _gather(arrays, rows, np.int32(step))

    return batches()


def evaluation_batches(split, batch_size):
    """Batches in original order; see `data.batches.evaluation_batches`."""
    parts = replicas.part_count()
    if parts == 1:
        return _InOrder((split.images, split.labels), batch_size)
    # Devices share a batch equally. The last batch is filled up, with weights of 0.
    batch_size = -(-batch_size // parts) * parts
    count = len(split)
    rows = np.arange(-(-count // batch_size) * batch_size)
    weights = (rows < count).astype("float32")
    own = _own(rows.reshape(-1, batch_size))
    split = split.rows((own % count).ravel())
    arrays = split.images, split.labels, weights[own].ravel()
    return _InOrder(arrays, own.shape[1])


def _own(rows):
    """This process's columns of `(steps, batch_size)` rows."""
    width = rows.shape[1] // jax.process_count()
    return rows[:, jax.process_index() * width :][:, :width]


class _InOrder(keras.utils.PyDataset):
    """Batches of arrays on the device, the same in every epoch."""

    def __init__(self, arrays, batch_size):
        super().__init__()
        count = len(arrays[0])
        arrays = _on_device(arrays)
        self.batches = [
            tuple(array[start : start + batch_size] for array in arrays)
            for start in range(0, count, batch_size)
        ]

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def _on_device(arrays):
    """NumPy arrays as JAX arrays on the device, int64 as int32."""

    def put(array):
        wide = array.dtype == np.int64
        return jax.device_put(array.astype(np.int32) if wide else array)

    return jax.tree.map(put, arrays)
