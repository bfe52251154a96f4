"""How far each label is trusted, from what training has predicted of its sample.

The trust of a label is the probability that it is right. It follows from Bayes' rule,
for labels of which a share `n` was replaced. Let `g` be the probability that the
network gives the sample's label, `o` that of the best other class `c`, both averaged
over the last epochs, and `C` the number of classes. A wrong label on an image of class
`c` is `y` with probability `T[c, y]`. Then

    trust = (1 - n) g^k / ((1 - n) g^k + n w^k),   w = o T[c, y] + (1 - g - o) / (C - 1)

The exponent `k` (`sharpness`) decides how nearly that is yes or no.

The formula assumes that a network gives a wrong label no more than `w`. But it learns
some wrong labels by heart, and gives a little of each class to an out-of-distribution
image. So `w` is at least a share (`allowance`) of what trusted labels of the same class
get (`typical`), times how much of the labels that it trusts the network predicts
(`learnt`).

Neither `n` nor `T` is asked for. Both are counted among the samples that the network is
sure of, whose `max(g, o)` is at least the average:

- `T` is counted from the pairs of predicted and given class, where these differ.
- `n` is counted from how many differ. A network that is not reliable yet contradicts
  right labels, too, so only that counts which its own inconsistency does not explain:
  `n = v (1 - a / s)`. Here `a` is the share of the sure samples whose label the network
  agrees with, `s` the share of them whose predicted class is that of the epoch before,
  and `v` the share of all samples whose two views are predicted alike (eq. 4).

Where `TrustRule.leave_one_out` is set, `log(g / w)` is the mean of two: that of the
network, and that of a regression that has not seen the label (`leave_one_out`). Then
`n` is the larger of the rates that are counted from either's predictions.

docs/explanation/adaptive.md has the reasons, how the noise rate is held, and what is
taken from which paper. The formula for `n` is ours.
"""

import numpy as np

from josrc_keras.adaptive.rule import TrustRule

RULE = TrustRule()
TINY = 1e-12


def sure_samples(given, other):
    """`(N,)` boolean: whether `max(given, other)` is at least its average."""
    confidence = np.maximum(given, other)
    if not len(confidence):
        return np.zeros(0, bool)
    # The average of equal numbers may be above them by rounding.
    return confidence >= min(confidence.mean(), confidence.max())


def noise_rate(given, other, stable, consistent):
    """The share of wrong labels, counted where the network is sure.

    Args:
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class, in [0, 1].
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
    """How many of the right labels the network predicts.

    It is the share of all labels that the network predicts, divided by the share of
    right labels, `1 - rate`.

    Args:
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class, in [0, 1].
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
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class, in [0, 1].
        others: `(N,)` integers in `[0, C)`: the best other class.
        labels: `(N,)` given labels in `[0, C)`.
        num_classes: C, at least 2.
        rule: A `TrustRule`, whose `strength` counting starts from.

    Returns:
        `(C, C)`: a row for each true class, which sums to 1, with 0 on the diagonal.
    """
    counts = np.full((num_classes, num_classes), rule.strength / (num_classes - 1))
    wrong = sure_samples(given, other) & (np.asarray(other) > np.asarray(given))
    np.add.at(counts, (np.asarray(others)[wrong], np.asarray(labels)[wrong]), 1.0)
    np.fill_diagonal(counts, 0.0)
    return counts / counts.sum(axis=1, keepdims=True)


def typical(given, labels, num_classes):
    """What the trusted labels of each class get: a mean weighted by itself.

    It is `sum(g * g) / sum(g)` over the samples of a given class. The more a label
    gets, the more it counts, so wrong labels hardly count. A rare class, of whose
    images a network is less sure, is measured by its own labels.

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


def least_of_class(given, other, labels, rate, num_classes, rule=RULE):
    """The least that a wrong label of each class gets: `allowance * learnt * typical`.

    Args:
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class, in [0, 1].
        labels: `(N,)` given labels in `[0, C)`.
        rate: Share of wrong labels, in [0, 1].
        num_classes: C.
        rule: A `TrustRule`, whose `allowance` is the share.

    Returns:
        `(C,)` in [0, 1].
    """
    share = rule.allowance * learnt(given, other, rate, rule)
    return share * typical(given, labels, num_classes)


def evidence(given, other, flip, num_classes, least=0.0):
    """How much more likely each label is if it is right: `log(g / w)`.

    Args:
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class, in [0, 1].
        flip: `(N,)` probability that a wrong label on an image of the other class is
            the given one: `transitions[others, labels]`.
        num_classes: C, at least 2.
        least: The least that a wrong label gets, in [0, 1]: `(N,)`, or one number.

    Returns:
        `(N,)` float64, above 0 where the predictions speak for the label.
    """
    given, other = np.asarray(given, "float64"), np.asarray(other, "float64")
    rest = np.maximum(1.0 - given - other, 0.0)
    mistaken = np.maximum(other * flip + rest / (num_classes - 1), least)
    return np.log(given + TINY) - np.log(mistaken + TINY)


def label_trust(
    given, other, rate, flip, num_classes, least=0.0, rule=RULE, further=None
):
    """The probability that each label is right.

    Args:
        given: `(N,)` probability of the given label, in [0, 1].
        other: `(N,)` probability of the best other class, in [0, 1].
        rate: Share of wrong labels, in [0, 1]; limited to the rule's least and most, so
            that no label is beyond doubt and none beyond hope.
        flip: `(N,)`; see `evidence`.
        num_classes: C, at least 2.
        least: The least that a wrong label gets, in [0, 1]: `(N,)`, or one number.
        rule: A `TrustRule`, whose `sharpness` is the exponent k.
        further: `(N,)` the `evidence` of a second predictor, which counts as much as
            that of the first; None if there is none.

    Returns:
        `(N,)` float32 in [0, 1]; 1 = right.
    """
    rate = np.clip(rate, rule.least_rate, rule.most_rate)
    found = evidence(given, other, flip, num_classes, least)
    if further is not None:
        found = (found + further) / 2
    odds = np.log(1 - rate) - np.log(rate) + rule.sharpness * found
    return _probability(odds).astype("float32")


def balanced(trust, labels, num_classes, share):
    """Moves the mean trust in the labels of each class to that of all labels.

    Selecting as many labels of each class keeps a hard class from being doubted as a
    whole (Sheng et al., "Foster Adaptivity and Balance in Learning with Noisy Labels",
    ECCV 2024). Here the log-odds of all labels of a class are shifted alike.

    Args:
        trust: `(N,)` in [0, 1].
        labels: `(N,)` given labels in `[0, C)`.
        num_classes: C.
        share: How far the means are moved, in [0, 1]; 0 changes nothing.

    Returns:
        `(N,)` float32 in [0, 1].
    """
    trust = np.asarray(trust, "float64")
    if not share or not len(trust):
        return trust.astype("float32")
    count = np.bincount(labels, minlength=num_classes)
    mean = np.bincount(labels, trust, num_classes) / np.maximum(count, 1)
    shift = share * (_log_odds(trust.mean()) - _log_odds(mean))
    return _probability(_log_odds(trust) + shift[labels]).astype("float32")


def _log_odds(probability):
    probability = np.clip(probability, TINY, 1 - TINY)
    return np.log(probability) - np.log(1 - probability)


def _probability(log_odds):
    return 1 / (1 + np.exp(-np.clip(log_odds, -50, 50)))
