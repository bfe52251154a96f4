"""Averages over the last epochs, of each sample."""

import numpy as np

from josrc_keras.samples import findings


class Memory:
    """Averages over the last epochs, of each sample, unbiased from the first epoch on.

    Earlier epochs count less: the weights fall by a factor with each epoch.

    Args:
        count: Number of samples.
        names: Names of what is averaged.

    Attributes:
        weights: `(N,)` sum of the weights of the epochs in which a sample was seen.
        sums: Dict of `(N,)` weighted sums.
    """

    def __init__(self, count, names=("given", "other")):
        self.weights = np.zeros(count)
        self.sums = {name: np.zeros(count) for name in names}

    def add(self, seen, decay, **values):
        """Adds an epoch.

        Args:
            seen: `(N,)` boolean: the samples of this epoch. Others keep their averages.
            decay: Weight of an epoch relative to the one after it, in [0, 1).
            **values: `(N,)` values of this epoch, by name.
        """
        for name, total in self.sums.items():
            total[seen] = decay * total[seen] + (1 - decay) * values[name][seen]
        self.weights[seen] = decay * self.weights[seen] + (1 - decay)

    @property
    def seen(self):
        """`(N,)` boolean: whether a sample was ever seen."""
        return self.weights > 0

    def mean(self, name):
        """`(N,)` average of the values of a name; 0 for a sample never seen."""
        return self.sums[name] / np.where(self.seen, self.weights, 1)

    def arrays(self):
        """The state as a dict of arrays, for `set_arrays`."""
        return {"weights": self.weights, **self.sums}

    def set_arrays(self, arrays):
        """Continues from the state that `arrays` returned."""
        self.weights = np.array(arrays["weights"], "float64")
        self.sums = {name: np.array(arrays[name], "float64") for name in self.sums}


def nothing(count):
    """The newest predictions before the first epoch: -1, which is not a class."""
    return {name: np.full(count, -1.0) for name in findings.NEWEST}


def renewed(newest, stable, columns):
    """The newest predictions after an epoch, and whether they stay what they were.

    Args:
        newest: Dict of `(N,)` by `findings.NEWEST`, as `nothing` returns it.
        stable: `(N,)` boolean: whether a sample was predicted as in the epoch before.
        columns: Dict of `(N,)`: the columns of the epoch's table.

    Returns:
        `(newest, stable)`, in which samples that were not seen keep what they had.
    """
    seen, times = columns["seen"] > 0, np.maximum(columns["seen"], 1)
    # The table adds up what replicas saw of a sample: no class where they differ.
    fresh = (columns["seen"] == 1) | (seen & (newest["predicted"] < 0))
    now = {name: np.rint(columns[name] / times) for name in findings.NEWEST}
    stable = np.where(fresh, now["predicted"] == newest["predicted"], stable)
    newest = {name: np.where(fresh, now[name], newest[name]) for name in now}
    return newest, stable


def starting_with(prefix, arrays):
    """The arrays whose names have a prefix, by the rest of their names."""
    return {
        name.removeprefix(prefix): np.array(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
