"""The learning-rate schedule of the paper's experiments on Clothing1M."""

from typing import Any

import keras

from josrc_keras import schedules


class CosineDecay(keras.callbacks.Callback):
    """Lowers the learning rate from its full value along half a cosine to zero.

    Args:
        learning_rate: The full rate; None takes the optimizer's at the beginning of
            `fit`. Pass it when a run may be resumed.
        epochs: Number of epochs in all; None takes that of `fit`.
    """

    def __init__(
        self, learning_rate: float | None = None, *, epochs: int | None = None
    ) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self._full: Any = learning_rate
        self.epochs = epochs

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Remembers the full rate."""
        self._full = self.learning_rate
        if self._full is None:
            self._full = float(self._optimizer().learning_rate)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the rate of this epoch."""
        epochs = self.epochs or self.params["epochs"]
        factor = schedules.cosine_decay(epoch + 1, epochs=epochs)
        self._optimizer().learning_rate = self._full * factor

    def _optimizer(self):
        """The optimizer itself, without a loss-scaling wrapper."""
        optimizer = self.model.optimizer
        return getattr(optimizer, "inner_optimizer", optimizer)
