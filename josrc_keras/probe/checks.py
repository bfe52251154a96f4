"""Checks of what an audit is given."""

import numpy as np
from absl import logging

SHOWN = 5


def probs(given):
    """`(N, C)` float64 probabilities.

    Raises:
        ValueError: If they are not.
    """
    given = np.asarray(given)
    if given.ndim != 2 or given.shape[1] < 2 or not len(given):
        raise ValueError(
            "Expected probabilities of shape (N, C), with N of at least 1 and C of at "
            f"least 2. Received: shape {given.shape}."
        )
    given = given.astype("float64")
    if not (np.isfinite(given).all() and (given >= 0).all()):
        raise ValueError(
            "Expected probabilities in [0, 1]. Received: "
            f"{np.nanmin(given)} to {np.nanmax(given)}, or NaN. Logits go through a "
            "softmax first."
        )
    sums = given.sum(1)
    if np.abs(sums - 1).max() > 1e-2:
        raise ValueError(
            "Expected rows that sum to 1. Received: sums from "
            f"{sums.min():.4g} to {sums.max():.4g}. Logits go through a softmax first."
        )
    return given / sums[:, None]


def features(given, count):
    """`(N, F)` or `(N, V, F)` features, or None.

    Raises:
        ValueError: If they are something else, or not finite.
    """
    if given is None:
        return None
    given = np.asarray(given)
    if given.ndim not in (2, 3) or not given.size or given.dtype.kind not in "fiu":
        raise ValueError(
            "Expected numbers of shape (N, F), or (N, V, F) of several views. "
            f"Received: {given.dtype} of shape {given.shape}."
        )
    if count is not None and len(given) != count:
        raise ValueError(
            f"Expected features of each of the {count} samples. Received: {len(given)}."
        )
    if given.dtype.kind != "f":
        given = given.astype("float32")
    for start in range(0, len(given), 1024):
        if not np.isfinite(given[start : start + 1024]).all():
            raise ValueError(
                "Expected features that are numbers. Received: NaN or infinity in rows "
                f"{start} to {min(start + 1024, len(given)) - 1}."
            )
    return given


def labels(given, class_names, classes=None):
    """`(labels, names)`: `(N,)` int64 in [0, C), and the names of the classes.

    Args:
        given: `(N,)` integers, or names.
        class_names: `(C,)` names, or None.
        classes: C where it is known, or None.

    Raises:
        ValueError: If a label is no class, or the numbers do not fit.
    """
    given = np.asarray(given)
    if given.ndim != 1 or not len(given):
        raise ValueError(
            f"Expected labels of shape (N,). Received: shape {given.shape}. One-hot "
            "rows go through `argmax(-1)` first."
        )
    names = None if class_names is None else [str(name) for name in class_names]
    if names is not None and len(set(names)) != len(names):
        raise ValueError(f"Expected class_names that differ. Received: {names}.")
    if given.dtype.kind in "OUS":
        texts = [str(each) for each in given]
        names = sorted(set(texts)) if names is None else names
        unknown = sorted(set(texts) - set(names))
        if unknown:
            raise ValueError(
                f"Expected labels among the {len(names)} class_names. Received: "
                f"{unknown[:SHOWN]}, which are none of them."
            )
        numbers = {name: number for number, name in enumerate(names)}
        numbered = np.array([numbers[text] for text in texts], np.int64)
    elif given.dtype.kind in "iub":
        numbered = given.astype(np.int64)
    else:
        raise ValueError(
            f"Expected labels as integers or names. Received: {given.dtype}."
        )
    count = classes or (int(numbered.max()) + 1 if names is None else len(names))
    names = [str(number) for number in range(count)] if names is None else names
    if len(names) != count:
        raise ValueError(
            f"Expected a name for each of {count} classes. Received: {len(names)}."
        )
    outside = (numbered < 0) | (numbered >= count)
    if outside.any():
        raise ValueError(
            f"Expected labels from 0 to {count - 1}. Received: "
            f"{sorted(set(numbered[outside].tolist()))[:SHOWN]}, for {outside.sum()} "
            "samples."
        )
    return numbered, names


def lengths(**given):
    """Raises a `ValueError` unless all that is not None has one length."""
    counts = {name: len(each) for name, each in given.items() if each is not None}
    if len(set(counts.values())) > 1:
        raise ValueError(
            "Expected as many "
            + " as ".join(counts)
            + f". Received: {', '.join(f'{n} {name}' for name, n in counts.items())}."
        )


def judged(labels, names, quiet=False):
    """`(N,)` boolean: whether a head can learn a label's class from other samples.

    Args:
        labels: `(N,)` integers.
        names: Names of the classes.
        quiet: Whether not to warn of classes of a single sample.

    Raises:
        ValueError: If fewer than two classes have two samples.
    """
    counts = np.bincount(labels, minlength=len(names))
    if (counts > 1).sum() < 2:
        raise ValueError(
            "Expected at least 2 classes with at least 2 samples each. Received: "
            f"{(counts > 0).sum()} classes, of which {(counts > 1).sum()} have 2 or "
            "more samples. A label can only be doubted where there is another class."
        )
    alone = [str(names[label]) for label in np.flatnonzero(counts == 1)]
    if alone and not quiet:
        logging.warning(
            "%d classes have one sample, which can't be judged: %s.",
            len(alone),
            ", ".join(alone[:SHOWN]) + (" and others" if len(alone) > SHOWN else ""),
        )
    return counts[labels] > 1
