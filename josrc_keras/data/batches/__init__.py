"""Batches of a split, in an order that depends only on seed and epoch."""

from josrc_keras.data.batches.choose import (
    evaluation_batches,
    steps_per_epoch,
    train_batches,
)

__all__ = ["evaluation_batches", "steps_per_epoch", "train_batches"]
