"""Learns from verification labels which of all labels are right."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from absl import logging

from josrc_keras.baselines.cleannet_detector import Detector
from josrc_keras.data.checks import contract
from josrc_keras.devices import replicas
from josrc_keras.networks import features
from josrc_keras.samples import clusters
from josrc_keras.training import required_callbacks
from josrc_keras.training.evaluation_pass import Pass, check_count


class VerifyLabels(keras.callbacks.Callback):
    """Sets `similarity` of a `CleanNet` after some epochs.

    It reads the features of all training images off the classifier, takes the centres
    of each class, and trains a new `Detector` on the verification labels. The features
    are `log(1 + v)` of what is at least 0, and are kept in the machine's memory as
    float16: 4 GB for a million images with 2048 features each.

    Args:
        make_batches: Function without arguments that returns the training data in the
            order of their numbers, as batches `(images, labels)`.
        verified: `(N,)` integers: 1 where people found the given label right, 0 where
            they found it wrong, -1 where nobody looked.
        at_epochs: Numbers of epochs after which the similarities are found, counted
            from 1. How often the paper alternates could not be checked.
        steps: Number of steps of the detector, at least 1. Published: 60,000, for
            Food-101N.
        centres: The most centres of a class, at least 1.
        wrong_weight: Factor on the loss of labels that were found wrong. Published: 5,
            for data of which about a fifth of the labels are wrong.
        adam_rate: Learning rate of Adam, which learns in fewer steps than the published
            SGD; None takes that.
        seed: Seed of the detector and of its batches.

    Raises:
        ValueError: If an argument is out of range, or no label was verified.
    """

    controls = "similarity"
    records_samples = True

    def __init__(
        self,
        make_batches: Callable[[], Any],
        verified: Any,
        at_epochs: Sequence[int],
        *,
        steps: int = 60_000,
        centres: int = 32,
        wrong_weight: float = 5.0,
        adam_rate: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.verified = check_verified(verified)
        self.at_epochs = tuple(at_epochs)
        if min(self.at_epochs, default=0) < 1 or steps < 1 or centres < 1:
            raise ValueError(
                "Expected at_epochs, steps and centres of at least 1. Received: "
                f"at_epochs={self.at_epochs}, steps={steps}, centres={centres}."
            )
        self.make_batches = make_batches
        self.steps = steps
        self.centres = centres
        self.wrong_weight = wrong_weight
        self.adam_rate = adam_rate
        self.seed = seed
        self.count: int | None = None
        self.numbered: int | None = None  # Number of samples that `fit` numbered.
        self._pass: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the model.

        Raises:
            TypeError: If the model has no `similarity`.
            ValueError: If the model is for another number of samples, its network has
                no features, or several devices share a batch.
        """
        required_callbacks.check_controlled(self)
        counts = {self.model.num_samples, len(self.verified)}
        if counts | {self.numbered or self.model.num_samples} != {len(self.verified)}:
            raise ValueError(
                f"Expected a verification label for each of the {self.numbered or ''} "
                f"samples, as in CleanNet(num_samples={self.model.num_samples}). "
                f"Received: {len(self.verified)}. Pass -1 where nobody looked."
            )
        if replicas.part_count() > 1:
            raise ValueError(
                "VerifyLabels trains its network on one device. Received: "
                f"{replicas.part_count()} devices that share a batch. Train on one."
            )
        body, _ = features.split(self.model.student)
        self._pass = Pass(body, self.model.seen_in_evaluation)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Finds the similarities, if this is one of the epochs."""
        if epoch + 1 not in self.at_epochs:
            return
        found, labels = self._features()
        centres, present = self._centres(found, labels)
        detector = Detector(centres, present, seed=self.seed, weight=self.wrong_weight)
        detector.learn(
            found,
            labels,
            self.verified,
            steps=self.steps,
            seed=[self.seed, epoch],
            adam_rate=self.adam_rate,
        )
        similarity = detector.score(found, labels)
        self.model.similarity.assign(similarity.astype("float32"))
        right, wrong = (similarity[self.verified == known] for known in (1, 0))
        logging.info(
            "Mean similarity of the labels that were found right: %.2f, wrong: %.2f.",
            right.mean() if len(right) else np.nan,
            wrong.mean() if len(wrong) else np.nan,
        )

    def _features(self):
        """`(N, D)` float16 features, and the given labels."""
        found, labels = [], []
        for data in self.make_batches():
            batch = contract.unpack(data)
            values = np.log1p(np.maximum(self._pass.outputs(batch.images), 0))
            found.append(values.astype("float16"))
            labels.append(keras.ops.convert_to_numpy(batch.integer_labels()))
        check_count(sum(map(len, labels)), self.model.num_samples)
        return np.concatenate(found), np.concatenate(labels)

    def _centres(self, found, labels):
        """`(C, R, D)` centres of each class, and `(C, R)` which of them there are."""
        shape = (self.model.num_classes, self.centres)
        centres = np.zeros((*shape, found.shape[1]), "float32")
        present = np.zeros(shape, bool)
        for label in range(len(centres)):
            rows = found[labels == label].astype("float32")
            of_class = clusters.centres(rows, self.centres, seed=[self.seed, label])
            centres[label, : len(of_class)] = of_class
            present[label, : len(of_class)] = True
        return centres, present


def check_verified(verified: Any) -> np.ndarray:
    """Returns verification labels as an array, if they are some.

    Raises:
        ValueError: If there is another number than 1, 0 and -1, or nothing but -1.
    """
    verified = np.asarray(verified)
    known = verified[verified >= 0] if verified.ndim == 1 else verified[:0]
    if verified.ndim != 1 or not len(known) or not np.isin(verified, (1, 0, -1)).all():
        raise ValueError(
            "Expected verification labels (N,): 1 right, 0 wrong, -1 where nobody "
            f"looked, and some that are not -1. Received: shape {verified.shape} with "
            f"{np.unique(verified)[:5].tolist()}. Have some labels verified, or use a "
            "method that needs none."
        )
    return verified
