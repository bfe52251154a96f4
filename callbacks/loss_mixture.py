"""Fits a mixture of two Beta distributions to the losses of all training samples."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from absl import logging

from josrc_keras.baselines import beta_mixture
from josrc_keras.training import evaluation_pass, required_callbacks


class LossMixture(keras.callbacks.Callback):
    """Sets what an `MCorrection` knows of its losses, at the end of every epoch.

    It predicts all training images, as in evaluation, and fits
    `josrc_keras.baselines.beta_mixture` to their losses. (The published code predicts
    augmented images.) Losses without two components trust all labels, with a warning.

    Args:
        images: The training images `(N, H, W, channels)`, or a function without
            arguments that returns data for `model.predict` in the order of the rows.
        labels: `(N,)` integers in `[0, C)`, the given labels of these images.
        start: Number of epochs before labels are doubted, at least 1; the published
            code has 105 of 300.

    Attributes:
        mixture: The newest `beta_mixture.Mixture`, or None.

    Raises:
        ValueError: If an argument is out of range.
    """

    controls = "posterior"

    def __init__(self, images: Any, labels: Any, start: int) -> None:
        super().__init__()
        labels = np.asarray(labels)
        if start < 1 or labels.ndim != 1 or not len(labels):
            raise ValueError(
                "Expected start of at least 1 and labels as integers of shape (N,). "
                f"Received: start={start}, labels of shape {labels.shape}. The "
                "published code has 105 of 300 epochs."
            )
        self.images = images
        self.labels = labels
        self.start = start
        self.mixture: Any = None
        self._epoch = 0
        self._taken = True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the model.

        Raises:
            TypeError: If the model has no `posterior`.
        """
        required_callbacks.check_controlled(self)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Lets the model doubt labels from `start` on."""
        self._epoch, self._taken = epoch, False
        self.model.bootstrapping.assign(float(epoch >= self.start))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Fits the mixture, if the next epoch needs it."""
        self._take()

    def _take(self):
        if self._taken or self._epoch + 1 < self.start:
            return
        self._taken = True
        count = len(self.labels)
        log_probs = evaluation_pass.log_probabilities(self.model, self.images, count)
        losses = evaluation_pass.cross_entropies(log_probs, self.labels)
        values, low, span = beta_mixture.normalised(losses)
        self.mixture = beta_mixture.fit(values)
        if self.mixture is None:
            logging.warning(
                "The losses of epoch %d have no two components: all labels are "
                "trusted.",
                self._epoch + 1,
            )
        self.model.posterior.assign(beta_mixture.posterior_table(self.mixture))
        self.model.loss_low.assign(low)
        self.model.loss_span.assign(span)

    def state(self) -> dict[str, Any]:
        """The mixture as arrays. At the end of an epoch it is that of the epoch."""
        self._take()
        return {} if self.mixture is None else self.mixture._asdict()

    def set_state(self, arrays: Mapping[str, Any]) -> None:
        """Continues from what `state` returned."""
        if arrays:
            self.mixture = beta_mixture.Mixture(**arrays)
