"""One step of training on either backend, for every method."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from josrc_keras import _checks, losses
from josrc_keras.data.checks import contract
from josrc_keras.devices import replicas
from josrc_keras.training import jax_step, tf_step


class Outcome(NamedTuple):
    """What a method found out about a batch, with which the step continues.

    Attributes:
        logits: `(N, C)` logits for the compiled metrics.
        terms: Pairs `(losses, included)`, each `(N,)`. The step minimises the sum of
            the means of the losses over their included samples.
        means: Dict from a name in `training_metrics` to `(values,)` or
            `(values, weights)`, each `(N,)` or a scalar, of which the metric is the
            mean.
        selection: A `selection.Selection`, from a method that sorts samples, or None.
        likelihood: `(N,)` in [0, 1], higher for what looks clean, or None.
        evidence: Logits `(N, C)` of the first and of the second view, from which the
            history of the samples is made, or None.
        features: `(N, F)` what the table of the epoch keeps of each sample besides, or
            None.
    """

    logits: Any
    terms: Any
    means: Any
    selection: Any = None
    likelihood: Any = None
    evidence: Any = None
    features: Any = None


class StepModel(keras.Model):
    """A model whose `train_step` is made of `step`, on TensorFlow and on JAX.

    A subclass has `student`, `augmentation`, `monitored`, `data_contract()` and
    `update_metrics()`.
    """

    def step(
        self,
        arguments: tuple,
        learn: Callable[[contract.Batch], Outcome],
        then: Callable[[], None] | None = None,
    ) -> Any:
        """One step of the optimizer on one batch.

        Args:
            arguments: The arguments of `train_step`: `(data,)` on TensorFlow,
                `(state, data)` on JAX.
            learn: Function of a `contract.Batch` that returns an `Outcome`.
            then: Function without arguments that is called after the update, or None.

        Returns:
            What Keras expects of `train_step`.
        """
        batch, state = self.start_step(arguments)

        def objective():
            outcome = learn(batch)
            penalty = self.penalty()
            loss = self.per_replica(penalty)
            for per_sample, included in outcome.terms:
                loss += self.mean_over(per_sample, included, batch.sample_weight)
            return loss, (outcome, penalty)

        def finish(outcome_and_penalty):
            if then is not None:
                then()
            return self.update_metrics(batch, *outcome_and_penalty)

        return self.descend(state, objective, finish)

    def start_step(self, arguments):
        """Unpacks the arguments of `train_step`, and checks the batch.

        Args:
            arguments: `(data,)` as Keras passes it on TensorFlow, `(state, data)` on
                JAX.

        Returns:
            A `contract.Batch`, and the state or None.
        """
        *state, data = arguments
        batch = contract.unpack(data)
        self.data_contract().check(batch, training=True)
        batch = _of_equal_parts(batch)
        if self.monitored:
            _checks.check_true_labels(batch.true_labels)
        return batch, state[0] if state else None

    def descend(self, state, objective, finish):
        """One step of the optimizer.

        Args:
            state: What `start_step` returned.
            objective: Function without arguments that returns the scalar to minimise
                and an outcome: whatever `finish` needs.
            finish: Function of the outcome, called after the update, that updates
                metrics and all other variables, and returns the logs.

        Returns:
            What Keras expects of `train_step`.
        """
        if state is not None:
            return jax_step.descend(self, state, objective, finish)
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss, outcome = objective()
            scaled_loss = self.optimizer.scale_loss(loss)
        weights = self.trainable_variables
        gradients = tape.gradient(scaled_loss, weights)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return finish(outcome)

    def only_if(self, condition, function, otherwise, *, reads, assigns):
        """Runs `function()` only where the condition holds, at run time.

        Replicas of a TensorFlow strategy can't synchronise within a branch. They always
        run the function, and take back its assignments where the condition is false.

        Args:
            condition: Boolean scalar.
            function: Function without arguments that returns a tensor.
            otherwise: What to return instead, of the same shape and dtype.
            reads: Every Keras variable that the function reads or assigns.
            assigns: The float variables that it assigns.

        Returns:
            The tensor.
        """
        if keras.backend.backend() == "jax":
            return jax_step.only_if(condition, function, otherwise, reads)
        if replicas.replica_count() == 1:
            return ops.cond(condition, function, lambda: otherwise)
        before = [ops.copy(variable) for variable in assigns]
        result = function()
        for variable, value in zip(assigns, before, strict=True):
            variable.assign(ops.where(condition, variable, value))
        return result

    def one_view(self, batch: contract.Batch) -> Any:
        """One view of the images of a batch, given or drawn."""
        images = batch.image_parts()[0]
        if self.augmentation is None or isinstance(batch.images, dict):
            return images
        return self.augmentation(images, training=True)

    def make_train_function(self, force: bool = False) -> None:
        """Compiles the step; on JAX, `steps_per_execution` steps in one function."""
        if not jax_step.runs_on_device(self):
            super().make_train_function(force=force)
        elif force or getattr(self, "train_function", None) is None:
            self.train_function = jax_step.many_steps(self)

    def _make_function(self, step_function, *args, **kwargs):
        """Makes Keras's function, or with many TensorFlow replicas our own loop."""
        made = super()._make_function(step_function, *args, **kwargs)
        if not tf_step.distributed(self):
            return made
        return tf_step.make_function(self, step_function, made)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds as Keras does, on one replica's part of the batch if there are many.

        Keras can't put the parts of the first batch together.
        """
        if iterator is not None and tf_step.distributed(self):
            data_batch, iterator = tf_step.first_batch(self, iterator), None
        super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def trained_networks(self) -> list:
        """The networks that a gradient changes."""
        return [self.student]

    def penalty(self) -> Any:
        """The sum of the networks' own losses, such as weight regularisers: a scalar.

        Of losses that depend on the images (`add_loss`, activity regularisers), Keras
        keeps those of a network's newest call, which is the one on the second view.
        """
        own = [loss for network in self.trained_networks() for loss in network.losses]
        return sum(own, ops.zeros((), "float32"))

    def mean_over(self, per_sample, included, sample_weight):
        """This replica's part of the mean over the included samples of all replicas.

        Args:
            per_sample: `(N,)` losses.
            included: `(N,)` boolean: the samples to train on.
            sample_weight: `(N,)` or None.

        Returns:
            A scalar; 0 if no sample is included.
        """
        count = ops.sum(ops.cast(included, "float32"))
        total = losses.masked_sum(per_sample, included, sample_weight)
        return total / ops.maximum(replicas.global_sum(count), 1.0)

    def per_replica(self, penalty):
        """This replica's part of the penalty: gradients are summed over replicas."""
        return penalty / replicas.replica_count()


def _of_equal_parts(batch):
    """The batch, with a check that all replicas' parts are equally large."""
    check = replicas.check_equal_parts(ops.shape(batch.labels)[0])
    if check is None:
        return batch
    import tensorflow as tf

    with tf.control_dependencies([check]):
        return batch._replace(labels=tf.identity(batch.labels))
