"""Principal components of features: fewer numbers of a photo, of a known scale."""

import tempfile
from typing import Any, NamedTuple

import numpy as np

WIDTH = 256
ROWS = 10_000  # The largest number of samples that components are computed from.
BLOCK = 512
TINY = 1e-6


class Projection(NamedTuple):
    """An affine map of features.

    Attributes:
        mean: `(F,)` float32, which is subtracted.
        matrix: `(F, d)` float32.
    """

    mean: Any
    matrix: Any

    def of(self, features):
        """`(..., d)` float32 of features `(..., F)`."""
        return (np.asarray(features, "float32") - self.mean) @ self.matrix


def fit(features, width=WIDTH, seed=0):
    """The projection on the largest principal components of standardised features.

    Args:
        features: `(N, V, F)`: V views of each sample.
        width: The largest d. Fewer components are taken of few samples or features.
        seed: Seed of the choice of at most `ROWS` samples.

    Returns:
        A `Projection`, after which the squares are 1 in the mean.
    """
    count, _, size = features.shape
    rows = np.arange(count)
    if count > ROWS:
        rows = np.sort(np.random.default_rng([seed, 3]).permutation(count)[:ROWS])
    seen = np.asarray(features[rows], "float32").reshape(-1, size)
    mean, scale = seen.mean(0), seen.std(0)
    usable = scale > TINY * max(float(scale.max()), TINY)
    inverse = np.where(usable, 1 / np.maximum(scale, TINY), 0).astype("float32")
    seen = (seen - mean) * inverse
    values, vectors = np.linalg.eigh(seen.T @ seen / len(seen))
    width = int(min(width, (values > TINY).sum()))
    if not width:
        raise ValueError(
            "Expected features that differ between samples. Received: "
            f"{count} samples of equal features. Choose another backbone."
        )
    # A component has no sign of its own: its largest entry is made positive.
    basis = vectors[:, ::-1][:, :width]
    basis = basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(width)])
    total = np.sqrt(values[::-1][:width].mean())
    matrix = inverse[:, None] * basis / total
    return Projection(mean.astype("float32"), matrix.astype("float32"))


def project(projection, features, folder=None):
    """`(N, V, d)` float32 of `(N, V, F)`, a block at a time.

    Args:
        projection: A `Projection`.
        features: `(N, V, F)`, or what is read by rows, such as `store.Features`.
        folder: Folder of a nameless file that holds the result, which is mapped into
            memory; None keeps it in memory.
    """
    count, views, _ = features.shape
    made = _empty((count, views, projection.matrix.shape[1]), folder)
    for start in range(0, count, BLOCK):
        rows = slice(start, start + BLOCK)
        made[rows] = projection.of(features[rows])
    return made


def _empty(shape, folder):
    if folder is None:
        return np.empty(shape, "float32")
    with tempfile.TemporaryFile(dir=folder) as file:  # The mapping keeps it.
        return np.memmap(file, "float32", "w+", shape=shape)
