"""CIFAR-10N and CIFAR-100N: labels that people gave, read by TFDS's own builders."""

import os
from typing import Literal

import numpy as np

from josrc_keras.data import noise
from josrc_keras.data.benchmark import Benchmark, Split
from josrc_keras.data.benchmarks import encoded
from josrc_keras.data.records import damage

# Each kind's field in TFDS, and its share of wrong labels by table 1 of the paper (Wei
# et al., 2022, https://arxiv.org/abs/2110.12088).
CIFAR10N = {
    "aggre": ("aggre_label", 0.0903),
    "random1": ("random_label1", 0.1723),
    "random2": ("random_label2", 0.1812),
    "random3": ("random_label3", 0.1764),
    "worst": ("worse_label", 0.4021),
}
CIFAR100N = ("noise_label", 0.4020)
TOLERANCE = 0.01


def cifar10n(
    *,
    kind: Literal["aggre", "random1", "random2", "random3", "worst"] = "worst",
    train_size: int | None = None,
    data_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
) -> Benchmark:
    """CIFAR-10 with labels that people gave (CIFAR-10N).

    Args:
        kind: Which label of each image. `"random1"`, `"random2"` and `"random3"` are
            each one person's, `"aggre"` is the majority of the three, and `"worst"` is
            a wrong one of the three if there is one.
        train_size: Number of training images to keep, the first ones; None keeps all
            50,000.
        data_dir: TFDS's folder. None is the environment's `TFDS_DATA_DIR`, or TFDS's
            own.
        manual_dir: Folder of the label files, which are downloaded by hand and needed
            to build the dataset. None is `downloads/manual` in `data_dir`.

    Returns:
        A `Benchmark` of `(N, 32, 32, 3)` uint8 images and 10 classes, in the original
        order.

    Raises:
        ValueError: If an argument is out of range.
        OSError: If the dataset can't be read or built.
    """
    if kind not in CIFAR10N:
        raise ValueError(
            f"Unknown kind of labels. Received: kind={kind!r}. Use one of "
            f"{tuple(CIFAR10N)}."
        )
    return _read("cifar10_n", *CIFAR10N[kind], train_size, data_dir, manual_dir)


def cifar100n(
    *,
    train_size: int | None = None,
    data_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
) -> Benchmark:
    """CIFAR-100 with labels that people gave, among its 100 classes (CIFAR-100N).

    Args:
        train_size: Number of training images to keep, the first ones; None keeps all
            50,000.
        data_dir: TFDS's folder, see `cifar10n`.
        manual_dir: Folder of the label files, see `cifar10n`.

    Returns:
        A `Benchmark` of `(N, 32, 32, 3)` uint8 images and 100 classes, in the original
        order.

    Raises:
        ValueError: If an argument is out of range.
        OSError: If the dataset can't be read or built.
    """
    return _read("cifar100_n", *CIFAR100N, train_size, data_dir, manual_dir)


def _read(name, field, rate, train_size, data_dir, manual_dir):
    builder = encoded.prepared(name, data_dir=data_dir, manual_dir=manual_dir)
    train = _split(builder, "train", field)
    _check_order(builder, train, field, rate)
    benchmark = Benchmark(
        train=train,
        test=_split(builder, "test", "label"),
        class_names=tuple(builder.info.features["label"].names),
        noise_checksum=noise.checksum(train.labels),
    )
    return benchmark.head(train_size)


def _split(builder, split, field):
    """A `Split` sorted by the integer in TFDS's id ('train_00016')."""
    import tensorflow_datasets as tfds

    names = {"id", "image", "label", field}
    decoders = tfds.decode.PartialDecoding(dict.fromkeys(names, True))
    with damage.named(builder):
        batch = builder.as_dataset(split=split, batch_size=-1, decoders=decoders)
    batch = tfds.as_numpy(batch)
    ids = np.array([int(name.rsplit(b"_", 1)[1]) for name in batch["id"]])
    order = np.argsort(ids)
    labels, true_labels = (
        batch[name][order].astype(np.int64) for name in (field, "label")
    )
    return Split(batch["image"][order], labels, true_labels, ids[order])


def _check_order(builder, train, field, rate):
    """Refuses labels of other images, or from another column of the file of labels.

    Both can happen. The labels come in TFDS's shuffled order, and TFDS matches them to
    their images by a third file. A column is known only by its place in a file that was
    written by hand.
    """
    wrong = np.mean(train.labels != train.true_labels)
    if abs(wrong - rate) > TOLERANCE:
        raise OSError(
            f"Expected {rate:.2%} wrong labels among the {field}s of {builder.name}. "
            f"Received: {wrong:.2%}, so they are other ones or in another order. "
            f"Delete {builder.data_dir}, write the file of labels again as TFDS's "
            f"instructions say, and build it again:\n"
            f"{builder.MANUAL_DOWNLOAD_INSTRUCTIONS}"
        )
