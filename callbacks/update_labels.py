"""Makes the labels of Joint-Optim from the predictions of the last epochs."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from josrc_keras.baselines import joint_optim
from josrc_keras.callbacks.second_stage import SecondStage
from josrc_keras.training import required_callbacks


class UpdateLabels(SecondStage):
    """Sets `soft_labels` of a `JointOptim` after every epoch, and its second stage.

    It keeps what the last epochs predicted of each sample, as float16. A sample that
    none of them saw keeps its given label.

    To resume training it needs its state, which `RunCheckpoint(carried=[...])` keeps.

    Args:
        start: The first epoch, counted from 1, after which labels are replaced, at
            least 1; the published code has 70 of 200.
        memory: Number of epochs whose predictions count, at least 1; published: 10.
        second_stage: Number of epochs before network and optimizer start anew, more
            than `start`; published: 200 of 320. None has no second stage.

    Raises:
        ValueError: If an argument is out of range.
    """

    controls = "soft_labels"
    records_samples = True  # So `fit` numbers the samples of arrays.
    count = None

    def __init__(
        self, start: int, memory: int = 10, second_stage: int | None = None
    ) -> None:
        super().__init__(second_stage)
        if min(start, memory) < 1 or (second_stage or start + 1) <= start:
            raise ValueError(
                "Expected start and memory of at least 1, and second_stage beyond "
                f"start. Received: start={start}, memory={memory}, second_stage="
                f"{second_stage}. The published code has 70, 10 and 200."
            )
        self.start = start
        self.memory = memory
        self._ring: Any = None  # `(memory, N, C)` float16; None in the second stage.
        self._epoch = 0
        self._taken = True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the model.

        Raises:
            TypeError: If the model has no `soft_labels`.
        """
        required_callbacks.check_controlled(self)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begins the table of the epoch, and the second stage where it is due."""
        super().on_epoch_begin(epoch, logs)
        self._epoch, self._taken = epoch, False
        second = self.at_epoch is not None and epoch >= self.at_epoch
        if second:
            self._ring = None
        elif self._ring is None or epoch == 0:
            shape = (self.memory, *self.model.predictions.shape)
            self._ring = np.zeros(shape, "float16")
        if epoch == 0:
            self.model.soft_labels.assign(np.zeros(self.model.soft_labels.shape))
        self.model.regularised.assign(float(not second))
        self.model.predictions.assign(np.zeros(self.model.predictions.shape))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keeps the epoch's predictions, and replaces the labels from `start` on."""
        self._take()

    def _take(self):
        if self._taken or self._ring is None:
            return
        self._taken = True
        now = keras.ops.convert_to_numpy(self.model.predictions)
        self._ring[self._epoch % self.memory] = now
        if self._epoch + 1 >= self.start:
            self.model.soft_labels.assign(joint_optim.updated_labels(self._ring))

    def state(self) -> dict[str, Any]:
        """The predictions of the last epochs, and the weights before the first one.

        At the end of an epoch they include that epoch, whichever callback comes first.
        """
        self._take()
        arrays = super().state()
        return arrays if self._ring is None else arrays | {"ring": self._ring}

    def set_state(self, arrays: Mapping[str, Any]) -> None:
        """Continues from what `state` returned."""
        super().set_state(arrays)
        self._ring = np.array(arrays["ring"]) if "ring" in arrays else None
