"""Estimates the transition matrix of F-correction, and starts the network anew."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from absl import logging

from josrc_keras.baselines import f_correction
from josrc_keras.callbacks.second_stage import SecondStage
from josrc_keras.training import evaluation_pass, required_callbacks


class EstimateTransition(SecondStage):
    """Sets `transition` of an `FCorrection` after the first epochs.

    It predicts all training images, reads the matrix off the surest image of each class
    (`f_correction.transition_from_anchors`), and starts the network and its optimizer
    anew. A network that has learnt its labels by heart would show no errors at all. So
    the published code takes the network of the epoch with the lowest loss on a tenth of
    the noisy data, which `held_out` is for.

    To resume training it needs its state, which `RunCheckpoint(carried=[...])` keeps.

    Args:
        images: The training images `(N, H, W, channels)`, or a function without
            arguments that returns data for `model.predict`.
        at_epoch: Number of epochs before the estimate, at least 1. The published code
            gives both stages the same number of epochs.
        quantile: As for `transition_from_anchors`. The published code takes 0.97 for
            MNIST and CIFAR-10, and None for CIFAR-100.
        held_out: A function without arguments that returns data for `model.evaluate`
            which is not trained on, with its labels as they are. The weights of the
            epoch with the lowest loss on it make the estimate. None takes those of the
            last epoch before it.

    Raises:
        ValueError: If an argument is out of range.
    """

    controls = "transition"

    def __init__(
        self,
        images: Any,
        at_epoch: int,
        quantile: float | None = None,
        *,
        held_out: Callable[[], Any] | None = None,
    ) -> None:
        super().__init__(at_epoch)
        f_correction.transition_from_anchors(np.ones((1, 1)), quantile)
        self.images = images
        self.quantile = quantile
        self.held_out = held_out
        self._best = np.inf
        self._best_weights: list = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the model.

        Raises:
            TypeError: If the model has no `transition`.
        """
        required_callbacks.check_controlled(self)
        if self.at_epoch is None or self.at_epoch >= self.params["epochs"]:
            logging.warning(
                "The first stage of %s epochs does not end within %d epochs: the "
                "method is ordinary training.",
                self.at_epoch,
                self.params["epochs"],
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts without a matrix; begins the second stage where it is due.

        Raises:
            ValueError: As `SecondStage`.
        """
        if epoch == 0:
            self._best, self._best_weights = np.inf, []
            self.model.transition.assign(np.eye(self.model.num_classes))
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers the weights of the epoch with the lowest held-out loss."""
        if self.held_out is None or epoch >= (self.at_epoch or 0):
            return
        found = self.model.evaluate(self.held_out(), verbose=0, return_dict=True)
        if found["loss"] < self._best:
            self._best = float(found["loss"])
            self._best_weights = [
                np.array(value) for value in self._weights(numpy=True)
            ]

    def begin_second_stage(self) -> None:
        """Estimates the matrix with the first stage's network."""
        if self._best_weights:
            for weight, value in zip(self._weights(), self._best_weights, strict=True):
                weight.assign(value)
        self._best_weights = []
        log_probs = evaluation_pass.log_probabilities(self.model, self.images)
        matrix = f_correction.transition_from_anchors(np.exp(log_probs), self.quantile)
        self.model.transition.assign(matrix.astype("float32"))
        logging.info(
            "Transition matrix: the diagonal is %s.", np.round(np.diag(matrix), 2)
        )

    def state(self) -> dict[str, Any]:
        """The weights before the first epoch and of the best one."""
        best = {f"best{n:04d}": each for n, each in enumerate(self._best_weights)}
        return super().state() | best | {"lowest": np.array(self._best)}

    def set_state(self, arrays: Mapping[str, Any]) -> None:
        """Continues from what `state` returned."""
        super().set_state(arrays)
        names = sorted(name for name in arrays if name.startswith("best"))
        self._best_weights = [np.array(arrays[name]) for name in names]
        self._best = float(arrays.get("lowest", np.inf))
