"""How much of each batch is left out, and from when on only disagreement counts."""

from typing import Any

import keras

from josrc_keras import schedules
from josrc_keras.training import required_callbacks


class ForgetRate(keras.callbacks.Callback):
    """Sets `forget_rate` of `CoTeaching`, `CoTeachingPlus` and `JoCoR`.

    These methods have to be told how many labels are wrong: their papers set the rate
    to the noise rate.

    Args:
        rate: The share of a batch that is left out after the warm-up, in [0, 1).
        warmup_epochs: Number of epochs over which the share grows linearly, at least 0;
            the papers use 10.
        agreeing_epochs: Number of epochs in which `CoTeachingPlus` trains like
            `CoTeaching`, at least 0. Other methods ignore it.

    Raises:
        ValueError: If an argument is out of range.
    """

    controls = "forget_rate"

    def __init__(
        self, rate: float, warmup_epochs: int = 10, *, agreeing_epochs: int = 5
    ) -> None:
        super().__init__()
        schedules.forget_rate(1, rate=rate, warmup_epochs=warmup_epochs)
        if agreeing_epochs < 0:
            raise ValueError(
                "Expected agreeing_epochs of at least 0. Received: "
                f"agreeing_epochs={agreeing_epochs}."
            )
        self.rate = rate
        self.warmup_epochs = warmup_epochs
        self.agreeing_epochs = agreeing_epochs

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the model.

        Raises:
            TypeError: If the model has no `forget_rate`.
        """
        required_callbacks.check_controlled(self)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the model's variables for this epoch."""
        rate = schedules.forget_rate(
            epoch + 1, rate=self.rate, warmup_epochs=self.warmup_epochs
        )
        self.model.forget_rate.assign(rate)
        if hasattr(self.model, "disagreement_only"):
            started = epoch >= self.agreeing_epochs
            self.model.disagreement_only.assign(float(started))
