"""Label errors that depend on the image: a weak network's mistakes as labels."""

import numpy as np

FOLDS = 2
PENALTY = 0.1  # Penalty on the squared weights, for each sample.
SIDE = 8  # Pixels a side that the weak network sees.


def weak_labels(images, labels, *, num_classes, rate, seed):
    """Labels images that a weak network mistakes by the class it takes them for.

    The network is linear. It is fitted by least squares to the true labels of one half
    of the images, scaled down, and predicts the other half. Images are ranked by how
    much more it predicts another class than the true one, and the first of them, a
    share `rate` of the in-distribution images, get that class. So errors lie where
    images are hard, and between classes that look alike, as people's do.
    Out-of-distribution images get the class that the network takes them for.

    Args:
        images: `(N, H, W, channels)` pixels.
        labels: `(N,)` true labels; below 0 for out-of-distribution images.
        num_classes: C.
        rate: Share of the in-distribution labels to be wrong, in [0, 1].
        seed: Seed of the halves.

    Returns:
        `(N,)` int64 given labels in `[0, C)`.

    Raises:
        ValueError: If `rate` is out of range, or a half lacks images.
    """
    labels = np.asarray(labels)
    inside = labels >= 0
    if not 0 <= rate <= 1:
        raise ValueError(f"The noise rate must be in [0, 1]. Received: rate={rate}.")
    if inside.sum() < FOLDS:
        raise ValueError(
            "A weak network needs images to learn from. Received: "
            f"{inside.sum()} in-distribution images."
        )
    scores = _scores(_features(images), labels, num_classes, seed)
    of_true = np.take_along_axis(scores, np.maximum(labels, 0)[:, None], 1)[:, 0]
    others = scores.copy()
    others[np.flatnonzero(inside), labels[inside]] = -np.inf
    mistaken = others.argmax(axis=1)
    margin = np.where(inside, others.max(axis=1) - of_true, -np.inf)
    surest = np.argsort(-margin, kind="stable")[: round(rate * inside.sum())]
    given = np.where(inside, labels, mistaken).astype(np.int64)
    given[surest] = mistaken[surest]
    return given


def _features(images):
    """`(N, F)` standardised means of blocks of pixels, and a column of ones."""
    images = np.asarray(images, "float64")
    count, height, width, channels = images.shape
    down, across = max(height // SIDE, 1), max(width // SIDE, 1)
    rows, columns = height // down, width // across
    blocks = images[:, : rows * down, : columns * across].reshape(
        count, rows, down, columns, across, channels
    )
    flat = blocks.mean(axis=(2, 4)).reshape(count, -1)
    flat = (flat - flat.mean(axis=0)) / (flat.std(axis=0) + 1e-6)
    return np.concatenate([flat, np.ones((count, 1))], axis=1)


def _scores(features, labels, num_classes, seed):
    """`(N, C)` predictions for each image, by the network fitted to the other half."""
    fold = np.random.default_rng(seed).permutation(len(labels)) % FOLDS
    targets = np.eye(num_classes)[np.maximum(labels, 0)] - 1 / num_classes
    scores = np.empty((len(labels), num_classes))
    for number in range(FOLDS):
        seen = (fold != number) & (labels >= 0)
        if not seen.any():
            raise ValueError(
                "A weak network needs images to learn from. Received: none in-"
                f"distribution in one half of {len(labels)}. Give more of them."
            )
        known, wanted = features[seen], targets[seen]
        gram = known.T @ known + PENALTY * len(known) * np.eye(known.shape[1])
        weights = np.linalg.solve(gram, known.T @ wanted)
        scores[fold == number] = features[fold == number] @ weights
    return scores
