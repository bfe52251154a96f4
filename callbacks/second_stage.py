"""Training that starts anew with what its first stage has found."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np


class SecondStage(keras.callbacks.Callback):
    """Starts the networks and the optimizer anew at the beginning of an epoch.

    What the first stage found stays: everything of the model but the weights of its
    trained networks. These get the values that they had before the first epoch, so that
    a pretrained network is pretrained again. The optimizer keeps its learning rate, and
    its number of steps if the rate is a schedule of that.

    To resume training it needs its state, which `RunCheckpoint(carried=[...])` keeps.

    Args:
        at_epoch: Number of epochs of the first stage, at least 1; None has no second
            stage.

    Raises:
        ValueError: If `at_epoch` is below 1.
    """

    def __init__(self, at_epoch: int | None) -> None:
        super().__init__()
        if at_epoch is not None and at_epoch < 1:
            raise ValueError(
                "Expected at_epoch, the number of epochs of the first stage, of at "
                f"least 1. Received: at_epoch={at_epoch}. Give the first stage an "
                "epoch, or leave the second one out."
            )
        self.at_epoch = at_epoch
        self._initial: list = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers the first weights; begins the second stage where it is due.

        Raises:
            ValueError: If the first weights are not known, in a resumed training.
        """
        if self.at_epoch is None:
            return
        if epoch == 0:
            self._initial = [np.array(value) for value in self._weights(numpy=True)]
        if epoch == self.at_epoch:
            if not self._initial:
                raise ValueError(
                    "Expected the weights from before the first epoch, to start anew "
                    f"in epoch {epoch + 1}. Received: none. Carry the callback's "
                    "state: RunCheckpoint(..., carried=[callback])."
                )
            self.begin_second_stage()
            for weight, value in zip(self._weights(), self._initial, strict=True):
                weight.assign(value)
            start_anew(self.model.optimizer, self.model.trainable_variables)
            self._initial = []

    def begin_second_stage(self) -> None:
        """What a subclass does with the first stage's networks before they go."""

    def _weights(self, *, numpy=False):
        networks = self.model.trained_networks()
        weights = [weight for network in networks for weight in network.weights]
        return map(keras.ops.convert_to_numpy, weights) if numpy else weights

    def state(self) -> dict[str, Any]:
        """The first weights as arrays, as long as they are needed."""
        return {
            f"initial{number:04d}": array for number, array in enumerate(self._initial)
        }

    def set_state(self, arrays: Mapping[str, Any]) -> None:
        """Continues from what `state` returned."""
        names = sorted(name for name in arrays if name.startswith("initial"))
        self._initial = [np.array(arrays[name]) for name in names]


def start_anew(optimizer: keras.optimizers.Optimizer, variables: Any) -> None:
    """Gives an optimizer's variables the values that a new optimizer has.

    The learning rate stays. Where it is a schedule of the number of steps, that number
    stays, too. Adam then takes its new averages for old ones, so that its first steps
    are up to five times as large: a callback such as `LinearDecay` is better there than
    a schedule.

    Args:
        optimizer: A built Keras optimizer.
        variables: The variables that it trains.
    """
    fresh = type(optimizer).from_config(optimizer.get_config())
    fresh.build(variables)
    kept = {"learning_rate"}
    # A LossScaleOptimizer has a learning rate of its own, which counts for nothing.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not any(variable.name == "learning_rate" for variable in inner.variables):
        kept.add("iteration")
    for ours, new in zip(optimizer.variables, fresh.variables, strict=True):
        if ours.name not in kept:
            ours.assign(np.array(keras.ops.convert_to_numpy(new)))
