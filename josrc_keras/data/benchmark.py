"""What a benchmark dataset is: images, given labels, true labels, names."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from josrc_keras.data import noise

HOLD_OUT = 10**6  # A stream of random numbers apart from those of noise and epochs.


@dataclasses.dataclass(frozen=True)
class Split:
    """Images with labels, in original index order.

    Attributes:
        images: `(N, H, W, channels)` uint8 in [0, 255], an array or
            `records.StreamedImages`.
        labels: `(N,)` int64 given labels in `[0, C)`, possibly wrong.
        true_labels: `(N,)` int64 in `[-1, C)`, -1 = out-of-distribution. None where
            they are not known.
        ids: `(N,)` int64 rows in the original dataset, or texts such as paths.
        verified: `(N,)` int64, what people said of the given label: 1 right, 0 wrong,
            -1 for a label that nobody looked at. None without any.
    """

    images: Any
    labels: np.ndarray
    true_labels: np.ndarray | None
    ids: np.ndarray
    verified: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.labels)

    def rows(self, rows: slice | np.ndarray) -> "Split":
        """The samples of a slice, or of an array of row numbers or booleans."""

        def part(name):
            of_all = getattr(self, name)
            return None if of_all is None else of_all[rows]

        return Split(*(part(field.name) for field in dataclasses.fields(self)))

    def known(self) -> dict[str, np.ndarray]:
        """What training may be told of each sample.

        Returns:
            A dict of `(N,)` arrays: `label`, `index` (the row in this split), and
            `true_label` where it is known.
        """
        known = {"label": self.labels, "index": np.arange(len(self))}
        if self.true_labels is not None:
            known["true_label"] = self.true_labels
        return known

    def head(self, count: int | None) -> "Split":
        """The first `count` samples, or all of them where `count` is None."""
        return self.rows(slice(count))


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A noisy training split, a split to report on, and what is known of both.

    Attributes:
        train: `Split` whose `labels` are noisy.
        test: `Split` to report accuracy on, of in-distribution classes only. Its labels
            are right, or as given where its `true_labels` is None.
        class_names: Names of the in-distribution classes, in label order.
        noise_checksum: SHA-256 of the whole training set's given labels.
        validation: The held-out `Split`, with its labels as they are, or None.
        skipped: `(id, reason)` of each file that was left out.
        origin: A dict of what the images were made from, where that is to be checked;
            or None.
    """

    train: Split
    test: Split
    class_names: tuple[str, ...]
    noise_checksum: str
    validation: Split | None = None
    skipped: tuple = ()
    origin: dict | None = None

    @property
    def num_classes(self) -> int:
        """Number of in-distribution classes."""
        return len(self.class_names)

    def head(self, count: int | None) -> "Benchmark":
        """This benchmark with the first `count` training images; None keeps all.

        Raises:
            ValueError: If `count` is below 1 or above the number of training images.
        """
        if count is None:
            return self
        if not 0 < count <= len(self.train):
            raise ValueError(
                "`train_size` must be between 1 and the number of training images, "
                f"{len(self.train)}. Received: train_size={count}."
            )
        return dataclasses.replace(self, train=self.train.head(count))

    def hold_out(self, share: float, seed: int) -> "Benchmark":
        """Moves a share of the training images into `validation`, labels as they are.

        Args:
            share: Share of the training images, in [0, 1); 0 changes nothing.
            seed: Seed of the choice.

        Returns:
            A `Benchmark` whose splits keep the original order.

        Raises:
            ValueError: If `share` is out of range, or holds out no image or all.
        """
        if not share:
            return self
        count = round(len(self.train) * share) if 0 < share < 1 else 0
        if not 0 < count < len(self.train):
            raise ValueError(
                f"Expected a share of the {len(self.train)} training images to hold "
                f"out, at least one of them and not all. Received: {share}."
            )
        held = np.zeros(len(self.train), bool)
        order = np.random.default_rng([seed, HOLD_OUT]).permutation(len(held))
        held[order[:count]] = True
        return dataclasses.replace(
            self, train=self.train.rows(~held), validation=self.train.rows(held)
        )


def make_benchmark(
    train: Sequence[np.ndarray],
    test: Sequence[np.ndarray],
    *,
    class_names: Sequence[str],
    kind: noise.Kind,
    rate: float,
    seed: int,
    train_size: int | None = None,
) -> Benchmark:
    """Adds label noise to a training set and drops out-of-distribution test images.

    Args:
        train: `(images, true labels, ids)` in original index order. A label from
            `len(class_names)` up marks an out-of-distribution image.
        test: The same for the test set.
        class_names: Names of the in-distribution classes.
        kind: Noise kind, of `noise.KINDS`.
        rate: Noise rate among the in-distribution images, in [0, 1].
        seed: Noise seed.
        train_size: Number of training images to keep, the first ones; None keeps all.
            Noise is drawn for the whole set first, so that a kept image has the same
            label.

    Returns:
        A `Benchmark`.

    Raises:
        ValueError: If the noise or `train_size` is out of range.
    """
    images, true_labels, ids = train
    count = len(class_names)
    given = noise.corrupt(
        true_labels, kind=kind, num_classes=count, rate=rate, seed=seed
    )
    truth = np.where(true_labels < count, true_labels, -1).astype(np.int64)
    inside = test[1] < count
    test_images, test_labels, test_ids = (part[inside] for part in test)
    test_labels = test_labels.astype(np.int64)
    benchmark = Benchmark(
        train=Split(images, given, truth, ids),
        test=Split(test_images, test_labels, test_labels, test_ids),
        class_names=tuple(class_names),
        noise_checksum=noise.checksum(given),
    )
    return benchmark.head(train_size)
