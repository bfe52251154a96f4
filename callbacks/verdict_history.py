"""Records what every epoch found about every sample, without further forward passes."""

import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from josrc_keras.devices import replicas
from josrc_keras.samples import history


class VerdictHistory(keras.callbacks.Callback):
    """Records verdict and prediction of each sample in each epoch, for `JoSRC.audit`.

    The training step writes down what it computes anyway, by the sample's number in the
    dataset. `fit` numbers the samples of arrays itself. Any other data has to yield
    labels as `{"label", "index"}`, for example by `dataset.enumerate()` before
    shuffling.

    Args:
        count: Number of samples in the dataset; may be None where `fit` gets arrays.
        path: File to write the history to after every epoch (`.npz`), or None.

    Attributes:
        history: A `history.SampleHistory`, which is also `model.sample_history`; None
            before the first epoch. Training from epoch 0 on starts a new one.
    """

    records_samples = True

    def __init__(
        self, count: int | None = None, path: str | os.PathLike | None = None
    ) -> None:
        super().__init__()
        self.count = count
        self.path = path
        self.history: Any = None
        # Number of samples in the arrays that `fit` numbered.
        self.numbered: int | None = None
        self._samples: Any = None
        self._early = True
        self._taken = True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Makes the table.

        Raises:
            TypeError: If the model does not sort samples.
            ValueError: If the number of samples is not known.
        """
        if not hasattr(self.model, "record_epochs_of"):
            raise TypeError(
                "VerdictHistory records what a JoSRC model finds. Received: a "
                f"{type(self.model).__name__}. Leave the callback out."
            )
        self._samples = self.numbered if self.count is None else self.count
        if self._samples is None:
            raise ValueError(
                "Expected the number of samples of a dataset that is no array. "
                "Received: VerdictHistory(count=None). Pass `count`, and let the "
                "dataset yield labels as {'label', 'index'}."
            )
        self.model.record_epochs_of(self._samples)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the history where training starts.

        Raises:
            ValueError: If it would continue a history of another number of samples.
        """
        if self.history is None or epoch == 0:
            self.history = history.SampleHistory(self._samples)
        if len(self.history) != self._samples:
            raise ValueError(
                f"Expected the history of {self._samples} samples, to go on with it in "
                f"epoch {epoch + 1}. Received: one of {len(self.history)}. Train on "
                "the same dataset as before, or from the first epoch on."
            )
        self.model.sample_history = self.history
        self.model.epoch_findings.clear()
        self._early = 2 * epoch < self.params["epochs"]
        self._taken = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the epoch's table to the history, and writes it to a file."""
        self._take()
        if self.path is not None and replicas.is_chief(self.model):
            self.history.save(self.path)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Removes the table."""
        self.model.record_epochs_of(None)

    def _take(self):
        if not self._taken and self.model.epoch_findings is not None:
            self._taken = True
            self._add(self.model.epoch_findings.numpy())

    def _add(self, table):
        self.history.add(table, early=self._early)

    def state(self) -> dict[str, Any]:
        """The history as arrays, from which `set_state` continues, for `RunCheckpoint`.

        At the end of an epoch they include that epoch, whichever of the two callbacks
        comes first. All processes must call this, since they read the table together.
        """
        self._take()
        return {} if self.history is None else self.history.arrays()

    def set_state(self, arrays: Mapping[str, Any]) -> None:
        """Continues from what `state` returned; without arrays, nothing changes."""
        if arrays:
            self.history = history.SampleHistory.from_arrays(
                {name: np.asarray(array) for name, array in arrays.items()}
            )
