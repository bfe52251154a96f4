"""From evidence to scores and verdicts: pure functions on NumPy arrays.

A sample has the probability and the logit of its given label, and the largest logit of
all other classes, each a mean over views and, where it was recorded, over the epochs of
training. What is high and what is low is read off the dataset itself, from the samples
whose label the network agrees with. No noise rate is needed.
"""

import numpy as np

CLEAN = "clean"
IN_DISTRIBUTION = "in_distribution_noise"
OUT_OF_DISTRIBUTION = "out_of_distribution"
VERDICTS = (CLEAN, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION)
ISSUE_BELOW = 0.5


def label_score(given_prob, agrees):
    """How likely the given label is right, from its probability.

    With x the probability divided by its median among the samples whose label the
    network agrees with, the score is `x^2 / (x^2 + 1/4)`: 0.5 at half of what a right
    label typically gets, 0.8 at what it typically gets. It grows with the probability,
    so that a confident right prediction is never called wrong.

    Args:
        given_prob: `(N,)` in [0, 1]; a mean over views or epochs.
        agrees: `(N,)` boolean: the predicted class is the given one.

    Returns:
        `(N,)` float64 in [0, 1), 0 = wrong. A ranking first of all: it is a probability
        only as far as right labels of all classes are learnt alike. A rare or hard
        class scores lower.
    """
    given_prob = np.asarray(given_prob, "float64")  # Squares of float32 overflow.
    typical = _median(given_prob, agrees)
    x = given_prob / max(typical, np.finfo("float32").tiny)
    return x**2 / (x**2 + 0.25)


def ood_score(given_logit, other_logit, score, belief=None):
    """Evidence that an image belongs to none of the classes.

    The mean of two distances, where there are both. One says how badly the classes fit:
    its ends are read off the samples whose label is believed, namely how well the given
    class fits them (0), and how well the best of all others does (1), to which they do
    not belong. The given class of a sample counts as far as it is believed. The other
    says how little the labels of similar images are believed: from as much as around
    believed labels (0) to as little as around the worst fiftieth of all samples (1).

    Args:
        given_logit: `(N,)`, a mean over views or epochs.
        other_logit: `(N,)` largest logit of the other classes, likewise.
        score: `(N,)` label scores.
        belief: `(N,)` mean score of a sample's neighbours, of `neighbours.belief`, or
            None.

    Returns:
        `(N,)` float64 in (0, 1), 1 = belongs to no class, squashed by a logistic
        function of slope 4 at the middle; 0.5 everywhere where the two ends do not
        differ. It can't be better than the network's idea of the classes: foreign
        images that look like a class score low.
    """
    believed = score >= ISSUE_BELOW
    fits, foreign = _median(given_logit, believed), _median(other_logit, believed)
    fit = other_logit + score * np.maximum(given_logit - other_logit, 0)
    if not fits > foreign:
        return np.full(len(score), 0.5)
    distance = (fits - fit) / (fits - foreign)
    if belief is not None:
        usual, least = _median(belief, believed), np.quantile(belief, 0.02)
        if usual > least:
            distance = (distance + (usual - belief) / (usual - least)) / 2
    return 1 / (1 + np.exp(np.clip(4 * (0.5 - distance), -50, 50)))


def verdicts(score, ood, agrees):
    """The verdict on each sample.

    Args:
        score: `(N,)` label scores; below 0.5 the label is called wrong.
        ood: `(N,)` OOD scores; above 0.5 a sample with a wrong label is called out of
            distribution.
        agrees: `(N,)` boolean: the predicted class is the given one, so that there is
            no other one to suggest.

    Returns:
        `(N,)` array of texts, of `VERDICTS`.
    """
    wrong = score < ISSUE_BELOW
    foreign = wrong & ((ood > 0.5) | agrees)
    return np.select([foreign, wrong], [OUT_OF_DISTRIBUTION, IN_DISTRIBUTION], CLEAN)


def _median(values, chosen):
    """The median of the chosen values; of all where none is chosen."""
    return float(np.median(values[chosen] if chosen.any() else values))
