"""A pass over the training data in the order of its rows, with nothing learnt."""

from typing import Any

import numpy as np


def log_probabilities(model: Any, batches: Any, count: int | None = None) -> np.ndarray:
    """What a model predicts of every sample, as in evaluation.

    Networks are in evaluation mode, and images are not augmented.

    Args:
        model: A model of this package.
        batches: Images `(N, H, W, channels)`, or a function without arguments that
            returns data for `model.predict` in the order of the rows, such as
            `lambda: data.batches.evaluation_batches(split, batch_size=100)`.
        count: N, for batches whose last one is filled up; None takes all rows.

    Returns:
        `(N, C)` float64 logarithms of probabilities, in nats, at most 0.

    Raises:
        ValueError: If there are fewer rows than `count`, or a prediction is NaN or
            infinite.
    """
    logits = model.predict(batches() if callable(batches) else batches, verbose=0)
    logits = np.asarray(logits, "float64")
    count = len(logits) if count is None else count
    if len(logits) < count:
        raise ValueError(
            f"Expected predictions of {count} samples. Received: {len(logits)}. Pass "
            "batches of the whole training set, in the order of its rows."
        )
    logits = logits[:count]
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    if broken:
        raise ValueError(
            f"Expected finite predictions of {count} samples. Received: {broken} with "
            "NaN or infinity. Lower the learning rate."
        )
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def cross_entropies(log_probs: np.ndarray, labels: Any) -> np.ndarray:
    """The loss of every sample.

    Args:
        log_probs: `(N, C)` as `log_probabilities` returns them.
        labels: `(N,)` integers in `[0, C)`.

    Returns:
        `(N,)` float64 in nats, at least 0.
    """
    labels = np.asarray(labels)
    return -log_probs[np.arange(len(labels)), labels]
