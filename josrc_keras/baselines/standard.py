"""Ordinary training: cross-entropy against the given labels."""

import keras
from keras import ops

from josrc_keras import guards, losses, replicas
from josrc_keras.base import NoisyLabelModel, weighted
from josrc_keras.data import contract
from josrc_keras.networks import check_network


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
        guards.check_backend("tensorflow")
        super().__init__(**kwargs)
        self.student = check_network(network, num_classes)
        self.num_classes = num_classes
        self.augmentation = guards.check_augmentation(augmentation)
        self.make_metrics()
        self.built = True

    def train_step(self, data):
        """One step of cross-entropy."""
        import tensorflow as tf

        batch = contract.unpack(data)
        self.check_batch(batch)
        images = batch.image_parts()[0]
        if self.augmentation is not None and not isinstance(batch.images, dict):
            images = self.augmentation(images, training=True)
        everyone = ops.ones(ops.shape(batch.labels)[:1], "bool")
        count = replicas.global_sum(ops.sum(ops.cast(everyone, "float32")))
        with tf.GradientTape() as tape:
            logits = ops.cast(self.student(images, training=True), "float32")
            per_sample = losses.cross_entropy(batch.integer_labels(), logits)
            total = losses.masked_sum(per_sample, everyone, batch.sample_weight)
            penalty = self.penalty()
            loss = total / count + penalty / replicas.replica_count()
            scaled_loss = self.optimizer.scale_loss(loss)
        weights = self.student.trainable_variables
        gradients = tape.gradient(scaled_loss, weights)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        self.record_loss(weighted(per_sample, batch.sample_weight) + penalty, everyone)
        self.record_truth(batch, logits)
        return self.compute_metrics(
            None, batch.labels, logits, sample_weight=batch.sample_weight
        )

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "network": keras.saving.serialize_keras_object(self.student),
            "num_classes": self.num_classes,
            "augmentation": keras.saving.serialize_keras_object(self.augmentation),
        }
