"""Sums across the replicas of a distribution strategy."""

import keras


def global_sum(value):
    """Sums a scalar over all replicas, from within a compiled step.

    Keras sums gradients over replicas, so a masked mean is right only if every replica
    divides by the number of samples of the whole batch.
    """
    if keras.backend.backend() != "tensorflow":
        return value
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce("sum", value)


def replica_count():
    """Number of replicas whose gradients are summed."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync
