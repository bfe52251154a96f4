"""How fast the mean teacher follows, from when on, and who is evaluated (eq. 8)."""

import keras

from josrc_keras._checks import check_choice
from josrc_keras.teacher import DECAY
from josrc_keras.training.mean_teacher import EVALUATED
from josrc_keras.training.required_callbacks import check_controlled


class MeanTeacher(keras.callbacks.Callback):
    """Sets `teacher_decay`, which the compiled step applies after every update.

    Args:
        decay: The paper's omega, in [0, 1).
        start_epoch: First epoch, counted from 1, with an average; before it the
            teacher is a copy of the student.
        ramp_up_epochs: Number of epochs over which the decay grows linearly to
            `decay`, so that the teacher forgets the untrained student sooner.
        evaluate: What `evaluate` and `validation_data` report: `"student"`,
            `"teacher"`, or `"both"`: the network that answers in `predict`, and beside
            it the other one's loss and accuracy by name, such as `teacher_accuracy`.

    Raises:
        ValueError: If an argument is out of range.
    """

    controls = "teacher_decay"

    def __init__(self, decay=DECAY, start_epoch=1, ramp_up_epochs=0, evaluate="both"):
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

    def on_train_begin(self, logs=None):
        """Checks the model and chooses what is evaluated."""
        check_controlled(self)
        self.model.set_evaluated(self.evaluate)

    def on_epoch_begin(self, epoch, logs=None):
        """Writes the decay of this epoch."""
        averaged = epoch + 2 - self.start_epoch  # 1 in the first averaged epoch.
        if averaged < 1:
            decay = 0.0
        else:
            decay = self.decay * min(1.0, averaged / (self.ramp_up_epochs + 1))
        self.model.teacher_decay.assign(decay)
