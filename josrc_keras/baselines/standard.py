"""Ordinary training: cross-entropy against the given labels."""

from typing import Any

import keras
from keras import ops

from josrc_keras import losses
from josrc_keras.training.base import NoisyLabelModel
from josrc_keras.training.step import Outcome


@keras.saving.register_keras_serializable(package="josrc_keras")
class Standard(NoisyLabelModel):
    """Trains on the given labels as if they were right: the baseline.

    It takes the data that `JoSRC` takes, and trains on one view of each image.

    Args:
        network: A built `keras.Model` from images to logits `(N, C)`.
        num_classes: C, at least 2.
        augmentation: A `keras.Layer` that draws a view, or None.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        student: The trained network.

    Raises:
        TypeError: If `network` or `augmentation` is of the wrong type.
        ValueError: If the network does not end in C logits.
    """

    needs_two_views = False

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        augmentation: keras.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, num_classes, augmentation, **kwargs)
        self.make_metrics()

    def train_step(self, *arguments: Any) -> Any:
        """One step of cross-entropy. On JAX, Keras passes `(state, data)`."""

        def learn(batch):
            logits = self.student(self.one_view(batch), training=True)
            per_sample = losses.cross_entropy(batch.integer_labels(), logits)
            everyone = ops.ones_like(per_sample, dtype="bool")
            return Outcome(logits, terms=((per_sample, everyone),), means={})

        return self.step(arguments, learn)
