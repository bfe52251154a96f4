"""Small noisy datasets of chosen classes, to test how robust a method is."""

import os
from typing import Literal

import numpy as np

from josrc_keras.data import noise as label_noise
from josrc_keras.data.benchmark import Benchmark, Split
from josrc_keras.data.benchmarks import cifar_files
from josrc_keras.data.benchmarks.digits import load_digits
from josrc_keras.data.benchmarks.image_noise import weak_labels

SOURCES = ("digits", "cifar100")
WEAK = "image"  # Noise that depends on the image.
KINDS = (*label_noise.KINDS, WEAK)


def partial(
    *,
    source: Literal["digits", "cifar100"] = "cifar100",
    classes: int = 8,
    first_class: int = 0,
    images_per_class: int | None = None,
    test_images_per_class: int | None = None,
    ood_share: float = 0.0,
    ood_skip: int = 0,
    imbalance: float = 1.0,
    noise: label_noise.Kind | Literal["image"] = "symmetric",
    rate: float = 0.5,
    seed: int = 0,
    train_size: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> Benchmark:
    """Some classes of a dataset, with label noise and out-of-distribution images.

    The first images of each class are taken, in original order, and noise is drawn for
    them. Out-of-distribution images come from all other classes in turn, and get a
    random label; with the noise `"image"`, the class that they look like.

    Args:
        source: `"digits"` (scikit-learn's) or `"cifar100"`.
        classes: Number of in-distribution classes.
        first_class: Number of the first in-distribution class.
        images_per_class: Training images of each class; None takes all.
        test_images_per_class: Test images of each class; None takes all.
        ood_share: Share of out-of-distribution images among the training images, in
            [0, 1).
        ood_skip: Number of images, the first of each other class, that are passed over
            when out-of-distribution images are taken.
        imbalance: Ratio of the training images of the first class to those of the last,
            at least 1. The classes between follow in equal ratios.
        noise: Noise kind: one of `noise.KINDS`, or `"image"` for mistakes of a weak
            network, see `weak_labels`.
        rate: Share of wrong labels among the in-distribution images, in [0, 1].
        seed: Noise seed.
        train_size: Number of training images to keep, the first ones; None keeps all.
        data_dir: Folder of CIFAR-100, see `cifar_files.load`.

    Returns:
        A `Benchmark`, whose test set holds the in-distribution classes.

    Raises:
        ImportError: If scikit-learn, which has the digits, is not installed.
        ValueError: If an argument is out of range.
        OSError: If the dataset can't be read.
    """
    train, test, names = _load(source, data_dir)
    _check(source, len(names), classes, ood_share, imbalance)
    for name, count in (
        ("images_per_class", images_per_class),
        ("test_images_per_class", test_images_per_class),
    ):
        if count is not None and count < 1:
            raise ValueError(f"Expected {name} of at least 1. Received: {count}.")
    if noise not in KINDS:
        raise ValueError(
            f"Unknown noise kind. Received: {noise!r}. Use one of {KINDS}."
        )
    order = (np.arange(len(names)) + first_class) % len(names)
    kept = _of_classes(train[1], order[:classes], images_per_class, imbalance)
    wanted = round(len(kept) * ood_share / (1 - ood_share))
    ood = _in_turn(train[1], order[classes:], wanted, ood_skip)
    rows = np.sort(np.concatenate([kept, ood]))
    images, labels, ids = (part[rows] for part in train)
    truth = _numbered(labels, order, classes)
    given = _given(images, truth, noise, classes, rate, seed)
    test_rows = np.sort(_of_classes(test[1], order[:classes], test_images_per_class))
    test_images, test_labels, test_ids = (part[test_rows] for part in test)
    test_labels = _numbered(test_labels, order, classes)
    benchmark = Benchmark(
        train=Split(images, given, truth, ids),
        test=Split(test_images, test_labels, test_labels, test_ids),
        class_names=tuple(names[label] for label in order[:classes]),
        noise_checksum=label_noise.checksum(given),
    )
    return benchmark.head(train_size)


def _load(source, data_dir):
    if source == "digits":
        return load_digits()
    if source == "cifar100":
        return cifar_files.load(data_dir)
    raise ValueError(
        f"Unknown source of images. Received: {source!r}. Use one of {SOURCES}."
    )


def _check(source, known, classes, ood_share, imbalance):
    if not 2 <= classes <= known:
        raise ValueError(
            f"Expected 2 to {known} classes of {source}. Received: classes={classes}."
        )
    if not 0 <= ood_share < 1 or (ood_share and classes == known):
        raise ValueError(
            "Expected a share of out-of-distribution images in [0, 1), and classes "
            f"left for them. Received: ood_share={ood_share}, classes={classes} of "
            f"{known}."
        )
    if not imbalance >= 1:
        raise ValueError(
            f"Expected an imbalance of at least 1. Received: imbalance={imbalance}."
        )


def _of_classes(labels, wanted, images, imbalance=1.0):
    """Rows of each class, whose number falls from class to class by the imbalance."""
    rows = []
    for number, label in enumerate(wanted):
        of_class = np.flatnonzero(labels == label)[:images]
        share = imbalance ** -(number / max(len(wanted) - 1, 1))
        rows.append(of_class[: max(round(len(of_class) * share), 1)])
    return np.concatenate(rows)


def _in_turn(labels, wanted, count, skip):
    """`count` rows of the classes, one of each in turn, without the first `skip`."""
    if not count:
        return np.empty(0, np.int64)
    rows = [np.flatnonzero(labels == label)[skip:] for label in wanted]
    longest = max(len(each) for each in rows)
    turns = [each[turn] for turn in range(longest) for each in rows if turn < len(each)]
    if len(turns) < count:
        raise ValueError(
            f"Expected at least {count} images of other classes. Received: "
            f"{len(turns)}. Lower `ood_share`, or `images_per_class`."
        )
    return np.array(turns[:count])


def _numbered(labels, order, classes):
    """Labels as places among the in-distribution classes; -1 for all others."""
    places = np.full(len(order), -1, np.int64)
    places[order[:classes]] = np.arange(classes)
    return places[labels]


def _given(images, truth, kind, classes, rate, seed):
    if kind == WEAK:
        return weak_labels(images, truth, num_classes=classes, rate=rate, seed=seed)
    return label_noise.corrupt(
        truth, kind=kind, num_classes=classes, rate=rate, seed=seed
    )
