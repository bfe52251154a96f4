"""Averages over the last epochs, of each sample."""

import numpy as np


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
