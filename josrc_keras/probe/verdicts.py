"""From out-of-sample predictions to the table of an audit, with estimates."""

from typing import Any, NamedTuple

import numpy as np

from josrc_keras import _checks
from josrc_keras.audit import scores
from josrc_keras.audit.table import COLUMNS
from josrc_keras.probe import confusion, outside
from josrc_keras.probe.head import softmax

SURE = 0.7  # A wrong label gets a verdict on its kind at this probability, else none.
SMOOTHING = 0.5  # The clean likelihood (eq. 3) compares with labels this smooth.
# Beside chance, the estimate of the noise rate is off by a share of itself and a little
# more, by what benchmarks/photos.py found on seeds that are not reported.
BIAS = (0.05, 0.01)
PAIRS = 50
FOUND = 0.9  # Share of the wrong labels that the recommended number of photos holds.


class Predictions(NamedTuple):
    """What an audit is made from.

    Attributes:
        probs: `(N, C)` probabilities of a network that has not seen the labels.
        labels: `(N,)` integers in [0, C).
        view_probs: `(N, V, C)` by view, or None.
        features: `(N, F)`, or what is read by rows, or None.
        judged: `(N,)` boolean: whether there was a network that has learnt the class
            without the sample; None for all.
    """

    probs: Any
    labels: Any
    view_probs: Any = None
    features: Any = None
    judged: Any = None


def table_of(found, class_names, ids, seed=0):
    """The audit of predictions.

    Args:
        found: A `Predictions`.
        class_names: `(C,)` names.
        ids: `(N,)` names of the samples.
        seed: Seed of the intervals.

    Returns:
        `(table, estimates)`: a `pandas.DataFrame` with `audit.COLUMNS`, `ood_share`
        (the calibrated probability of being of no class) and `paper_verdict`; and a
        dict that JSON can hold, see `estimates_of`.
    """
    pandas = _checks.imported("pandas", "An audit is a table of pandas", "report")
    labels = np.asarray(found.labels)
    count = len(labels)
    rows = np.arange(count)
    first = confusion.fit(found.probs, labels)
    ranking, none = outside.shares(
        np.log(found.probs + outside.TINY), labels, first.right, found.features
    )
    known = first if none is None else confusion.fit(found.probs, labels, none)
    right = reordered(known.right, found.probs[rows, labels])
    ood = known.posterior[:, -1] * (1 - right) / np.maximum(1 - known.right, 1e-9)
    prior = confusion.prior_of(
        found.probs, known.temperature, np.zeros(count) if none is None else none
    )
    estimates = estimates_of(known, prior, labels, class_names, seed)
    if found.judged is not None:
        right[~found.judged] = 1 - estimates["noise_rate"]
    predicted = found.probs.argmax(1)
    verdict = _verdicts(right, ood, predicted == labels, none is not None, found.judged)
    names = np.array([str(name) for name in class_names], object)
    calibrated = softmax(np.log(found.probs + outside.TINY) / known.temperature)
    unknown = np.full(count, np.nan)
    columns = {
        "id": ids,
        "given_label": labels,
        "given_name": names[labels],
        "verdict": verdict,
        "is_label_issue": verdict != scores.CLEAN,
        "label_score": np.clip(right, 0, 1),
        "clean_likelihood": _clean_likelihood(found.probs, labels),
        "ood_score": ranking * np.sqrt(np.clip(1 - right, 0, 1)),
        "predicted_label": predicted,
        "predicted_name": names[predicted],
        "predicted_probability": calibrated[rows, predicted],
        **{name: unknown for name in COLUMNS if name.endswith("_share")},
        "duplicate_set": np.full(count, -1),
        "ood_share": np.clip(ood, 0, 1),
        "paper_verdict": _of_the_paper(found, labels),
    }
    table = pandas.DataFrame(columns)
    estimates["check"] = to_check(right)
    return table[[*COLUMNS, "ood_share", "paper_verdict"]], estimates


def reordered(right, given):
    """The same probabilities that labels are right, in an order that needs less.

    `right` is sound where wrong labels depend on the class alone. Where they depend on
    the image, as those that a weak model gave, what looks like a habit of the labels is
    how alike two classes are, and the probability of the given label ranks better. So
    labels are ranked by the geometric mean of both. How many are probably right stays
    as it was.

    Args:
        right: `(N,)` in [0, 1], from the estimated confusion of classes.
        given: `(N,)` in [0, 1]: what the network gives the label.

    Returns:
        `(N,)` in [0, 1], of the same values as `right`.
    """
    order = np.argsort(np.sqrt(right * given), kind="stable")
    moved = np.empty_like(right)
    moved[order] = np.sort(right)
    return moved


def _verdicts(right, ood, agrees, told, judged):
    """The verdict on each sample; of a wrong label's kind only where it is clear."""
    wrong = right < scores.ISSUE_BELOW
    if judged is not None:
        wrong = wrong & judged
    outside_share = ood / np.maximum(1 - right, 1e-9)
    # No other class is right where the network predicts the given one.
    is_outside = (
        wrong & told & ((outside_share >= SURE) | (agrees & (outside_share > 0.5)))
    )
    is_inside = wrong & ~agrees & (~np.bool_(told) | (outside_share <= 1 - SURE))
    return np.select(
        [is_outside, is_inside, wrong],
        [scores.OUT_OF_DISTRIBUTION, scores.IN_DISTRIBUTION, scores.UNDECIDED],
        scores.CLEAN,
    )


def _clean_likelihood(probs, labels):
    """Eq. 3: one less the divergence of prediction and smoothed label, `(N,)`."""
    classes = probs.shape[1]
    smooth = np.full(probs.shape, SMOOTHING / classes)
    smooth[np.arange(len(labels)), labels] += 1 - SMOOTHING
    middle = (probs + smooth) / 2
    terms = [p * np.log2((p + 1e-12) / middle) for p in (probs, smooth)]
    return np.clip(1 - sum(each.sum(1) for each in terms) / 2, 0, 1)


def _of_the_paper(found, labels):
    """The paper's verdict: eq. 4 on two views of what is not clean; empty without."""
    if found.view_probs is None or found.view_probs.shape[1] < 2:
        return np.full(len(labels), "", object)
    likelihood = _clean_likelihood(found.probs, labels)
    first, last = (found.view_probs[:, at].argmax(-1) for at in (0, -1))
    clean = likelihood > np.median(likelihood[found.probs.argmax(1) == labels]) / 2
    return np.select(
        [clean, first == last],
        [scores.CLEAN, scores.IN_DISTRIBUTION],
        scores.OUT_OF_DISTRIBUTION,
    )


def to_check(right, share=FOUND):
    """How many samples, worst first, are expected to hold a share of wrong labels.

    Args:
        right: `(N,)` the probability that each label is right.
        share: In (0, 1).

    Returns:
        A dict of `photos` and `share`.
    """
    wrong = np.sort(1 - right)[::-1]
    sums = np.cumsum(wrong)
    photos = int(np.searchsorted(sums, share * sums[-1]) + 1) if sums[-1] > 0 else 0
    return {"photos": min(photos, len(right)), "share": share}


def estimates_of(known, prior, labels, class_names, seed=0):
    """Estimates of the whole set, with 95% intervals.

    Args:
        known: A `confusion.Confusion`.
        prior: `(N, C + 1)`, of `confusion.prior_of`.
        labels: `(N,)` integers in [0, C).
        class_names: `(C,)` names.
        seed: Seed of the intervals.

    Returns:
        A dict that JSON can hold: `noise_rate`, `ood_rate`, each with `..._interval`;
        `by_class`, a list of `name`, `noise_rate` and `noise_rate_interval`; and
        `pairs`, the most frequent wrong labels, of `given_name`, `true_name`, the
        expected number of `photos` and its `photos_interval`.
    """
    rate, by_class, share = confusion.interval(prior, labels, known.matrix, seed)
    wrong = 1 - known.right
    noise, none = float(wrong.mean()), float(known.posterior[:, -1].mean())
    classes = []
    for label, name in enumerate(class_names):
        rows = labels == label
        if rows.any():
            of_class = float(wrong[rows].mean())
            low, high = (float(each[label]) for each in by_class)
            classes.append(
                {
                    "name": str(name),
                    "noise_rate": of_class,
                    "noise_rate_interval": _widened(of_class, low, high),
                }
            )
    return {
        "noise_rate": noise,
        "noise_rate_interval": _widened(noise, *map(float, rate)),
        "ood_rate": none,
        "ood_rate_interval": _widened(none, *map(float, share)),
        "by_class": classes,
        "pairs": _pairs(known, labels, class_names),
    }


def _widened(value, low, high):
    """An interval with what the estimate is off by, beside chance."""
    bias = BIAS[0] * value + BIAS[1]
    return [max(min(low, value) - bias, 0.0), min(max(high, value) + bias, 1.0)]


def _pairs(known, labels, class_names):
    classes = known.posterior.shape[1] - 1
    expected = np.stack(
        [
            np.bincount(labels, column, minlength=classes)
            for column in known.posterior[:, :-1].T
        ]
    )
    np.fill_diagonal(expected, 0)
    order = np.argsort(-expected, axis=None, kind="stable")[:PAIRS]
    pairs = []
    for true, given in zip(*np.unravel_index(order, expected.shape), strict=True):
        photos = float(expected[true, given])
        if photos < 0.5:
            break
        # The number is a sum of draws, of which the variance is at most the mean.
        reach = 1.96 * photos**0.5
        pairs.append(
            {
                "given_name": str(class_names[given]),
                "true_name": str(class_names[true]),
                "photos": photos,
                "photos_interval": [max(photos - reach, 0.0), photos + reach],
            }
        )
    return pairs
