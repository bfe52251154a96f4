"""Stops a training whose numbers are not finite."""

from typing import Any

import keras
from absl import logging
from keras import ops

LARGEST = 1e6  # A loss beyond it, in nats, is no longer one of a classifier.
RUNAWAY = -1.0  # Bits. In runs on digits that did not collapse the loss was positive.


class FiniteLoss(keras.callbacks.Callback):
    """Stops when the loss or a weight is NaN or infinite; warns when eq. 9 runs away.

    A sample whose likelihood is NaN is never selected, so without this callback a
    broken network would go on training unnoticed.

    Args:
        interval: Number of batches between two checks. Nothing is missed in between,
            since the metrics are means over the epoch so far.

    Raises:
        FloatingPointError: If a number is not finite. The message has the epoch, the
            batch and what to do.
    """

    WATCHED = ("loss", "clean_likelihood")

    def __init__(self, interval: int = 20) -> None:
        super().__init__()
        self.interval = interval
        self.epoch = 0
        self.looked: int | None = None
        self.pending: tuple[str, Any] | None = None
        self.warned = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers the epoch for the message."""
        self.epoch = epoch
        self.looked = None
        self.pending = None

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Checks once in `interval` batches, of which one execution may run several.

        It checks the numbers of the previous time, which the device has computed by
        now, so that the device never waits for the host.
        """
        if batch // self.interval != self.looked:
            self.looked = batch // self.interval
            if self.pending is not None:
                self._check(*self.pending)
            self.pending = f"epoch {self.epoch + 1}, by batch {batch + 1}", logs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks the whole epoch, and the weights.

        oneDNN's ReLU after batch normalisation turns NaN into 0, so weights can be NaN
        although the loss is finite.
        """
        self._check(f"epoch {epoch + 1}", logs)
        broken = [
            weight.path
            for network in self.model.trained_networks()
            for weight in network.weights
            if "float" in weight.dtype and not bool(ops.all(ops.isfinite(weight)))
        ]
        self._fail_if(broken, f"epoch {epoch + 1}", f"weights: {broken[:3]}")
        consistency = float((logs or {}).get("consistency_loss", 0.0))
        if consistency < RUNAWAY and not self.warned:
            self.warned = True
            logging.warning(
                "The out-of-distribution term of eq. 9 has no lower bound and runs "
                "away: consistency_loss is %.1f in epoch %d. The network is being "
                "trained to contradict itself. Lower alpha or the learning rate.",
                consistency,
                epoch + 1,
            )

    def _check(self, when, logs):
        values = {name: float(logs[name]) for name in self.WATCHED if name in logs}
        broken = not all(abs(value) < LARGEST for value in values.values())
        self._fail_if(broken, when, values)

    def _fail_if(self, broken, when, found):
        if broken:
            raise FloatingPointError(
                f"Training broke down in {when}. Received: {found}. Expected finite "
                f"numbers, a loss below {LARGEST:g}. Lower the learning rate or clip "
                "gradients (`clipnorm`), and look for NaN pixels and labels out of "
                "range in the data."
            )
