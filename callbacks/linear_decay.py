"""The learning-rate schedule of the paper's CIFAR experiments."""

from typing import Any

import keras

from josrc_keras import schedules


class LinearDecay(keras.callbacks.Callback):
    """Keeps the learning rate for some epochs, then lowers it linearly to zero.

    The published code also changes Adam's `beta_1` when the decay starts. Keras bakes
    `beta_1` into the compiled step, so the step is compiled once more at that epoch.

    Args:
        start_epoch: Number of epochs at the full rate, at least 0; the paper's code
            uses 80 of 200. A shorter run keeps the full rate.
        learning_rate: The full rate; None takes the optimizer's at the beginning of
            `fit`. Pass it when a run may be resumed.
        beta_1: Adam's `beta_1` once the decay has started, in [0, 1); None leaves it.
        epochs: Number of epochs in all; None takes that of `fit`.

    Raises:
        ValueError: If an argument is out of range, or the optimizer has no `beta_1`.
    """

    def __init__(
        self,
        start_epoch: int,
        learning_rate: float | None = None,
        *,
        beta_1: float | None = None,
        epochs: int | None = None,
    ) -> None:
        super().__init__()
        if start_epoch < 0 or (beta_1 is not None and not 0 <= beta_1 < 1):
            raise ValueError(
                "Expected start_epoch of at least 0 and beta_1 in [0, 1). Received: "
                f"start_epoch={start_epoch}, beta_1={beta_1}."
            )
        self.start_epoch = start_epoch
        self.learning_rate = learning_rate
        self._full: Any = learning_rate
        self.beta_1 = beta_1
        self.epochs = epochs

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Remembers the full rate and checks the optimizer."""
        optimizer = self._optimizer()
        if self.beta_1 is not None and not hasattr(optimizer, "beta_1"):
            raise ValueError(
                "LinearDecay can change beta_1 of Adam and its relatives. Received: "
                f"{type(optimizer).__name__} and beta_1={self.beta_1}. Leave beta_1 "
                "out, or train with keras.optimizers.Adam."
            )
        self._full = self.learning_rate
        if self._full is None:
            self._full = float(optimizer.learning_rate)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the rate of this epoch, and beta_1 where it changes."""
        optimizer = self._optimizer()
        epochs = self.epochs or self.params["epochs"]
        factor = schedules.linear_decay(
            epoch + 1, decay_start=min(self.start_epoch, epochs), epochs=epochs
        )
        optimizer.learning_rate = self._full * factor
        started = epoch >= self.start_epoch
        if started and self.beta_1 not in (None, optimizer.beta_1):
            optimizer.beta_1 = self.beta_1
            self.model.make_train_function(force=True)

    def _optimizer(self):
        """The optimizer itself, without a loss-scaling wrapper."""
        optimizer = self.model.optimizer
        return getattr(optimizer, "inner_optimizer", optimizer)
