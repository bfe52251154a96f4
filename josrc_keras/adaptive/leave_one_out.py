"""What the other samples' labels say of a sample, from a linear model of its features.

A network learns some wrong labels by heart, and then its own prediction speaks for
them. So labels are also predicted by a ridge regression on the teacher's features,
which are the inputs of its last layer. It is fitted in closed form at the end of an
epoch. What a regression without the sample itself would predict needs no further fit:
with the sample's weighted hat value `h`, the prediction `f` of the whole fit and the
label `y`, it is

    (f - h y) / (1 - h)

(the PRESS residual of Allen, "The Relationship between Variable Selection and Data
Augmentation and a Method for Prediction", Technometrics 16, 1974). A label counts as
far as it is trusted, so the regression learns little from wrong ones.
"""

import numpy as np

from josrc_keras.adaptive import trust
from josrc_keras.adaptive.memory import Memory

RIDGE = 1e-4  # The penalty of a coefficient, per sample.
LARGEST_HAT = 0.95  # A sample that alone decides its prediction says nothing of itself.
LEAST_WEIGHT = 0.02  # The weight of a label that is not trusted at all.
BLOCK = 16_384  # Rows at a time, to keep memory small.
TEMPERATURES = np.geomspace(0.02, 0.5, 12)


def scores(features, labels, weights, num_classes):
    """Least-squares predictions of each sample's label by those of the others.

    Args:
        features: `(N, F)` the teacher's features, of any scale.
        labels: `(N,)` given labels in `[0, C)`.
        weights: `(N,)` how much each label counts, at least 0.
        num_classes: C.

    Returns:
        `(N, C)` float64, near 1 for a class that the other samples speak for.
    """
    blocks = [slice(i, i + BLOCK) for i in range(0, len(features), BLOCK)]
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
    found = np.empty((len(features), num_classes))
    for block in blocks:
        inputs, targets = inputs_of(block), one_hot[labels[block]]
        hat = weights[block] * ((inputs @ inverse) * inputs).sum(axis=1)
        hat = np.minimum(hat, LARGEST_HAT)[:, None]
        found[block] = (inputs @ coefficients - hat * targets) / (1 - hat)
    return found


def probabilities(features, labels, weights, num_classes):
    """Predictions of each sample's label by those of the others, as probabilities.

    They are a softmax of `scores`, at that of `TEMPERATURES` at which the weighted
    labels are most likely.

    Args:
        features: `(N, F)` the teacher's features, of any scale.
        labels: `(N,)` given labels in `[0, C)`.
        weights: `(N,)` how much each label counts, at least 0.
        num_classes: C.

    Returns:
        `(N, C)` float64, rows sum to 1.
    """
    found = scores(features, labels, weights, num_classes)
    found -= found.max(axis=1, keepdims=True)
    given = found[np.arange(len(found)), labels]

    def likelihood(temperature):
        total = np.log(np.exp(found / temperature).sum(axis=1))
        return np.sum(weights * (given / temperature - total))

    powers = np.exp(found / max(TEMPERATURES, key=likelihood))
    return powers / powers.sum(axis=1, keepdims=True)


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
            features: `(N, F)` the teacher's features.
            labels: `(N,)` given labels in `[0, C)`.
            trusted: `(N,)` the trust in each label, in [0, 1].
            num_classes: C.
            decay: Weight of an epoch relative to the one after it, in [0, 1).
        """
        rows = np.flatnonzero(seen)
        if not len(rows):
            return
        given, others = labels[rows], np.arange(len(rows))
        weights = np.maximum(trusted[rows], LEAST_WEIGHT)
        probs = probabilities(features[rows], given, weights, num_classes)
        predicted = probs.argmax(axis=1)
        self.stable[rows] = predicted == self.predicted[rows]
        self.predicted[rows] = predicted
        values = {name: np.zeros(len(seen)) for name in self.memory.sums}
        values["given"][rows] = probs[others, given]
        probs[others, given] = -1.0
        values["other"][rows] = probs.max(axis=1)
        self.other_class[rows] = probs.argmax(axis=1)
        self.memory.add(seen, decay, **values)

    def noise_rate(self):
        """The share of wrong labels (`trust.noise_rate`), in [0, 1]."""
        seen = self.memory.seen
        given, other = self.memory.mean("given")[seen], self.memory.mean("other")[seen]
        return trust.noise_rate(given, other, self.stable[seen], self.stable[seen])

    def evidence(self, labels, num_classes, rule):
        """`(N,)` `trust.evidence` of each label; 0 for a sample never seen."""
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
        least = trust.least_of_class(
            *seen, of_seen, self.noise_rate(), num_classes, rule
        )
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


def _directions(features):
    """Rows of length 1, float64; a row of zeros stays."""
    features = np.asarray(features, "float64")
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, trust.TINY)
