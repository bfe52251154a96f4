"""The learning-rate plan of the paper's experiments on Clothing1M."""

import keras

from josrc_keras import schedules


class CosineDecay(keras.callbacks.Callback):
    """Takes the learning rate from its full value along half a cosine to zero.

    Args:
        learning_rate: The full rate; None takes the optimizer's at the beginning of
            `fit`. Give it when a run may be resumed.
        epochs: Number of epochs in all; None takes that of `fit`.
    """

    def __init__(self, learning_rate=None, *, epochs=None):
        super().__init__()
        self.learning_rate = learning_rate
        self._full = learning_rate
        self.epochs = epochs

    def on_train_begin(self, logs=None):
        """Remembers the full rate."""
        self._full = self.learning_rate
        if self._full is None:
            self._full = float(self._optimizer().learning_rate)

    def on_epoch_begin(self, epoch, logs=None):
        """Writes the rate of this epoch."""
        epochs = self.epochs or self.params["epochs"]
        factor = schedules.cosine_decay(epoch + 1, epochs=epochs)
        self._optimizer().learning_rate = self._full * factor

    def _optimizer(self):
        """The optimizer itself, out of a loss-scaling wrapper."""
        optimizer = self.model.optimizer
        return getattr(optimizer, "inner_optimizer", optimizer)
