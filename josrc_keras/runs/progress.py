"""A progress bar that fits a terminal."""

import keras

from josrc_keras.runs.folder import network_columns

SHOWN = {
    "loss": "loss",
    "clean_fraction": "clean",
    "id_fraction": "id",
    "ood_fraction": "ood",
    "tau_clean": "tau",
}


class Progress(keras.callbacks.ProgbarLogger):
    """Keras's progress bar with the few numbers that are of interest during training.

    Pass it to `fit(verbose=0)`. The history has all numbers.

    Args:
        verbose: 0 is silent, 1 a progress bar, 2 a line an epoch, as in Keras.
    """

    def __init__(self, verbose=1):
        super().__init__()
        self.level = verbose

    def set_params(self, params):
        """Takes the run's parameters, with a verbosity of its own."""
        super().set_params({**params, "verbose": self.level})

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar."""
        super().on_train_batch_end(batch, _shown(logs))

    def on_epoch_end(self, epoch, logs=None):
        """Ends the epoch's line."""
        super().on_epoch_end(epoch, _shown(logs))


def _shown(logs):
    logs = logs or {}
    shown = SHOWN | {name: network for network, name in network_columns(logs).items()}
    return {short: logs[name] for name, short in shown.items() if name in logs}
