"""How labels came about: calibrated predictions, a confusion matrix, a noise rate.

A label `y` of a sample `x` is taken for a draw from `sum_c q_c(x) M[c, y]`. Here `q` is
the prediction of a network that has not seen the label, calibrated by a temperature
(Guo et al., "On Calibration of Modern Neural Networks", ICML 2017), and `M[c, y]` how
often class `c` is labelled `y`. Temperature and matrix maximise the likelihood of the
labels as they came; the matrix by expectation maximisation (Dawid and Skene, 1979). A
further row of `M` stands for samples of no class, whose share is given for each. So

    P(true class = c | x, y) = q_c(x) M[c, y] / sum_k q_k(x) M[k, y]

which for `c = y` is the probability that the label is right.
"""

from typing import Any, NamedTuple

import numpy as np

from josrc_keras.probe.head import softmax

# Labels of each class, of which as many are wrong as in the mean, that counting starts
# from.
STRENGTH = 5.0
ROUNDS = 60
TEMPERATURES = np.geomspace(0.25, 4.0, 17)
ROWS = 10_000  # The largest number of samples that the temperature is found on.
RESAMPLED = 100
TOLERANCE = 2.0  # Log-likelihood that a temperature may lack of the best.
TINY = 1e-9


class Confusion(NamedTuple):
    """What the labels say of how they came about.

    Attributes:
        temperature: Of the calibrated predictions; above 1 they were too sure.
        matrix: `(C + 1, C)`, rows that sum to 1: how often a class is labelled as
            which; the last row is of samples of no class.
        posterior: `(N, C + 1)`: the probability of each true class, given the label.
        right: `(N,)`: the probability that the label is right.
    """

    temperature: float
    matrix: Any
    posterior: Any
    right: Any


def fit(probs, labels, none=None):
    """Calibrates predictions by the labels, and finds how the labels came about.

    Args:
        probs: `(N, C)` probabilities of a network that has not seen the labels.
        labels: `(N,)` integers in [0, C).
        none: `(N,)` the share in [0, 1] of samples like this one that are of no class;
            None for 0.

    Returns:
        A `Confusion`.
    """
    count = len(probs)
    none = np.zeros(count) if none is None else np.asarray(none, "float64")
    logits = np.log(np.asarray(probs, "float64") + TINY)
    rows = np.arange(count)
    if count > ROWS:
        rows = np.random.default_rng(4).permutation(count)[:ROWS]
    likelihoods = [
        _maximise(_known(logits[rows], each, none[rows]), labels[rows])[1]
        for each in TEMPERATURES
    ]
    # Where all predictions are equally sure, wrong labels explain the labels as well as
    # unsure predictions do. Then the predictions are taken for as sure as they may be.
    likely = np.array(likelihoods) >= max(likelihoods) - TOLERANCE / len(rows)
    temperature = float(TEMPERATURES[likely][0])
    known = _known(logits, temperature, none)
    matrix = _maximise(known, labels)[0]
    posterior = _posterior(known, labels, matrix)[0]
    right = posterior[np.arange(count), labels]
    return Confusion(temperature, matrix, posterior, right)


def interval(known, labels, matrix, seed=0):
    """How far the noise rate may be off: a 95% interval, by drawing samples anew.

    Args:
        known: `(N, C + 1)` prior of each sample's class; see `prior_of`.
        labels: `(N,)` integers in [0, C).
        matrix: `(C + 1, C)`, which each maximisation starts from.
        seed: Seed of the draws.

    Returns:
        `(low, high)`, `(2, C)` of the rate of each given class (NaN without samples),
        and both of the share of samples of no class.
    """
    random = np.random.default_rng([seed, 5])
    rates, shares, of_classes = [], [], []
    classes = known.shape[1] - 1
    for _ in range(RESAMPLED):
        rows = random.integers(0, len(labels), min(len(labels), ROWS))
        drawn, given = known[rows], labels[rows]
        found = _maximise(drawn, given, matrix, rounds=5)[0]
        posterior = _posterior(drawn, given, found)[0]
        wrong = 1 - posterior[np.arange(len(rows)), given]
        rates.append(wrong.mean())
        shares.append(posterior[:, -1].mean())
        numbers = np.bincount(given, minlength=classes)
        sums = np.bincount(given, wrong, minlength=classes)
        of_classes.append(np.where(numbers, sums / np.maximum(numbers, 1), np.nan))
    narrowed = (len(rows) / len(labels)) ** 0.5  # Fewer were drawn than there are.
    return tuple(
        _quantiles(np.array(each), narrowed) for each in (rates, of_classes, shares)
    )


def _quantiles(values, narrowed):
    middle = values.mean(0)
    low, high = np.quantile(values, [0.025, 0.975], axis=0)
    return middle + (low - middle) * narrowed, middle + (high - middle) * narrowed


def prior_of(probs, temperature, none):
    """`(N, C + 1)`: the probability of each class, without its label."""
    logits = np.log(np.asarray(probs, "float64") + TINY)
    return _known(logits, temperature, np.asarray(none, "float64"))


def _known(logits, temperature, none):
    share = none[:, None]
    return np.concatenate([(1 - share) * softmax(logits / temperature), share], axis=1)


def _posterior(known, labels, matrix):
    """The posterior, and the mean log-likelihood of the labels."""
    joint = known * matrix[:, labels].T
    total = joint.sum(1, keepdims=True) + TINY**2
    return joint / total, float(np.log(total).mean())


def _maximise(known, labels, matrix=None, rounds=ROUNDS):
    """`(matrix, mean log-likelihood)` by expectation maximisation."""
    classes = known.shape[1] - 1
    if matrix is None:
        matrix = np.full((classes + 1, classes), 0.2 / max(classes - 1, 1))
        np.fill_diagonal(matrix, 0.8)
        matrix[-1] = 1 / classes
    likelihood = -np.inf
    for _ in range(rounds):
        posterior, now = _posterior(known, labels, matrix)
        matrix = _counted(posterior, labels, classes)
        if now - likelihood < 1e-7:
            break
        likelihood = now
    return matrix, likelihood


def _counted(posterior, labels, classes):
    """The matrix, counted from the posterior."""
    columns = np.ascontiguousarray(posterior.T)
    counts = np.stack(
        [np.bincount(labels, column, minlength=classes) for column in columns]
    )
    none, counts = counts[-1], counts[:-1]
    others = counts * (1 - np.eye(classes))
    totals = counts.sum(1, keepdims=True)
    mean = others.sum() / max(totals.sum(), TINY)  # How often labels are wrong at all.
    spread = STRENGTH * mean / max(classes - 1, 1) * (1 - np.eye(classes))
    matrix = (others + spread) / (totals + STRENGTH)
    matrix += np.diag(1 - matrix.sum(1))
    last = (none + STRENGTH / classes) / (none.sum() + STRENGTH)
    return np.concatenate([matrix, last[None]])
