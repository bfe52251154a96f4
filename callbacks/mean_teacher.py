"""How fast and from when on the mean teacher follows (eq. 8), and what is evaluated."""

from typing import Any, Literal

import keras

from josrc_keras._checks import check_choice
from josrc_keras.teacher import DECAY
from josrc_keras.training.mean_teacher import EVALUATED
from josrc_keras.training.required_callbacks import check_controlled


class MeanTeacher(keras.callbacks.Callback):
    """Sets `teacher_decay`, which the compiled step applies after every update.

    Args:
        decay: The paper's omega, in [0, 1).
        start_epoch: First epoch with an average, counted from 1. Before it the teacher
            is a copy of the student.
        ramp_up_epochs: Number of epochs over which the decay grows linearly to
            `decay`, at least 0, so that the teacher forgets the untrained student
            sooner.
        evaluate: What evaluation reports: `"student"`, `"teacher"` or `"both"`. With
            `"both"` it is the network that `predict` uses, and the loss and accuracy of
            the other one by name, such as `teacher_accuracy`.

    Raises:
        ValueError: If an argument is out of range.
    """

    controls = "teacher_decay"

    def __init__(
        self,
        decay: float = DECAY,
        start_epoch: int = 1,
        ramp_up_epochs: int = 0,
        evaluate: Literal["both", "student", "teacher"] = "both",
    ) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(
                f"`decay` must be in [0, 1). Received: decay={decay}. The paper uses "
                "0.99; 1 would never move the teacher."
            )
        if start_epoch < 1 or ramp_up_epochs < 0:
            raise ValueError(
                "Expected start_epoch of at least 1 and ramp_up_epochs of at least 0. "
                f"Received: start_epoch={start_epoch}, ramp_up_epochs={ramp_up_epochs}."
            )
        self.decay = decay
        self.start_epoch = start_epoch
        self.ramp_up_epochs = ramp_up_epochs
        self.evaluate = check_choice("evaluate", evaluate, EVALUATED)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the model and chooses what is evaluated."""
        check_controlled(self)
        self.model.set_evaluated(self.evaluate)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the decay of this epoch."""
        averaged = epoch + 2 - self.start_epoch  # It is 1 in the first averaged epoch.
        if averaged < 1:
            decay = 0.0
        else:
            decay = self.decay * min(1.0, averaged / (self.ramp_up_epochs + 1))
        self.model.teacher_decay.assign(decay)
