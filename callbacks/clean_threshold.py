"""The climb of the clean threshold and the end of the warm-up (eq. 12, Algorithm 1)."""

from typing import Any, Literal

import keras
from absl import logging

from josrc_keras import schedules
from josrc_keras.training import required_callbacks


class CleanThreshold(keras.callbacks.Callback):
    """Sets `tau_clean` by eq. 12, and `joint` to 1 from epoch `warmup_epochs` on.

    At the beginning it warns if, with the model's smoothing and number of classes,
    wrong labels pass the threshold (see `schedules.contradiction_likelihood`).

    Args:
        tau_c: Threshold at the end of the warm-up, in [0, 1].
        tau_m: Threshold at the last epoch, in [tau_c, 1].
        warmup_epochs: The paper's t_w, at least 0.
        first_epoch: Number of the first epoch: 1 as in the paper; or 0 as in its
            published code, whose first epoch thus has a threshold of 0.
        epochs: The paper's t_max; None takes the number of epochs of `fit`.

    Raises:
        ValueError: If an argument is out of range.
    """

    controls = "tau_clean"

    def __init__(
        self,
        tau_c: float = schedules.TAU_C,
        tau_m: float = schedules.TAU_M,
        warmup_epochs: int = schedules.WARMUP_EPOCHS,
        *,
        first_epoch: Literal[0, 1] = 1,
        epochs: int | None = None,
    ) -> None:
        super().__init__()
        schedules.check_thresholds(tau_c, tau_m)
        if warmup_epochs < 0 or first_epoch not in (0, 1):
            raise ValueError(
                "Expected warmup_epochs of at least 0 and first_epoch 0 or 1. "
                f"Received: warmup_epochs={warmup_epochs}, first_epoch={first_epoch}."
            )
        self.tau_c = tau_c
        self.tau_m = tau_m
        self.warmup_epochs = warmup_epochs
        self.first_epoch = first_epoch
        self.epochs = epochs

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the model, and warns of thresholds that can't work as intended.

        Raises:
            TypeError: If the model has no `tau_clean`.
        """
        required_callbacks.check_controlled(self)
        epochs = self._epochs()
        if epochs - 1 + self.first_epoch < self.warmup_epochs:
            logging.warning(
                "The warm-up of %d epochs does not end within %d epochs: only clean "
                "samples are trained on, and none is re-labelled.",
                self.warmup_epochs,
                epochs,
            )
        classes, smoothing = self.model.num_classes, self.model.smoothing
        contradiction = schedules.contradiction_likelihood(classes, smoothing)
        if contradiction >= self.tau_c > 0:
            logging.warning(
                "With %d classes and smoothing %.2f, a prediction of %.1f on a wrong "
                "class scores %.3f, above tau_c = %.2f, so wrong labels pass as clean "
                "until the threshold has climbed past it. Use smoothing of at most "
                "%.2f, or a higher tau_c.",
                classes,
                smoothing,
                schedules.contradiction_confidence(classes),
                contradiction,
                self.tau_c,
                schedules.largest_useful_smoothing(classes, self.tau_c),
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the model's variables for this epoch."""
        count = epoch + self.first_epoch
        tau = schedules.clean_threshold(
            count,
            tau_c=self.tau_c,
            tau_m=self.tau_m,
            warmup_epochs=self.warmup_epochs,
            epochs=self._epochs(),
        )
        self.model.tau_clean.assign(tau)
        self.model.joint.assign(float(count >= self.warmup_epochs))

    def _epochs(self):
        return self.epochs or self.params["epochs"]
