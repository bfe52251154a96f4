"""What training must not run on through."""

import keras
import numpy as np
from absl import logging
from keras import ops

RUNAWAY = -1.0  # Bits; in the runs on digits that did not collapse it is positive.


class FiniteLoss(keras.callbacks.Callback):
    """Stops when the loss or a weight is NaN or infinite; warns when eq. 9 runs away.

    A sample whose likelihood is NaN is never selected, so without this a broken
    network would train on in silence.

    Args:
        interval: Batches between two looks. The metrics are means over the epoch so
            far, so that nothing is missed in between.

    Raises:
        FloatingPointError: With the epoch, the batch and what to do.
    """

    WATCHED = ("loss", "clean_likelihood")

    def __init__(self, interval=20):
        super().__init__()
        self.interval = interval
        self.epoch = 0
        self.looked = None
        self.pending = None
        self.warned = False

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers the epoch for the message."""
        self.epoch = epoch
        self.looked = None
        self.pending = None

    def on_train_batch_end(self, batch, logs=None):
        """Looks once in `interval` batches; an execution may run several.

        It looks at what the device has computed by then, the numbers of the look
        before, so that the device never waits for the host.
        """
        if batch // self.interval != self.looked:
            self.looked = batch // self.interval
            if self.pending is not None:
                self._check(*self.pending)
            self.pending = f"epoch {self.epoch + 1}, by batch {batch + 1}", logs

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the whole epoch, and at the weights.

        oneDNN's ReLU after batch normalisation makes 0 of NaN, so that weights can be
        NaN behind a loss that is not.
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
        broken = not all(np.isfinite(value) for value in values.values())
        self._fail_if(broken, when, values)

    def _fail_if(self, broken, when, found):
        if broken:
            raise FloatingPointError(
                f"Training broke down in {when}. Received: {found}. Expected finite "
                "numbers. Lower the learning rate or clip gradients (`clipnorm`), and "
                "look for NaN pixels and labels out of range in the data."
            )
