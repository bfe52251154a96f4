"""CIFAR-100 with label noise."""

import os

import numpy as np

from josrc_keras.data.benchmark import Benchmark, make_benchmark
from josrc_keras.data.benchmarks import cifar_files
from josrc_keras.data.noise import Kind

CLASSES = 100
IN_DISTRIBUTION = 80  # Classes of CIFAR80N-O. The other 20 are out-of-distribution.
REDUCED_CLASSES = 10  # Classes of CIFAR8N-O. The last two are out-of-distribution.
REDUCED_IMAGES = 125  # Training images of each class of CIFAR8N-O.


def cifar100n_c(
    *,
    noise: Kind = "symmetric",
    rate: float = 0.2,
    seed: int = 0,
    train_size: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> Benchmark:
    """CIFAR-100 with label noise within its 100 classes (closed set).

    Args:
        noise: Noise kind, of `noise.KINDS`.
        rate: Noise rate, in [0, 1].
        seed: Noise seed.
        train_size: Number of training images to keep, the first ones; None keeps all
            50,000.
        data_dir: Folder of the data, see `cifar_files.load`.

    Returns:
        A `Benchmark` of `(N, 32, 32, 3)` uint8 images and 100 classes.

    Raises:
        ValueError: If an argument is out of range.
        OSError: If the dataset can't be read or downloaded.
    """
    loaded = cifar_files.load(data_dir)
    return _benchmark(loaded, CLASSES, noise, rate, seed, train_size)


def cifar80n_o(
    *,
    noise: Kind = "symmetric",
    rate: float = 0.2,
    seed: int = 0,
    train_size: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> Benchmark:
    """CIFAR-100 whose classes 80 to 99 are out-of-distribution (open set).

    Each image of those 20 classes gets a uniformly random label among the first 80.
    `rate` is the noise rate within the 80, so 0.2 makes 36% wrong labels in all. The
    test set holds the 80 classes only.

    Args:
        noise: Noise kind among the 80 classes, of `noise.KINDS`.
        rate: Noise rate among the 80 classes, in [0, 1].
        seed: Noise seed.
        train_size: Number of training images to keep, the first ones; None keeps all
            50,000.
        data_dir: Folder of the data, see `cifar_files.load`.

    Returns:
        A `Benchmark` of `(N, 32, 32, 3)` uint8 images and 80 classes.

    Raises:
        ValueError: If an argument is out of range.
        OSError: If the dataset can't be read or downloaded.
    """
    loaded = cifar_files.load(data_dir)
    return _benchmark(loaded, IN_DISTRIBUTION, noise, rate, seed, train_size)


def cifar8n_o(
    *,
    noise: Kind = "symmetric",
    rate: float = 0.2,
    seed: int = 0,
    train_size: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> Benchmark:
    """A reduced CIFAR80N-O, small enough for two CPU cores.

    It has the first 125 training images of each of CIFAR-100's classes 0 to 9, in
    original order. Classes 8 and 9 are out-of-distribution: each of their images gets a
    random label among the first 8. The test set is the 800 test images of the 8
    classes. Results on it say nothing about the paper's numbers.

    Args:
        noise: Noise kind among the 8 classes, of `noise.KINDS`.
        rate: Noise rate among the 8 classes, in [0, 1].
        seed: Noise seed.
        train_size: Number of training images to keep, the first ones; None keeps all
            1,250.
        data_dir: Folder of the data, see `cifar_files.load`.

    Returns:
        A `Benchmark` of `(N, 32, 32, 3)` uint8 images and 8 classes.

    Raises:
        ValueError: If an argument is out of range.
        OSError: If the dataset can't be read or downloaded.
    """
    train, test, names = cifar_files.load(data_dir)
    train = _first_of_each(train, REDUCED_CLASSES, REDUCED_IMAGES)
    test = _first_of_each(test, REDUCED_CLASSES)
    inside = REDUCED_CLASSES * IN_DISTRIBUTION // CLASSES
    loaded = train, test, names
    return _benchmark(loaded, inside, noise, rate, seed, train_size)


def _first_of_each(split, classes, images=None):
    """Keeps the first `images` rows of each of the first `classes`, in their order."""
    labels = split[1]
    rows = [np.flatnonzero(labels == label)[:images] for label in range(classes)]
    kept = np.sort(np.concatenate(rows))
    return tuple(part[kept] for part in split)


def _benchmark(loaded, in_distribution, noise, rate, seed, train_size):
    train, test, names = loaded
    return make_benchmark(
        train,
        test,
        class_names=names[:in_distribution],
        kind=noise,
        rate=rate,
        seed=seed,
        train_size=train_size,
    )
