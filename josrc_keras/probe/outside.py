"""Evidence that a photo is of none of the classes, calibrated on the photos themselves.

Two numbers tell it: how undecided the head is (the entropy of its prediction), and how
mixed the labels of similar photos are (the entropy of the labels of the nearest
neighbours). How large they are for a photo of no class is not known, but it can be
tried: each photo whose label is trusted is looked at once as it is, and once as if its
class did not exist, without its logit, its label and the photos predicted as it. A
logistic regression tells the two cases apart. The share of photos of no class then
follows from all photos (Saerens et al., "Adjusting the Outputs of a Classifier to New a
Priori Probabilities", Neural Computation 2002).
"""

import numpy as np
from absl import logging

from josrc_keras import _checks
from josrc_keras.audit.neighbours import directions_of
from josrc_keras.probe.head import softmax

NEIGHBOURS = 50
REFERENCES = 10_000  # The largest number of photos to look for neighbours among.
ROWS = 1024
LEAST = 30  # The least number of trusted photos that evidence is calibrated with.
MOST = 0.5  # The largest share of photos of no class.
TINY = 1e-9


def shares(logits, labels, right, features=None):
    """How likely a photo is of no class, by its image alone.

    Args:
        logits: `(N, C)` of a network that has not seen the labels; logarithms of
            probabilities serve as well.
        labels: `(N,)` integers in [0, C).
        right: `(N,)` the probability that each label is right, as known so far.
        features: `(N, F)` float, or None to do without neighbours.

    Returns:
        `(ranking, share)`: two `(N,)` arrays in [0, 1]. The first ranks photos by the
        mean of their places in each kind of evidence, squared. The second is the
        probability, and None with two classes or few trusted photos, where nothing can
        be tried.
    """
    classes = logits.shape[1]
    trusted = (right > 0.5) & (logits.argmax(1) == labels)
    as_it_is = [_entropy(softmax(logits)) / np.log(classes)]
    if features is not None:
        around, others = neighbour_labels(features, labels, logits.argmax(1), classes)
        as_it_is.append(_entropy(around) / np.log(classes))
    evidence = np.stack(as_it_is, 1)
    ranking = np.mean([_places(each) for each in evidence.T], axis=0) ** 2
    if classes < 3 or trusted.sum() < LEAST:
        logging.warning(
            "Photos of no class can't be told: that takes 3 classes and %d photos "
            "whose label is trusted. Received: %d classes, %d such photos.",
            LEAST,
            classes,
            int(trusted.sum()),
        )
        return ranking, None
    rows = np.flatnonzero(trusted)
    without = [_entropy(_without(logits[rows], labels[rows])) / np.log(classes - 1)]
    if features is not None:
        without.append(_entropy(others[rows]) / np.log(classes - 1))
    return ranking, _share(evidence, np.stack(without, 1), rows)


def _places(values):
    """The places of values from the smallest to the largest, in (0, 1]."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - (counts - 1) / 2) / len(values))[which]


def _without(logits, labels):
    """Predictions as if each sample's labelled class did not exist."""
    logits = np.array(logits, "float64")
    logits[np.arange(len(labels)), labels] = -np.inf
    return softmax(logits)


def _share(evidence, tried, rows):
    """How likely each photo is of no class.

    Args:
        evidence: `(N, K)` of the photos as they are.
        tried: `(M, K)` of trusted photos as if their class did not exist.
        rows: `(M,)` numbers of the trusted photos.
    """
    linear = _checks.imported(
        "sklearn.linear_model", "An audit of photos needs scikit-learn", "report"
    )
    both = np.concatenate([evidence[rows], tried])
    mean, scale = both.mean(0), np.maximum(both.std(0), TINY)
    model = linear.LogisticRegression(max_iter=1000)
    model.fit((both - mean) / scale, np.repeat([0, 1], len(rows)))
    return _adjusted(model.predict_proba((evidence - mean) / scale)[:, 1])


def _adjusted(even):
    """Probabilities of even cases, with the share of cases that explains them best."""
    share, adjusted = 0.1, even
    for _ in range(500):
        inside = (1 - even) * (1 - share)
        adjusted = even * share / np.maximum(even * share + inside, TINY)
        before, share = share, min(float(adjusted.mean()), MOST)
        if abs(share - before) < 1e-7:
            break
    return adjusted


def neighbour_labels(features, labels, predicted, classes):
    """Shares of labels among each sample's nearest neighbours.

    Args:
        features: `(N, F)`, of which only the direction counts.
        labels: `(N,)` integers in [0, C).
        predicted: `(N,)` integers in [0, C), the classes that they are taken for.
        classes: C.

    Returns:
        Two arrays `(N, C)` whose rows sum to 1: of all neighbours but the sample
        itself; and without the sample's label, of those that are not taken for it.
    """
    count = len(labels)
    chosen = np.arange(count)
    if count > REFERENCES:
        chosen = np.sort(np.random.default_rng(6).permutation(count)[:REFERENCES])
    wanted = min(NEIGHBOURS, max(1, len(chosen) // 10))
    directions, given = directions_of(features[chosen]), labels[chosen]
    taken_for = predicted[chosen]
    found = np.zeros((2, count, classes), "float32")
    for start in range(0, count, ROWS):
        rows = np.arange(start, min(start + ROWS, count))
        likeness = directions_of(features[rows]) @ directions.T
        itself = np.searchsorted(chosen, rows)
        itself = np.where(itself < len(chosen), itself, 0)
        same = np.flatnonzero(chosen[itself] == rows)
        likeness[same, itself[same]] = -np.inf
        found[0, rows] = _histogram(likeness, given, wanted, classes)
        own = labels[rows][:, None]
        likeness[(own == taken_for) | (own == given)] = -np.inf
        found[1, rows] = _histogram(likeness, given, wanted, classes)
    return found[0], found[1]


def _histogram(likeness, given, wanted, classes):
    if likeness.shape[1] > wanted:
        nearest = np.argpartition(-likeness, wanted, axis=1)[:, :wanted]
    else:
        nearest = np.tile(np.arange(likeness.shape[1]), (len(likeness), 1))
    counted = np.isfinite(np.take_along_axis(likeness, nearest, axis=1))
    rows = np.repeat(np.arange(len(likeness)), nearest.shape[1])
    cells = rows * classes + given[nearest].ravel()
    histogram = np.bincount(cells, counted.ravel(), len(likeness) * classes)
    histogram = histogram.reshape(-1, classes)
    return histogram / np.maximum(histogram.sum(1, keepdims=True), 1)


def _entropy(probs):
    """Entropy in nats along the last axis."""
    return -(probs * np.log(probs + TINY)).sum(-1)
