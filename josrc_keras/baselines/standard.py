"""Ordinary training: cross-entropy against the given labels."""

import keras
from keras import ops

from josrc_keras import _checks, losses
from josrc_keras.networks import check_network
from josrc_keras.training.base import NoisyLabelModel, weighted


@keras.saving.register_keras_serializable(package="josrc_keras")
class Standard(NoisyLabelModel):
    """Trains on the given labels as if they were right: the baseline.

    Takes the data that `JoSRC` takes, and trains on one view of each image.

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

    def __init__(self, network, num_classes, augmentation=None, **kwargs):
        _checks.check_backend("tensorflow", "jax")
        super().__init__(**kwargs)
        self.student = check_network(network, num_classes)
        self.num_classes = num_classes
        self.augmentation = _checks.check_augmentation(augmentation)
        self.make_metrics()
        self.built = True

    def train_step(self, *arguments):
        """One step of cross-entropy."""
        batch, state = self.start_step(arguments)
        everyone = ops.ones(ops.shape(batch.labels)[:1], "bool")

        def objective():
            logits = self.student(self.one_view(batch), training=True)
            per_sample = losses.cross_entropy(batch.integer_labels(), logits)
            penalty = self.penalty()
            loss = self.mean_over(per_sample, everyone, batch.sample_weight)
            loss += self.per_replica(penalty)
            return loss, (logits, per_sample, penalty)

        def finish(found):
            logits, per_sample, penalty = found
            total = weighted(per_sample, batch.sample_weight) + penalty
            self.record_loss(total, everyone)
            self.record_truth(batch, logits)
            return self.compute_metrics(
                None, batch.labels, logits, sample_weight=batch.sample_weight
            )

        return self.descend(state, objective, finish)

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "network": keras.saving.serialize_keras_object(self.student),
            "num_classes": self.num_classes,
            "augmentation": keras.saving.serialize_keras_object(self.augmentation),
        }
