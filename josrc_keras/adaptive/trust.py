"""How far each label is trusted, from what training has predicted of its sample.

Bayes' rule for labels of which a share `n` was replaced. Let `g` be the probability
that the network gives the sample's label, `o` that of the best other class `c`, both
averaged over the last epochs, and `C` the number of classes. A wrong label on an image
of class `c` is `y` with probability `T[c, y]`. Then a label is right with probability

    (1 - n) g^k / ((1 - n) g^k + n w^k),    w = o T[c, y] + (1 - g - o) / (C - 1),

where `k` decides how nearly that is yes or no. But a network that trains on a wrong
label gives it more than `w`, since it learns some of it by heart, and to an image of no
class it gives a little of each. So `w` is at least half of what believed labels of the
same class get (`typical`): as in the audit, a label is measured by those. Without it
more and more of the wrong labels are trusted
(docs/explanation/how_it_was_chosen.md has the measurement).
That half is multiplied by how much of what it believes the network predicts (`learnt`):
one that has learnt a tenth of the right labels knows none of the wrong ones by heart,
and gives little to the other nine tenths, too.

Neither `n` nor `T` is asked for. Both are counted among the samples that the network is
sure of, whose `max(g, o)` is at least the average:

- `T` from the pairs of predicted and given class where these differ;
- `n` from how many differ. But a network that is not reliable yet contradicts right
  labels, too, so only that counts which its own inconsistency does not explain. With
  `a` the share of the sure samples whose label it agrees with, `s` the share of them
  whose predicted class is that of the epoch before, and `v` the share of all samples
  whose two views are predicted alike (Jo-SRC's evidence, eq. 4), `n = v (1 - a / s)`.
  What is found after a quarter of the epochs, or later when half of the labels that it
  believes are predicted, is the least from then on: the network agrees ever more with
  wrong labels that it has learnt, and would believe them for it.

So a difficult dataset with right labels is learnt from all of them, which a rule that
compares a sample's likelihood with a threshold can't tell from a noisy one.

Known are that early predictions tell wrong labels from right ones (Liu et al., "Early-
Learning Regularization", NeurIPS 2020), that an average over epochs does so better than
one epoch (Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin
Ranking", NeurIPS 2020), how to count a noise matrix where a network is sure (Northcutt
et al., "Confident Learning", JAIR 2021), and thresholds that follow the network's
average confidence, by class (Wang et al., "FreeMatch", ICLR 2023). The formula for `n`
is ours.
"""

import numpy as np

from josrc_keras.adaptive.rule import TrustRule

RULE = TrustRule()
TINY = 1e-12


def sure_samples(given, other):
    """`(N,)` boolean: whose confidence `max(given, other)` is at least the average."""
    confidence = np.maximum(given, other)
    if not len(confidence):
        return np.zeros(0, bool)
    # The average of equal numbers may be above them by rounding.
    return confidence >= min(confidence.mean(), confidence.max())


def noise_rate(given, other, stable, consistent):
    """The share of wrong labels, counted where the network is sure.

    Args:
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class.
        stable: `(N,)` boolean: whether a sample is predicted as in the epoch before.
        consistent: `(N,)` boolean: whether both of its views are predicted alike.

    Returns:
        A float in [0, 1]; 0 without any sample.
    """
    given, other = np.asarray(given, "float64"), np.asarray(other, "float64")
    if not len(given):
        return 0.0
    sure = sure_samples(given, other)
    agreement = (given >= other)[sure].mean()
    stability = max(np.asarray(stable)[sure].mean(), agreement, TINY)
    return float(np.mean(consistent) * (1.0 - agreement / stability))


def learnt(given, other, rate, rule=RULE):
    """The share of the labels that are right, by `rate`, which the network predicts.

    Args:
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class.
        rate: Share of wrong labels, in [0, 1]; limited to at most `rule.most_rate`.
        rule: A `TrustRule`.

    Returns:
        A float in [0, 1]; 0 without any sample.
    """
    predicted = np.asarray(given) >= np.asarray(other)
    if not len(predicted):
        return 0.0
    return float(min(predicted.mean() / (1.0 - min(rate, rule.most_rate)), 1.0))


def transitions(given, other, others, labels, num_classes, rule=RULE):
    """What wrong labels look like: the probability of a label by the true class.

    Args:
        given: `(N,)` probability of the given label.
        other: `(N,)` probability of the best other class.
        others: `(N,)` integers: that class.
        labels: `(N,)` given labels in `[0, C)`.
        num_classes: C.
        rule: A `TrustRule`.

    Returns:
        `(C, C)` rows, by true class, that sum to 1, with zeros in the diagonal.
    """
    counts = np.full((num_classes, num_classes), rule.strength / (num_classes - 1))
    wrong = sure_samples(given, other) & (np.asarray(other) > np.asarray(given))
    np.add.at(counts, (np.asarray(others)[wrong], np.asarray(labels)[wrong]), 1.0)
    np.fill_diagonal(counts, 0.0)
    return counts / counts.sum(axis=1, keepdims=True)


def typical(given, labels, num_classes):
    """What the believed labels of each class get: `(C,)`, a mean weighted by itself.

    `sum(g * g) / sum(g)` over the samples of a given class. The more a label gets, the
    more it counts, so that wrong ones hardly do; and a rare class, of whose images a
    network is less sure, is measured by its own.

    Args:
        given: `(N,)` probability of the given label, in [0, 1].
        labels: `(N,)` given labels in `[0, C)`.
        num_classes: C.

    Returns:
        `(C,)` in [0, 1]; 0 for a class without samples.
    """
    given = np.asarray(given, "float64")
    total, squares = (
        np.bincount(labels, weights, minlength=num_classes)
        for weights in (given, given**2)
    )
    return squares / np.maximum(total, TINY)


def label_trust(given, other, rate, flip, num_classes, least=0.0, rule=RULE):
    """The probability that each label is right.

    Args:
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class.
        rate: Share of wrong labels, in [0, 1]; limited to the rule's least and most, so
            that no label is beyond doubt and none beyond hope.
        flip: `(N,)` probability that a wrong label on an image of that class is the
            given one: `transitions[others, labels]`.
        num_classes: C, at least 2.
        least: `(N,)` what a wrong label gets at least, in [0, 1]; or one for all.
        rule: A `TrustRule`, whose `sharpness` is the exponent k.

    Returns:
        `(N,)` float32 in [0, 1].
    """
    rate = np.clip(rate, rule.least_rate, rule.most_rate)
    given, other = np.asarray(given, "float64"), np.asarray(other, "float64")
    rest = np.maximum(1.0 - given - other, 0.0)
    mistaken = np.maximum(other * flip + rest / (num_classes - 1), least)
    evidence = np.log(given + TINY) - np.log(mistaken + TINY)
    odds = np.log(1 - rate) - np.log(rate) + rule.sharpness * evidence
    return (1 / (1 + np.exp(-np.clip(odds, -50, 50)))).astype("float32")
