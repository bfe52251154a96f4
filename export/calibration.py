"""Temperature scaling: probabilities that are right as often as they say."""

import numpy as np

TEMPERATURES = np.geomspace(0.02, 50, 1000)
CONFIDENT = 0.2  # Share of the predictions that the noise rate is estimated on.


def expected_calibration_error(
    probs: np.ndarray, labels: np.ndarray, bins: int = 15
) -> float:
    """Expected calibration error of the most probable class (Guo et al., 2017, eq. 3).

    This is the mean absolute difference between confidence and accuracy over bins of
    equal width in confidence, weighted by the number of samples in them.

    Args:
        probs: `(N, C)` probabilities, rows sum to 1.
        labels: `(N,)` true labels in `[0, C)`.
        bins: Number of bins.

    Returns:
        A number in [0, 1]; 0 is best.
    """
    confidence = probs.max(axis=1)
    right = probs.argmax(axis=1) == labels
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(number, right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def fit_temperature(
    logits: np.ndarray, labels: np.ndarray, label_noise: float | None = 0.0
) -> tuple[float, float]:
    """The temperature whose probabilities fit held-out labels best.

    With right labels it is the temperature of the greatest likelihood (Guo et al.,
    2017). With wrong labels among them, the likelihood would prefer modest predictions,
    and keeping only labels that the network agrees with would prefer certain ones. So
    the temperature is chosen whose mean confidence equals the estimated accuracy a: if
    a share r of the labels is moved to any other class, `(1 - r) a + r (1 - a) /
    (C - 1)` of the predictions agree with their label. A few hundred labels are needed.

    Args:
        logits: `(N, C)` of images that were not trained on.
        labels: `(N,)` in `[0, C)`.
        label_noise: The share r of wrong labels, in [0, 1). 0 is for right labels. None
            estimates it on the fifth of the predictions that are most certain, as if
            these were right.

    Returns:
        The temperature, in [0.02, 50], and the share r that was used.

    Raises:
        ValueError: If there are no labels, or `label_noise` is out of range.
    """
    logits, labels = np.asarray(logits, "float64"), np.asarray(labels)
    if not len(labels) or len(labels) != len(logits):
        raise ValueError(
            "Expected as many labels as logits, at least one. Received: "
            f"{len(labels)} and {len(logits)}."
        )
    if label_noise is not None and not 0 <= label_noise < 1:
        raise ValueError(
            f"Expected label_noise in [0, 1), or None. Received: {label_noise}."
        )
    if label_noise is None:
        label_noise = estimate_noise(logits, labels)
    if label_noise == 0:
        costs = [_cross_entropy(logits / t, labels) for t in TEMPERATURES]
    else:
        expected = _accuracy(logits, labels, label_noise)
        confidences = [softmax(logits / t).max(axis=1).mean() for t in TEMPERATURES]
        costs = np.abs(np.asarray(confidences) - expected)
    return float(TEMPERATURES[int(np.argmin(costs))]), float(label_noise)


def estimate_noise(logits, labels):
    """The share of wrong labels, if the most certain predictions are right.

    The most certain predictions are the fifth with the highest probability.

    Args:
        logits: `(N, C)`.
        labels: `(N,)` in `[0, C)`, some of them wrong.

    Returns:
        A number in [0, 0.95].
    """
    logits = np.asarray(logits)
    certain = np.argsort(-softmax(logits).max(axis=1), kind="stable")
    certain = certain[: max(1, round(CONFIDENT * len(labels)))]
    agree = np.mean(logits.argmax(axis=1)[certain] == np.asarray(labels)[certain])
    return float(min(1 - agree, 0.95))


def _cross_entropy(logits, labels):
    """Mean cross-entropy in nats, with targets smoothed as if one more label was wrong.

    Without this, labels that are all predicted would ask for certainty without limit
    (Platt, 1999, section 2.2).
    """
    count, classes = logits.shape
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    own = log_probs[np.arange(count), labels]
    others = (log_probs.sum(axis=1) - own) / (classes - 1)
    wrong = 1 / (count + 2)
    return -((1 - wrong) * own + wrong * others).mean()


def _accuracy(logits, labels, label_noise):
    """The share of right predictions, from the share that agrees with noisy labels."""
    classes = logits.shape[1]
    agree = np.mean(logits.argmax(axis=1) == labels)
    by_chance = label_noise / (classes - 1)
    if label_noise + by_chance >= 1:  # The labels say nothing.
        return 1 / classes
    accuracy = (agree - by_chance) / (1 - label_noise - by_chance)
    return float(np.clip(accuracy, 1 / classes, 1 - 1 / (len(labels) + 2)))


def softmax(logits):
    """Probabilities `(N, C)` of logits, in NumPy."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
