"""What the other samples' labels say of a sample, by a regression on its features.

A network learns some wrong labels by heart, and then its own prediction speaks for
them. So labels are also predicted by a ridge regression on the teacher's features,
which are the inputs of its last layer. It is fitted in closed form at the end of an
epoch. What a regression without the sample itself would predict needs no further fit.
With the share `h` of its own prediction that a label decides (its weighted hat value),
the prediction `f` of the whole fit and the label `y`, it is

    (f - h y) / (1 - h)

(the PRESS residual of Allen, "The Relationship between Variable Selection and Data
Augmentation and a Method for Prediction", Technometrics 16, 1974). The ridge keeps `h`
below 1. A label counts as far as it is trusted, so the regression learns little from
wrong ones.
"""

from typing import NamedTuple

import numpy as np

from josrc_keras.adaptive import trust
from josrc_keras.adaptive.memory import Memory

RIDGE = 1e-4  # The penalty of a coefficient, per sample.
LEAST_WEIGHT = 0.02  # The weight of a label that is not trusted at all.
BLOCK = 16_384  # Rows at a time, to keep memory small.
TEMPERATURES = np.geomspace(0.02, 0.5, 12)
MOST_FEATURES = 4096  # The regression takes memory by the square of their number.


class Predictions(NamedTuple):
    """Each sample's label as the other samples predict it.

    Attributes:
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class, in [0, 1].
        other_class: `(N,)` that class, in `[0, C)`.
        predicted: `(N,)` the best class of all, in `[0, C)`.
    """

    given: np.ndarray
    other: np.ndarray
    other_class: np.ndarray
    predicted: np.ndarray


def scores(features, labels, weights, num_classes):
    """Least-squares predictions of each sample's label by those of the others.

    Args:
        features: `(N, F)` the teacher's features, of any scale.
        labels: `(N,)` given labels in `[0, C)`.
        weights: `(N,)` how much each label counts, at least 0.
        num_classes: C.

    Returns:
        `(N, C)` float32, near 1 for a class that the other samples speak for.
    """
    blocks = _blocks(len(features))
    mean = sum(_directions(features[block]).sum(axis=0) for block in blocks)
    mean = mean / max(len(features), 1)

    def inputs_of(block):
        centred = _directions(features[block]) - mean
        return np.hstack([centred, np.ones((len(centred), 1))])

    one_hot = np.eye(num_classes)
    width = features.shape[1] + 1
    gram, products = np.zeros((width, width)), np.zeros((width, num_classes))
    for block in blocks:
        inputs = inputs_of(block)
        weighted = inputs * weights[block, None]
        gram += weighted.T @ inputs
        products += weighted.T @ one_hot[labels[block]]
    gram += RIDGE * len(features) * np.eye(width)
    inverse = np.linalg.inv(gram)
    coefficients = inverse @ products
    found = np.empty((len(features), num_classes), "float32")
    for block in blocks:
        inputs, targets = inputs_of(block), one_hot[labels[block]]
        hat = weights[block] * ((inputs @ inverse) * inputs).sum(axis=1)
        hat = np.minimum(hat, 1.0 - trust.TINY)[:, None]  # Rounding may exceed it.
        found[block] = (inputs @ coefficients - hat * targets) / (1 - hat)
    return found


def predictions(features, labels, weights, num_classes):
    """What the other samples predict of each label.

    Probabilities are a softmax of `scores`, at that of `TEMPERATURES` at which the
    weighted labels are most likely.

    Args:
        features: `(N, F)` the teacher's features, of any scale.
        labels: `(N,)` given labels in `[0, C)`.
        weights: `(N,)` how much each label counts, at least 0.
        num_classes: C.

    Returns:
        `Predictions`.
    """
    found = scores(features, labels, weights, num_classes)
    found -= found.max(axis=1, keepdims=True)
    blocks, every = _blocks(len(found)), np.arange(len(found))
    of_label = found[every, labels].astype("float64")

    def likelihood(temperature):
        total = np.concatenate(
            [np.log(_powers(found[block], temperature).sum(axis=1)) for block in blocks]
        )
        return np.sum(weights * (of_label / temperature - total))

    temperature = max(TEMPERATURES, key=likelihood)
    given, other = np.empty((2, len(found)))
    other_class, predicted = np.empty((2, len(found)), int)
    for block in blocks:
        powers = _powers(found[block], temperature)
        probs = powers / powers.sum(axis=1, keepdims=True)
        predicted[block] = probs.argmax(axis=1)
        own = np.arange(len(probs)), labels[block]
        given[block] = probs[own]
        probs[own] = -1.0
        other[block] = probs.max(axis=1)
        other_class[block] = probs.argmax(axis=1)
    return Predictions(given, other, other_class, predicted)


class OtherSamples:
    """What the other samples' labels have said of each sample over the last epochs.

    `callbacks.LabelTrust` keeps one where `TrustRule.leave_one_out` is set.

    Args:
        count: Number of samples.
    """

    def __init__(self, count):
        self.memory = Memory(count)
        self.predicted, self.other_class = np.full((2, count), -1)
        self.stable = np.zeros(count, bool)

    def add(self, seen, features, labels, trusted, num_classes, decay):
        """Adds an epoch.

        Args:
            seen: `(N,)` boolean: the samples of this epoch. Others keep what they have.
            features: `(N, F)` the teacher's features. A sample whose features are all
                zeros, or are not finite, counts as not seen.
            labels: `(N,)` given labels in `[0, C)`.
            trusted: `(N,)` the trust in each label, in [0, 1].
            num_classes: C.
            decay: Weight of an epoch relative to the one after it, in [0, 1).
        """
        seen = seen & _usable(features)
        rows = np.flatnonzero(seen)
        if not len(rows):
            return
        if len(rows) < len(seen):
            features = features[rows]
        weights = np.maximum(trusted[rows], LEAST_WEIGHT)
        found = predictions(features, labels[rows], weights, num_classes)
        self.stable[rows] = found.predicted == self.predicted[rows]
        self.predicted[rows] = found.predicted
        self.other_class[rows] = found.other_class
        values = {name: np.zeros(len(seen)) for name in self.memory.sums}
        values["given"][rows] = found.given
        values["other"][rows] = found.other
        self.memory.add(seen, decay, **values)

    def noise_rate(self):
        """The share of wrong labels (`trust.noise_rate`), in [0, 1]."""
        seen = self.memory.seen
        given, other = self.memory.mean("given")[seen], self.memory.mean("other")[seen]
        return trust.noise_rate(given, other, self.stable[seen], self.stable[seen])

    def evidence(self, labels, num_classes, rule, rate=None):
        """The evidence for each label.

        Args:
            labels: `(N,)` given labels in `[0, C)`.
            num_classes: C.
            rule: A `TrustRule`.
            rate: The share of wrong labels where it is known; None estimates it.

        Returns:
            `(N,)` `trust.evidence`, 0 for a sample never seen.
        """
        known = self.memory.seen
        if not known.any():
            return np.zeros(len(known))
        given, other = self.memory.mean("given"), self.memory.mean("other")
        seen, of_seen = (given[known], other[known]), labels[known]
        flip = 1.0 / (num_classes - 1)
        if rule.transitions:
            matrix = trust.transitions(
                *seen, self.other_class[known], of_seen, num_classes, rule
            )
            flip = matrix[self.other_class, labels]
        rate = self.noise_rate() if rate is None else rate
        least = trust.least_of_class(*seen, of_seen, rate, num_classes, rule)
        found = trust.evidence(given, other, flip, num_classes, least[labels])
        return np.where(known, found, 0.0)

    def arrays(self):
        """The state as a dict of arrays, for `set_arrays`."""
        newest = ("predicted", "other_class", "stable")
        return self.memory.arrays() | {name: getattr(self, name) for name in newest}

    def set_arrays(self, arrays):
        """Continues from the state that `arrays` returned."""
        self.memory.set_arrays(arrays)
        self.predicted = np.array(arrays["predicted"], int)
        self.other_class = np.array(arrays["other_class"], int)
        self.stable = np.array(arrays["stable"], bool)


def _blocks(count):
    return [slice(i, i + BLOCK) for i in range(0, count, BLOCK)]


def _powers(scores_of, temperature):
    """Powers whose shares are a softmax of scores with a maximum of 0, float64."""
    return np.exp(scores_of.astype("float64") / temperature)


def _usable(features):
    """`(N,)` boolean: whether features are finite, and not all zeros."""
    found = np.zeros(len(features), bool)
    for block in _blocks(len(features)):
        part = np.asarray(features[block], "float32")
        found[block] = np.isfinite(part).all(axis=1) & part.any(axis=1)
    return found


def _directions(features):
    """Rows of length 1, float64; a row of zeros stays."""
    features = np.asarray(features, "float64")
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, trust.TINY)
