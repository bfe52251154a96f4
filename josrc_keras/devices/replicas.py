"""What a step and a callback ask about the devices that share the work.

With TensorFlow, a strategy runs the step once on each replica, with a part of the
batch, and sums the replicas' gradients. With JAX, the step is written for the whole
batch, and the compiler splits it: there is one replica whatever the number of devices.
"""

import keras

MARK = "<josrc_keras>"  # Marks our text within TensorFlow's error message.


def _strategy(model=None):
    import tensorflow as tf

    return model.distribute_strategy if model else tf.distribute.get_strategy()


def _on_tensorflow():
    return keras.backend.backend() == "tensorflow"


def global_sum(value):
    """Sums a scalar over all replicas, from within a compiled step.

    Keras sums gradients over replicas, so a masked mean is right only if every replica
    divides by the number of samples of the whole batch.
    """
    if not _on_tensorflow():
        return value
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce("sum", value)


def replica_count():
    """Number of replicas whose gradients are summed."""
    return _strategy().num_replicas_in_sync if _on_tensorflow() else 1


def own_rows(draw, count):
    """This replica's part of what one device would draw for the whole batch.

    Keras's random generators are in the same state on every replica, which would give
    all of them the same augmentations.

    Args:
        draw: Function from a number of rows to a tensor with that number of rows.
        count: Number of this replica's rows.

    Returns:
        `count` rows. All replicas' rows, one after the other, are one draw for all.
    """
    replicas = replica_count()
    if replicas == 1:
        return draw(count)
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    start = context.replica_id_in_sync_group * count
    return draw(replicas * count)[start : start + count]


def following_rows(values):
    """Each row's successor in the whole batch; the first row follows the last.

    Args:
        values: `(N, ...)` of one replica; all replicas have the same N.

    Returns:
        `(N, ...)`.
    """
    if replica_count() == 1:
        return keras.ops.roll(values, -1, axis=0)
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    firsts = context.all_gather(values[:1], axis=0)  # One row from each replica.
    after = (context.replica_id_in_sync_group + 1) % replica_count()
    return tf.concat([values[1:], firsts[after][None]], axis=0)


def check_equal_parts(count):
    """Makes a step fail unless every replica has as many samples as this one.

    Args:
        count: Number of this replica's samples, an integer or a scalar tensor.

    Returns:
        An operation to depend on, or None where nothing needs a check.
    """
    replicas = replica_count()
    if replicas == 1:
        return None
    import tensorflow as tf

    count = tf.cast(count, "float32")
    return tf.debugging.assert_equal(
        count * replicas,
        global_sum(count),
        f"{MARK}Replicas got parts of a batch that differ in size. Expected batches "
        f"that {replicas} replicas can share equally. Received: a batch that they "
        "can't, perhaps the last one. Use "
        f"`dataset.batch(batch_size, drop_remainder=True)`.{MARK}",
    )


# The functions below are for use outside of a step.


def part_count():
    """Number of parts that a batch is split into, with either backend."""
    if _on_tensorflow():
        return replica_count()
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.num_model_replicas


def process_count():
    """Number of processes that train together."""
    if _on_tensorflow():
        resolver = _strategy().cluster_resolver
        workers = resolver.cluster_spec().as_dict() if resolver else {}
        return max(1, sum(map(len, workers.values())))
    import jax

    return jax.process_count()


def is_chief(model=None):
    """Whether this process is the one that writes files for all processes.

    Args:
        model: The model that is trained. It is needed outside of the scope of the
            strategy that it was made in.
    """
    if _on_tensorflow():
        return _strategy(model).extended.should_checkpoint
    import jax

    return jax.process_index() == 0


def check_agreement(value, what):
    """Raises a `ValueError` unless all processes have the same integer.

    Args:
        value: An integer.
        what: Name of the value for the message.
    """
    if process_count() == 1:
        return
    values = _gathered(value)
    if len(set(values)) > 1:
        raise ValueError(
            f"The processes disagree on {what}. Received: {values}, one of each. "
            "Expected a run folder that all of them see, on a file system that they "
            "share, and the same command everywhere."
        )


def _gathered(value):
    if _on_tensorflow():
        import tensorflow as tf

        def collect():
            context = tf.distribute.get_replica_context()
            return context.all_gather(tf.constant([value]), axis=0)

        strategy = _strategy()
        results = strategy.experimental_local_results(strategy.run(collect))
        return results[0].numpy().tolist()
    import numpy as np
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(np.array([value])).ravel().tolist()
