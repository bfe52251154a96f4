"""From evidence to scores and verdicts: pure functions on NumPy arrays.

The evidence on a sample is the probability and the logit of its given label, and the
largest logit of the other classes. Each is a mean over views and, where it was
recorded, over the epochs of training. What is high and what is low is read off the
dataset itself, from the samples whose label the network agrees with. No noise rate is
needed.
"""

from typing import Any

import numpy as np

CLEAN = "clean"
IN_DISTRIBUTION = "in_distribution_noise"
OUT_OF_DISTRIBUTION = "out_of_distribution"
UNDECIDED = "undecided"  # The label looks wrong, and whether a class fits is open.
VERDICTS = (CLEAN, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, UNDECIDED)
ISSUE_BELOW = 0.5


def label_score(given_prob: Any, agrees: Any) -> np.ndarray:
    """How likely the given label is right, from its probability.

    Let x be the probability divided by its median among the samples whose label the
    network agrees with. The score is `x^2 / (x^2 + 1/4)`: 0.5 at half of what a right
    label typically gets, 0.8 at what it typically gets. It grows with the probability,
    so that a confident right prediction is never called wrong.

    Args:
        given_prob: `(N,)` in [0, 1]; a mean over views or epochs.
        agrees: `(N,)` boolean: whether the predicted class is the given one.

    Returns:
        `(N,)` float64 from 0 (wrong) to below 1 (right), meant for ranking. It is a
        probability only as far as right labels of all classes are learnt alike: a rare
        or hard class scores lower.
    """
    given_prob = np.asarray(given_prob, "float64")  # Squares of float32 overflow.
    typical = _median(given_prob, agrees)
    x = given_prob / max(typical, np.finfo("float32").tiny)
    return x**2 / (x**2 + 0.25)


def weighed(of_history: Any, of_now: Any) -> tuple[np.ndarray, float]:
    """The average of the label scores of training's history and of its end.

    The history ranks wrong labels best, since a network learns some of them by heart in
    the end. But in a short training most epochs know little, and then the history calls
    fewer labels wrong than the trained network does. So it counts in full where it
    calls at least as many wrong, and not at all where it calls at most half as many.
    The scores are averaged as log-odds.

    Args:
        of_history: `(N,)` label scores in [0, 1], from the mean over the epochs.
        of_now: `(N,)` label scores in [0, 1], from the trained network.

    Returns:
        `(N,)` float64 label scores, and the weight of the history in [0, 1].
    """
    before, now = (float((each < ISSUE_BELOW).mean()) for each in (of_history, of_now))
    weight = 1.0 if before >= now else max(2 * before / now - 1, 0.0)
    if weight == 1.0:
        return np.asarray(of_history, "float64"), weight
    odds = weight * _log_odds(of_history) + (1 - weight) * _log_odds(of_now)
    return 1 / (1 + np.exp(-odds)), weight


def on_scale_of(score: Any, reference: Any) -> np.ndarray:
    """Label scores of samples not trained on, on the scale of those that were.

    A network contradicts more labels of images that it has not seen, right ones, too.
    So a score is raised to the score at the same place in the reference, counted from
    the worst to the best. None is lowered: labels of which fewer are wrong stay as
    they are. Where more are wrong than in the reference, too few are called so, in the
    right order.

    Args:
        score: `(N,)` label scores in [0, 1], to be raised.
        reference: `(M,)` label scores in [0, 1] of samples that were trained on.

    Returns:
        `(N,)` float64 in the order of `score`.
    """
    score = np.asarray(score, "float64")
    places = (np.argsort(np.argsort(score, kind="stable")) + 0.5) / max(len(score), 1)
    return np.maximum(score, np.quantile(reference, places))


def ood_score(
    given_logit: Any, other_logit: Any, score: Any, belief: Any = None
) -> np.ndarray:
    """Evidence that an image is out-of-distribution.

    The score is a logistic function of the mean of two distances, or without `belief`
    of the first one. At a distance of 0.5 it is 0.5 and has the slope 1.

    - The first says how badly the classes fit. It is 0 where a class fits as well as
      the given class of samples with a good label (a label score of at least 0.5), and
      1 where it fits as badly as their best other class. The given class of a sample
      counts as far as its label scores.
    - The second says how low the labels of similar images score. It is 0 where they
      score as around good labels, and 1 as around the worst fiftieth of all samples.

    Args:
        given_logit: `(N,)` logit of the given class; a mean over views or epochs.
        other_logit: `(N,)` largest logit of the other classes, likewise.
        score: `(N,)` label scores in [0, 1].
        belief: `(N,)` mean label score of a sample's neighbours, from
            `neighbours.belief`, or None.

    Returns:
        `(N,)` float64 in (0, 1), 1 = out-of-distribution; 0.5 everywhere if the given
        classes fit no better than the others. It can't be better than the network's
        idea of the classes: out-of-distribution images that look like a class score
        low.
    """
    good = score >= ISSUE_BELOW
    own_fit, other_fit = _median(given_logit, good), _median(other_logit, good)
    fit = other_logit + score * np.maximum(given_logit - other_logit, 0)
    if not own_fit > other_fit:
        return np.full(len(score), 0.5)
    distance = (own_fit - fit) / (own_fit - other_fit)
    if belief is not None:
        usual, least = _median(belief, good), np.quantile(belief, 0.02)
        if usual > least:
            distance = (distance + (usual - belief) / (usual - least)) / 2
    return 1 / (1 + np.exp(np.clip(4 * (0.5 - distance), -50, 50)))


def verdicts(score: Any, ood: Any, agrees: Any) -> np.ndarray:
    """The verdict on each sample.

    Args:
        score: `(N,)` label scores; below 0.5 the label is called wrong.
        ood: `(N,)` out-of-distribution scores; above 0.5 a sample with a wrong label is
            called out-of-distribution.
        agrees: `(N,)` boolean: whether the predicted class is the given one. Then there
            is no other class to suggest, and a sample with a wrong label is called
            out-of-distribution, too.

    Returns:
        `(N,)` array of strings from `VERDICTS`, none of them `UNDECIDED`.
    """
    wrong = score < ISSUE_BELOW
    outside = wrong & ((ood > 0.5) | agrees)
    return np.select([outside, wrong], [OUT_OF_DISTRIBUTION, IN_DISTRIBUTION], CLEAN)


def _log_odds(score):
    score = np.clip(score, 1e-9, 1 - 1e-9)
    return np.log(score) - np.log(1 - score)


def _median(values, chosen):
    """The median of the chosen values, or of all values where none is chosen."""
    return float(np.median(values[chosen] if chosen.any() else values))
