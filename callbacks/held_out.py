"""Accuracy on held-out images, with their labels as they are."""

from collections.abc import Callable
from typing import Any, ClassVar

import keras


class HeldOut(keras.callbacks.Callback):
    """Adds the accuracy on held-out images to what every epoch reports.

    In benchmarks, `validation_data` is the clean test set, by which nothing may be
    chosen. Held-out labels may be wrong. Then the accuracy is too low, but it still
    grows with the true accuracy where the wrong labels do not follow the network's
    errors.

    Evaluation resets the metrics. Where `fit` has no `validation_data`, put this
    callback after `SelectionMonitor`, which reads them.

    The logs get `held_out_accuracy`. Where the model evaluates both student and
    teacher, they also get the other network's accuracy by name, such as
    `held_out_teacher_accuracy`.

    Args:
        make_batches: Function without arguments that returns data for
            `model.evaluate`.
    """

    NAMES: ClassVar[dict] = {
        "accuracy": "held_out_accuracy",
        "teacher_accuracy": "held_out_teacher_accuracy",
        "student_accuracy": "held_out_student_accuracy",
    }

    def __init__(self, make_batches: Callable[[], Any]) -> None:
        super().__init__()
        self.make_batches = make_batches

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates the model."""
        results = self.model.evaluate(self.make_batches(), verbose=0, return_dict=True)
        for name, shown in self.NAMES.items():
            if logs is not None and name in results:
                logs[shown] = results[name]
