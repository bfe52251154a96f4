"""Divides the samples into labelled and unlabelled ones after every epoch."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from absl import logging

from josrc_keras.devices import replicas
from josrc_keras.samples import gaussian_mixture
from josrc_keras.training import required_callbacks
from josrc_keras.training.evaluation_pass import Pass, per_sample_losses


class Divide(keras.callbacks.Callback):
    """Sets `clean_probability` of a `DivideMix` after every epoch.

    After the warm-up, both networks are evaluated on all training samples. To the
    losses of each network, scaled to [0, 1], a mixture of two Gaussians is fitted
    (`josrc_keras.samples.gaussian_mixture`). The weight of the unlabelled loss climbs
    from 0 to `unlabelled_weight` over the `ramp_epochs` after the warm-up. Within an
    epoch it is constant, at the mean of the published code's fractional ramp.

    ```python
    Divide(lambda: [(images, labels)])
    ```

    Args:
        make_batches: Function without arguments that returns the training data in the
            order of their numbers, as batches `(images, labels)`.
        warmup_epochs: Number of epochs on all given labels, at least 1. The paper uses
            10 on CIFAR-10, 30 on CIFAR-100 and 1 on Clothing1M.
        unlabelled_weight: Weight of the unlabelled loss, at least 0. The authors chose
            it among 0, 25, 50 and 150 by the noise.
        ramp_epochs: Number of epochs in which the weight climbs, at least 0.
        memory_epochs: Number of epochs over which the scaled losses are averaged, at
            least 1. The published code has 5 at a noise rate of 90%, else 1.

    Attributes:
        losses: `(K, 2, N)` scaled losses of both networks in the newest K divisions.

    Raises:
        ValueError: If an argument is out of range.
    """

    controls = "clean_probability"
    records_samples = True

    def __init__(
        self,
        make_batches: Callable[[], Any],
        *,
        warmup_epochs: int = 10,
        unlabelled_weight: float = 25.0,
        ramp_epochs: int = 16,
        memory_epochs: int = 1,
    ) -> None:
        super().__init__()
        given = {
            "warmup_epochs": (warmup_epochs, 1),
            "unlabelled_weight": (unlabelled_weight, 0),
            "ramp_epochs": (ramp_epochs, 0),
            "memory_epochs": (memory_epochs, 1),
        }
        for name, (value, least) in given.items():
            if not value >= least:
                raise ValueError(
                    f"Expected {name} of at least {least}. Received: {name}={value}."
                )
        self.make_batches = make_batches
        self.warmup_epochs = warmup_epochs
        self.unlabelled_weight = unlabelled_weight
        self.ramp_epochs = ramp_epochs
        self.memory_epochs = memory_epochs
        self.count: int | None = None
        self.numbered: int | None = (
            None  # Number of samples in the arrays that `fit` numbered.
        )
        self.losses: Any = None
        self._passes: list = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the model.

        Raises:
            TypeError: If the model has no `clean_probability`.
            ValueError: If the model is for another number of samples, or several
                devices share a batch.
        """
        required_callbacks.check_controlled(self)
        if self.warmup_epochs >= self.params["epochs"]:
            logging.warning(
                "The warm-up of %d epochs does not end within %d epochs: DivideMix is "
                "ordinary training.",
                self.warmup_epochs,
                self.params["epochs"],
            )
        if self.numbered not in (None, self.model.num_samples):
            raise ValueError(
                f"Expected a dataset of {self.model.num_samples} samples, as in "
                f"DivideMix(num_samples=...). Received: {self.numbered}. Make the "
                "model for as many as it is trained on."
            )
        if replicas.part_count() > 1:
            raise ValueError(
                "DivideMix mixes images within a whole batch. Received: "
                f"{replicas.part_count()} devices that share it. Train on one device."
            )
        prepare = self.model.seen_in_evaluation
        self._passes = [Pass(each, prepare) for each in self.model.trained_networks()]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts anew where training starts; sets the weight of this epoch."""
        if epoch == 0:
            self.losses = None
        self.model.divided.assign(float(epoch >= self.warmup_epochs))
        self.model.unlabelled_weight.assign(self.weight(epoch))

    def weight(self, epoch: int) -> float:
        """The weight of the unlabelled loss in an epoch, counted from 0."""
        done = epoch - self.warmup_epochs + 0.5
        if done < 0:
            return 0.0
        return self.unlabelled_weight * min(done / max(self.ramp_epochs, 0.5), 1.0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Divides the samples for the next epoch."""
        if epoch + 1 < self.warmup_epochs:
            return
        count = self.model.num_samples
        found = per_sample_losses(self._passes, self.make_batches(), count)
        scaled = np.stack([gaussian_mixture.rescaled(each) for each in found])[None]
        before = np.zeros((0, 2, count)) if self.losses is None else self.losses
        self.losses = np.concatenate([before, scaled])[-self.memory_epochs :]
        clean = [
            gaussian_mixture.clean_probability(each)
            for each in self.losses.mean(axis=0)
        ]
        self.model.clean_probability.assign(np.stack(clean))

    def state(self) -> dict[str, Any]:
        """The losses that the next division needs, for `RunCheckpoint`."""
        return {} if self.losses is None else {"losses": self.losses}

    def set_state(self, arrays: Mapping[str, Any]) -> None:
        """Continues from what `state` returned."""
        if "losses" in arrays:
            self.losses = np.asarray(arrays["losses"], "float64")
