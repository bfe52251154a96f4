"""Seeded label noise, drawn in the dataset's original index order."""

import hashlib
from typing import Literal

import numpy as np

Kind = Literal["symmetric", "pairflip", "blockflip"]
KINDS = ("symmetric", "pairflip", "blockflip")
BLOCK = 5  # JoCoR's CIFAR-100 "asymmetric" flips within blocks of five labels.


def transition_matrix(kind: Kind, num_classes: int, rate: float) -> np.ndarray:
    """The probabilities `T[true, given]` of a noise kind.

    With rate n, and C = 4 for the first two kinds:

        symmetric                        pairflip
        | 1-n  n/3  n/3  n/3 |           | 1-n   n    0    0  |
        | n/3  1-n  n/3  n/3 |           |  0   1-n   n    0  |
        | n/3  n/3  1-n  n/3 |           |  0    0   1-n   n  |
        | n/3  n/3  n/3  1-n |           |  n    0    0   1-n |

        blockflip, C = 10, with the pairflip P of five classes in each block of five
        | P  0 |
        | 0  P |

    `symmetric` flips to each other class with equal probability. `pairflip` flips
    class i to i + 1 (the paper's published code calls this asymmetric). `blockflip`
    flips to the next class in the block of five labels (JoCoR calls this asymmetric on
    CIFAR-100).

    Args:
        kind: One of `KINDS`.
        num_classes: C, at least 2; a multiple of five for `blockflip`.
        rate: n, the share of labels that are flipped, in [0, 1].

    Returns:
        `(C, C)` float64, rows sum to 1.

    Raises:
        ValueError: If an argument is out of range.
    """
    if kind not in KINDS:
        raise ValueError(f"Unknown noise kind. Received: {kind!r}. Use one of {KINDS}.")
    if not 0 <= rate <= 1:
        raise ValueError(f"The noise rate must be in [0, 1]. Received: rate={rate}.")
    if num_classes < 2:
        raise ValueError(
            "Label noise needs at least two classes to flip between. Received: "
            f"num_classes={num_classes}."
        )
    keep = (1.0 - rate) * np.eye(num_classes)
    if kind == "symmetric":
        return keep + rate / (num_classes - 1) * (1.0 - np.eye(num_classes))
    classes = np.arange(num_classes)
    if kind == "pairflip":
        target = (classes + 1) % num_classes
    else:
        if num_classes % BLOCK:
            raise ValueError(
                f"`blockflip` flips within blocks of {BLOCK} classes. Received: "
                f"num_classes={num_classes}, not a multiple of {BLOCK}. Use 'pairflip'."
            )
        target = classes // BLOCK * BLOCK + (classes + 1) % BLOCK
    keep[classes, target] += rate
    return keep


def corrupt(
    labels: np.ndarray, *, kind: Kind, num_classes: int, rate: float, seed: int
) -> np.ndarray:
    """Draws a given label for each true one, with one uniform draw a sample.

    Sample i of the original order consumes draw i of the seed's stream, whatever its
    class. So one seed is one set of labels everywhere, and samples of a subset keep
    their labels.

    Args:
        labels: `(N,)` true labels in original index order. A label below 0 or from
            `num_classes` up marks an out-of-distribution image, which gets one of the
            `num_classes` labels at random.
        kind: One of `KINDS`.
        num_classes: Number of in-distribution classes.
        rate: Share of the in-distribution labels that are flipped, in [0, 1].
        seed: Seed of the draw.

    Returns:
        `(N,)` int64 given labels in `[0, num_classes)`.

    Raises:
        ValueError: If an argument is out of range.
    """
    labels = np.asarray(labels)
    matrix = transition_matrix(kind, num_classes, rate)
    draws = np.random.default_rng(seed).random(len(labels))
    # Out-of-distribution images keep this uniform label.
    given = (draws * num_classes).astype(np.int64)
    inside = (labels >= 0) & (labels < num_classes)
    cumulative = np.cumsum(matrix, axis=1)[labels[inside]]
    flipped = (draws[inside, None] >= cumulative).sum(axis=1)
    given[inside] = np.minimum(flipped, num_classes - 1)
    return given


def checksum(labels: np.ndarray) -> str:
    """SHA-256 of the labels as little-endian int64, in hexadecimal."""
    return hashlib.sha256(np.asarray(labels).astype("<i8").tobytes()).hexdigest()
