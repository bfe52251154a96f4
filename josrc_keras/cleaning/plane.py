"""Places of samples on a map: their features along two directions."""

import numpy as np

SIDE = 1000  # Places are integers from 0 to this.
OUTSIDE = 0.5  # Percent at either end of an axis that lie at its end.


def places(features, labels):
    """Places on a plane where samples of different classes lie apart.

    The axes are the first two principal components of the classes' mean features, so
    that they are the directions in which the classes differ most. Where there are two
    classes, the second axis is the first principal component of what is left of the
    features of at most 1,000 samples.

    Args:
        features: `(N, F)` float.
        labels: `(N,)` integers: the classes that are suggested, since given ones may be
            wrong.

    Returns:
        `(N, 2)` integers in [0, `SIDE`].
    """
    features = np.asarray(features, "float32")
    middle = features.mean(0)
    order = np.argsort(labels, kind="stable")
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    means = np.add.reduceat(features[order], starts) / counts[:, None]
    axes = _components(means - means.mean(0))[: min(2, len(means) - 1)]
    if len(axes) < 2:
        step = -(-len(features) // 1000)
        rest = features[::step] - middle
        rest -= (rest @ axes.T) @ axes
        axes = np.concatenate([axes, _components(rest)])[:2]
    placed = np.zeros((len(features), 2))
    placed[:, : len(axes)] = (features - middle) @ axes.T
    low, high = np.percentile(placed, (OUTSIDE, 100 - OUTSIDE), axis=0)
    scaled = (placed - low) / np.maximum(high - low, 1e-12)
    return np.rint(np.clip(scaled, 0, 1) * SIDE).astype(int)


def _components(rows):
    """The directions `(K, F)` of the largest variance, those without any left out."""
    _, size, axes = np.linalg.svd(rows, full_matrices=False)
    axes = axes[size > 1e-6 * max(size[0], 1e-12)]
    # The sign is arbitrary: the largest entry is positive, on every machine.
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
    return axes * np.sign(largest)
