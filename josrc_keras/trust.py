"""How far each label is trusted, from what training has predicted of its sample.

Bayes' rule for a label that was replaced with some probability. Let `g` be the
probability that the network gives the sample's label and `o` that of the best other
class, both averaged over the last epochs, and `n` the share of wrong labels. Then a
label is right with probability

    (1 - n) g / ((1 - n) g + n o).

`n` is not asked for. It is counted where the network is sure: among the samples whose
`max(g, o)` is at least the average, it is the share of those with `o > g`. So a network
that is unsure of a clean but difficult dataset goes on learning from all of its labels,
since few disagree where it is sure (n near 0); with the same predictions on noisy data
it does not.

Known are that early predictions tell wrong labels from right ones (Liu et al., "Early-
Learning Regularization", NeurIPS 2020), that an average over epochs does so better than
one epoch (Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin
Ranking", NeurIPS 2020), and thresholds that follow the network's average confidence
(Wang et al., "FreeMatch", ICLR 2023).
"""

import numpy as np

LEAST, MOST = 0.01, 0.99  # The estimated noise rate stays between.
TINY = 1e-12


def noise_rate(given, other):
    """The share of wrong labels, counted where the network is sure.

    Args:
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class.

    Returns:
        A float in [0, 1]; 0 without any sample.
    """
    given, other = np.asarray(given, "float64"), np.asarray(other, "float64")
    if not len(given):
        return 0.0
    confidence = np.maximum(given, other)
    # The average of equal numbers may be above them by rounding.
    sure = confidence >= min(confidence.mean(), confidence.max())
    return float((other > given)[sure].mean())


def noise_rates(given, other, labels, num_classes, strength):
    """`noise_rate` of each class of labels, drawn towards that of all.

    Args:
        given: `(N,)` probability of the given label.
        other: `(N,)` probability of the best other class.
        labels: `(N,)` given labels in `[0, C)`.
        num_classes: C.
        strength: Number of samples that the rate of all counts for in each class.

    Returns:
        `(C,)` floats in [0, 1].
    """
    overall = noise_rate(given, other)
    confidence = np.maximum(given, other)
    sure = confidence >= min(confidence.mean(), confidence.max())
    counts = np.bincount(labels[sure], minlength=num_classes)
    wrong = np.bincount(labels[sure & (other > given)], minlength=num_classes)
    return (wrong + strength * overall) / (counts + strength)


def label_trust(given, other, rate, sharpness=1.0):
    """The probability that each label is right.

    Args:
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class.
        rate: Share of wrong labels, in [0, 1], a float or `(N,)`; limited to
            [0.01, 0.99], so that no label is beyond doubt and none beyond hope.
        sharpness: Exponent of the probabilities, positive: above 1 for a decision that
            is nearer to yes or no.

    Returns:
        `(N,)` float32 in [0, 1].
    """
    rate = np.clip(rate, LEAST, MOST)
    right = (1 - rate) * np.asarray(given, "float64") ** sharpness
    wrong = rate * np.asarray(other, "float64") ** sharpness
    return ((right + TINY) / (right + wrong + 2 * TINY)).astype("float32")


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
