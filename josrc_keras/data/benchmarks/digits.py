"""Scikit-learn's digits with label noise: real images that need no download."""

import numpy as np

from josrc_keras import _checks
from josrc_keras.data.benchmark import Benchmark, make_benchmark
from josrc_keras.data.noise import Kind


def digits8n_o(
    *,
    noise: Kind = "symmetric",
    rate: float = 0.5,
    seed: int = 0,
    train_size: int | None = None,
) -> Benchmark:
    """Digits 0 to 7 with label noise. Digits 8 and 9 are out-of-distribution.

    The dataset has 1,797 handwritten digits of 8x8 pixels (UCI, "Optical recognition of
    handwritten digits", as in `sklearn.datasets.load_digits`), scaled from [0, 16] to
    [0, 255]. Rows whose number is divisible by 4 are the test set, without digits 8
    and 9.

    Args:
        noise: Noise kind among the eight classes, of `noise.KINDS`.
        rate: Noise rate among the eight classes, in [0, 1].
        seed: Noise seed.
        train_size: Number of training images to keep, the first ones; None keeps all
            1,347.

    Returns:
        A `Benchmark` of `(N, 8, 8, 1)` uint8 images and 8 classes.

    Raises:
        ImportError: If scikit-learn is not installed.
        ValueError: If an argument is out of range.
    """
    train, test, names = load_digits()
    return make_benchmark(
        train,
        test,
        class_names=names[:8],
        kind=noise,
        rate=rate,
        seed=seed,
        train_size=train_size,
    )


def load_digits():
    """Reads the digits.

    Returns:
        `(train, test, names)`. Each split is `(images, labels, ids)`: `(N, 8, 8, 1)`
        uint8, `(N,)` int64 true labels, `(N,)` int64 rows. `names` is the list of the
        ten class names.

    Raises:
        ImportError: If scikit-learn is not installed.
    """
    datasets = _checks.imported(
        "sklearn.datasets", "The digits come with scikit-learn", "digits"
    )
    digits = datasets.load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
    ids = np.arange(len(labels))
    is_test = ids % 4 == 0
    train, test = (
        (images[rows], labels[rows], ids[rows]) for rows in (~is_test, is_test)
    )
    return train, test, [str(digit) for digit in range(10)]
