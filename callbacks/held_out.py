"""Accuracy on images that are not trained on, with their labels as they are."""

from typing import ClassVar

import keras


class HeldOut(keras.callbacks.Callback):
    """Adds the accuracy on a validation split to what every epoch reports.

    Beside `validation_data`, which in benchmarks is the clean test set, on which
    nothing may be chosen. Its labels may be wrong: then the accuracy is too low,
    and still grows with the true one where the errors do not follow the network's.

    To evaluate resets the metrics: where `fit` has no `validation_data`, put it behind
    `SelectionMonitor`, which reads them.

    The logs get `held_out_accuracy`, and where the model evaluates both student and
    teacher the other one's by name, such as `held_out_teacher_accuracy`.

    Args:
        make_batches: Function that returns data for `model.evaluate`.
    """

    NAMES: ClassVar[dict] = {
        "accuracy": "held_out_accuracy",
        "teacher_accuracy": "held_out_teacher_accuracy",
        "student_accuracy": "held_out_student_accuracy",
    }

    def __init__(self, make_batches):
        super().__init__()
        self.make_batches = make_batches

    def on_epoch_end(self, epoch, logs=None):
        """Evaluates the model."""
        found = self.model.evaluate(self.make_batches(), verbose=0, return_dict=True)
        for name, shown in self.NAMES.items():
            if logs is not None and name in found:
                logs[shown] = found[name]
