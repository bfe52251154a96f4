"""When PENCIL corrects labels, and when it keeps them."""

from typing import Any

import keras
import numpy as np

from josrc_keras.training import required_callbacks


class PencilStages(keras.callbacks.Callback):
    """Sets `stage` of a `Pencil` at the beginning of every epoch.

    The learning rate is not part of it. The published code keeps 0.06 through the first
    two stages and takes 0.2, then less, in the third, with SGD.

    Args:
        correct_from: Number of epochs before labels are corrected, at least 0; the
            published code has 70 of 320 on CIFAR-10.
        fixed_from: Number of epochs before labels are fixed, more than `correct_from`;
            the published code has 200.

    Raises:
        ValueError: If an argument is out of range.
    """

    controls = "stage"
    records_samples = True  # So `fit` numbers the samples of arrays.
    count = None

    def __init__(self, correct_from: int, fixed_from: int) -> None:
        super().__init__()
        if not 0 <= correct_from < fixed_from:
            raise ValueError(
                "Expected 0 <= correct_from < fixed_from. Received: correct_from="
                f"{correct_from}, fixed_from={fixed_from}. The published code has 70 "
                "and 200 of 320 epochs."
            )
        self.correct_from = correct_from
        self.fixed_from = fixed_from

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the model.

        Raises:
            TypeError: If the model has no `stage`.
        """
        required_callbacks.check_controlled(self)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the stage of this epoch; starts with the given labels."""
        if epoch == 0:
            changes = self.model.label_changes
            changes.assign(np.zeros(changes.shape))
        stage = (epoch >= self.correct_from) + (epoch >= self.fixed_from)
        self.model.stage.assign(float(stage))
