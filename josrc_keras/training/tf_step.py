"""Training and evaluation of many replicas in TensorFlow.

Keras 3.15's own loop can't run several steps per execution under a strategy. Under
`MultiWorkerMirroredStrategy` it can't run at all, since it reduces the first batch and
every step's logs in a way that a worker's values don't allow (keras issue 20585). Here
the steps run in one graph, and the logs are read from the metrics after them.
"""

import keras


def distributed(model):
    """Whether a strategy of many replicas trains the model."""
    return (
        keras.backend.backend() == "tensorflow"
        and model.distribute_strategy.num_replicas_in_sync > 1
    )


def first_batch(model, iterator):
    """The first part that this process has of the first batch, to build metrics on."""
    local = model.distribute_strategy.experimental_local_results
    for _, _, batches in iterator:
        return keras.tree.map_structure(lambda part: local(part)[0], next(batches))


def make_function(model, step, keras_function):
    """Makes what Keras's `fit` and `evaluate` call.

    Args:
        model: A compiled model whose logs are the results of its metrics.
        step: `model.train_step` or `model.test_step`.
        keras_function: The function that Keras makes of the step, for batches that are
            not distributed, such as those of `train_on_batch`.

    Returns:
        A function of an iterator that runs `steps_per_execution` steps, or fewer at the
        end of the data, and returns the logs. It raises `StopIteration` when no batch
        is left.
    """
    import tensorflow as tf

    strategy = model.distribute_strategy

    @tf.autograph.experimental.do_not_convert
    def steps(iterator):
        def body(done, _):
            data = iterator.get_next_as_optional()

            def run():
                strategy.run(step, args=(data.get_value(),))
                return done + 1, True

            return tf.cond(data.has_value(), run, lambda: (done, False))

        def unfinished(done, more):
            return tf.logical_and(more, done < model.steps_per_execution)

        done, _ = tf.while_loop(unfinished, body, [0, True])
        return done, model.get_metrics_result()

    if not model.run_eagerly:
        steps = tf.function(steps, reduce_retracing=True)

    def function(iterator):
        if not isinstance(iterator, tf.distribute.DistributedIterator):
            return keras_function(iterator)
        done, logs = steps(iterator)
        if not int(done):
            raise StopIteration
        return logs

    return function
