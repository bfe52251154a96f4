"""CIFAR-100 with label noise, through TensorFlow Datasets."""

import numpy as np

from josrc_keras.data.benchmark import make_benchmark

CLASSES = 100
IN_DISTRIBUTION = 80  # CIFAR80N-O: classes 80 to 99 are out of distribution.


def cifar100n_c(*, noise="symmetric", rate=0.2, seed=0, train_size=None, data_dir=None):
    """CIFAR-100 with label noise within its 100 classes (closed set).

    Args:
        noise: Noise kind, of `noise.KINDS`.
        rate: Noise rate, in [0, 1].
        seed: Noise seed.
        train_size: Keep the first so many training images; None keeps all 50,000.
        data_dir: TFDS folder; None is TFDS's default, `TFDS_DATA_DIR` included.

    Returns:
        A `Benchmark` of `(N, 32, 32, 3)` uint8 images and 100 classes.

    Raises:
        ValueError: If an argument is out of range.
        OSError: If the dataset can't be read or downloaded.
    """
    return _benchmark(CLASSES, data_dir, noise, rate, seed, train_size)


def cifar80n_o(*, noise="symmetric", rate=0.2, seed=0, train_size=None, data_dir=None):
    """CIFAR-100 whose classes 80 to 99 are out of distribution (open set).

    Each image of those 20 classes gets a uniformly random label among the first 80;
    `rate` is the noise rate within the 80, so 0.2 makes 36% wrong labels in all. The
    test set holds the 80 classes only.

    Args:
        noise: Noise kind among the 80 classes, of `noise.KINDS`.
        rate: Noise rate among the 80 classes, in [0, 1].
        seed: Noise seed.
        train_size: Keep the first so many training images; None keeps all 50,000.
        data_dir: TFDS folder; None is TFDS's default, `TFDS_DATA_DIR` included.

    Returns:
        A `Benchmark` of `(N, 32, 32, 3)` uint8 images and 80 classes.

    Raises:
        ValueError: If an argument is out of range.
        OSError: If the dataset can't be read or downloaded.
    """
    return _benchmark(IN_DISTRIBUTION, data_dir, noise, rate, seed, train_size)


def _benchmark(in_distribution, data_dir, noise, rate, seed, train_size):
    train, test, names = _load(data_dir)
    return make_benchmark(
        train,
        test,
        class_names=names[:in_distribution],
        kind=noise,
        rate=rate,
        seed=seed,
        train_size=train_size,
    )


def _load(data_dir):
    """Both splits as `(images, labels, ids)` by original row, and the class names."""
    import tensorflow_datasets as tfds

    try:
        (train, test), info = tfds.load(
            "cifar100",
            split=["train", "test"],
            data_dir=data_dir,
            batch_size=-1,
            with_info=True,
        )
    except Exception as error:  # TFDS raises a different kind for every way to fail.
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise OSError(
            "CIFAR-100 can't be read through TensorFlow Datasets. Received: "
            f"data_dir={data_dir!r} (None is TFDS_DATA_DIR, or TFDS's own folder); "
            f"TFDS said: {reason[0]}. Expected a folder that TFDS has prepared or can "
            "download into. Pass the right `data_dir`, or delete its 'cifar100' folder "
            "so that TFDS prepares it again."
        ) from error
    names = info.features["label"].names
    return _by_row(tfds.as_numpy(train)), _by_row(tfds.as_numpy(test)), names


def _by_row(split):
    """`(images, labels, ids)` sorted by the integer in TFDS's id ('train_00016')."""
    ids = np.array([int(name.rsplit(b"_", 1)[1]) for name in split["id"]])
    order = np.argsort(ids)
    return split["image"][order], split["label"][order].astype(np.int64), ids[order]
