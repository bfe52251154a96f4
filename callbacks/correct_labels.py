"""Corrects labels by prototypes of the classes after every epoch."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from josrc_keras.data.checks import contract
from josrc_keras.networks import features
from josrc_keras.samples import prototypes
from josrc_keras.training import required_callbacks
from josrc_keras.training.evaluation_pass import Pass, check_count


class CorrectLabels(keras.callbacks.Callback):
    """Sets `corrected` and `similarity` of a `DeepSelf` after every epoch.

    From each class's images some are drawn, of which a few prototypes are chosen
    (`josrc_keras.samples.prototypes`). Each image is then labelled by the class whose
    prototypes its features are most alike. This takes two passes over the training
    images, since the features of all of them may not fit the memory. Every epoch
    reports `corrected_share`, the share of labels that are not the given ones.

    Args:
        make_batches: Function without arguments that returns the training data in the
            order of their numbers, as batches `(images, labels)`.
        start_epoch: First epoch that learns from corrected labels, counted from 1, at
            least 2.
        samples: The most images of a class among which prototypes are chosen, at least
            1. Reports of the paper have 1280.
        count: The most prototypes of a class, at least 1.
        quantile: Share of a class's pairs that count as not alike, in [0, 1]. What the
            paper means could not be checked.
        centred: Whether the mean of all features is subtracted first. Features after a
            ReLU have no negative entries, so the cosines of a small network's are all
            near 1. Then the published limit of 0.95 leaves out the dense middle of a
            class, and stray images stand for it. False is the published method.
        seed: Seed of the draw.

    Raises:
        ValueError: If an argument is out of range.
    """

    controls = "corrected"
    records_samples = True

    def __init__(
        self,
        make_batches: Callable[[], Any],
        *,
        start_epoch: int = 2,
        samples: int = 1280,
        count: int = 8,
        quantile: float = prototypes.QUANTILE,
        centred: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if start_epoch < 2 or samples < 1 or count < 1 or not 0 <= quantile <= 1:
            raise ValueError(
                "Expected start_epoch of at least 2, samples and count of at least 1, "
                f"and quantile in [0, 1]. Received: start_epoch={start_epoch}, "
                f"samples={samples}, count={count}, quantile={quantile}."
            )
        self.make_batches = make_batches
        self.start_epoch = start_epoch
        self.samples = samples
        self.prototypes = count
        self.quantile = quantile
        self.centred = centred
        self.seed = seed
        self.count: int | None = None
        self.numbered: int | None = None  # Number of samples that `fit` numbered.
        self._pass: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the model.

        Raises:
            TypeError: If the model has no `corrected`.
            ValueError: If the model is for another number of samples, or its network
                has no features.
        """
        required_callbacks.check_controlled(self)
        if self.numbered not in (None, self.model.num_samples):
            raise ValueError(
                f"Expected a dataset of {self.model.num_samples} samples, as in "
                f"DeepSelf(num_samples=...). Received: {self.numbered}. Make the model "
                "for as many as it is trained on."
            )
        body, _ = features.split(self.model.student)
        self._pass = Pass(body, self.model.seen_in_evaluation)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Corrects the labels for the next epoch."""
        share = 0.0
        if epoch + 2 >= self.start_epoch:
            share = self._correct(epoch)
        if logs is not None:
            logs["corrected_share"] = share

    def _correct(self, epoch):
        """Sets the model's tables; returns the share of labels that are not given."""
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(self.model.num_samples)
        drawn, mean = self._drawn(np.argsort(order))
        chosen = [
            prototypes.of_class(rows - mean, self.prototypes, self.quantile)
            if len(rows)
            else rows
            for rows in drawn
        ]
        corrected, similarity, changed = [], [], []
        for found, labels in self._features():
            alike = prototypes.class_similarity(found - mean, chosen)
            corrected.append(alike.argmax(axis=1))
            similarity.append((1 + alike[np.arange(len(labels)), labels]) / 2)
            changed.append(corrected[-1] != labels)
        self.model.corrected.assign(np.concatenate(corrected).astype("float32"))
        similarity = np.clip(np.concatenate(similarity), 0, 1)
        self.model.similarity.assign(similarity.astype("float32"))
        return float(np.concatenate(changed).mean())

    def _drawn(self, places):
        """For each class the features of its images that come first in a random order.

        Args:
            places: `(N,)` the place of each image in that order.

        Returns:
            A list of `(M, D)`, and what is to be subtracted of all features.
        """
        classes, start, total = self.model.num_classes, 0, np.zeros(())
        kept = [np.zeros((0, 0), "float32")] * classes
        placed = [np.zeros(0, "int64")] * classes
        for found, labels in self._features():
            now = places[start : start + len(labels)]
            start += len(labels)
            total = total + found.sum(axis=0, dtype="float64")
            for label in np.unique(labels):
                own = labels == label
                first = np.concatenate([placed[label], now[own]])
                rows = found[own]
                if len(placed[label]):
                    rows = np.concatenate([kept[label], rows])
                least = np.argsort(first)[: self.samples]
                kept[label], placed[label] = rows[least], first[least]
        return kept, (total / start).astype("float32") if self.centred else 0.0

    def _features(self):
        """`(features, labels)` of each batch, in the order of the dataset."""
        seen = 0
        for data in self.make_batches():
            batch = contract.unpack(data)
            labels = np.asarray(keras.ops.convert_to_numpy(batch.integer_labels()))
            kept = len(labels) - self._filled(batch, seen + len(labels))
            seen += kept
            if seen > self.model.num_samples:
                break
            yield self._pass.outputs(batch.images)[:kept], labels[:kept]
        check_count(seen, self.model.num_samples)

    def _filled(self, batch, seen):
        """How many rows of weight 0 fill up the last batch, for several devices."""
        more = min(seen - self.model.num_samples, len(batch.labels))
        if more <= 0 or batch.sample_weight is None:
            return 0
        weights = keras.ops.convert_to_numpy(batch.sample_weight)[-more:]
        return 0 if weights.any() else more
