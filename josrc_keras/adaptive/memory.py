"""An average over the last epochs for each sample."""

import numpy as np


class Memory:
    """An average over the last epochs for each sample, unbiased from the first on.

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
            seen: `(N,)` boolean; the others keep what they have.
            decay: Weight of the epoch before relative to this one, in [0, 1).
            **values: `(N,)` of each name.
        """
        for name, total in self.sums.items():
            total[seen] = decay * total[seen] + (1 - decay) * values[name][seen]
        self.weights[seen] = decay * self.weights[seen] + (1 - decay)

    @property
    def seen(self):
        """`(N,)` boolean: whether a sample was ever seen."""
        return self.weights > 0

    def mean(self, name):
        """`(N,)` average; 0 where never seen."""
        return self.sums[name] / np.where(self.seen, self.weights, 1)

    def arrays(self):
        """All that `set_arrays` needs."""
        return {"weights": self.weights, **self.sums}

    def set_arrays(self, arrays):
        """Goes on with what `arrays` returned."""
        self.weights = np.array(arrays["weights"], "float64")
        self.sums = {name: np.array(arrays[name], "float64") for name in self.sums}
