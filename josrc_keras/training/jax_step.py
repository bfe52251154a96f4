"""Training and evaluation on the JAX backend, in stateless form.

`many_steps` runs several steps in one execution on the device, whereas Keras's own JAX
trainer loops over `steps_per_execution` on the host.

Keras passes the values of all variables to a step and takes the new values back. Inside
a `StatelessScope` the model's own methods run on those values as they do elsewhere.
"""

import functools
import itertools

import keras
import numpy as np


def runs_on_device(model):
    """Whether `many_steps` can run the compiled model's training."""
    return (
        keras.backend.backend() == "jax"
        and model.steps_per_execution > 1
        and model.jit_compile
        and not model.run_eagerly
    )


def many_steps(model):
    """The train function of `steps_per_execution` steps in one `lax.scan`.

    Args:
        model: A compiled model, whose `train_step` is `(state, batch) -> (logs,
            state)`.

    Returns:
        A function `(state, iterator) -> (logs, state)` as Keras's `fit` calls it; the
        logs are those of the last step. Batches run one by one where too few are left
        at the end of the data, or the last one is smaller.
    """
    import jax
    import jax.numpy as jnp

    def swapped(state, batch):
        logs, state = model.train_step(state, batch)
        return state, logs

    compiled = functools.partial(jax.jit, donate_argnums=0)
    if keras.distribution.distribution() is not None:  # Variables stay where they are.
        compiled = functools.partial(compiled, out_shardings=(None, _shardings(model)))

    @compiled
    def scan(state, batches):
        stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *batches)
        state, logs = jax.lax.scan(swapped, state, stacked)
        return jax.tree.map(lambda values: values[-1], logs), state

    # This is a new function: JAX takes a model's bound methods for one and the same.
    one_step = compiled(lambda *given: model.train_step(*given))

    def run(state, iterator):
        batches = list(itertools.islice(iterator, model.steps_per_execution))
        if not batches:
            raise StopIteration
        if len(batches) == model.steps_per_execution and _alike(batches):
            return scan(state, batches)
        for batch in batches:
            logs, state = one_step(state, batch)
        return logs, state

    return run


def _shardings(model):
    return tuple(
        [variable.value.sharding for variable in group] for group in variables(model)
    )


def _alike(batches):
    """Whether all batches have the same shapes."""
    shapes = [[np.shape(part) for part in keras.tree.flatten(b)] for b in batches]
    return all(each == shapes[0] for each in shapes)


def descend(model, state, objective, finish):
    """One step of the optimizer; see `StepModel.descend`.

    Args:
        model: A compiled model of this package.
        state: The values of its trainable, non-trainable, optimizer and metric
            variables.
        objective: Function that returns the loss and an outcome.
        finish: Function of the outcome, called after the update; returns the logs.

    Returns:
        What `finish` returns, and the new state.
    """
    import jax

    trainable, non_trainable, optimizer_values, metric_values = state

    def loss_of(trainable):
        values = (trainable, non_trainable, optimizer_values)
        with _scope(variables(model)[:3], values) as scope:
            loss, outcome = objective()
            scaled_loss = model.optimizer.scale_loss(loss)
        updated = _current(scope, model.non_trainable_variables)
        return scaled_loss, (outcome, updated)

    gradients, (outcome, non_trainable) = jax.grad(loss_of, has_aux=True)(trainable)
    trainable, optimizer_values = model.optimizer.stateless_apply(
        optimizer_values, gradients, trainable
    )
    values = (trainable, non_trainable, optimizer_values, metric_values)
    with _scope(variables(model), values) as scope:
        logs = finish(outcome)
    return logs, tuple(_current(scope, group) for group in variables(model))


def only_if(condition, function, otherwise, variables):
    """Runs `function()` on the device only where the condition holds.

    Args:
        condition: Boolean scalar.
        function: Function without arguments that returns an array and may assign the
            variables.
        otherwise: What to return instead, an array of the same shape.
        variables: Every Keras variable that the function reads or assigns.

    Returns:
        The array.
    """
    import jax

    def taken(values):
        with _scope([variables], [values]) as scope:
            result = function()
        return result, _current(scope, variables)

    values = [variable.value for variable in variables]
    result, values = jax.lax.cond(
        condition, taken, lambda values: (otherwise, values), values
    )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return result


def test_step(model, state, data):
    """Evaluates one batch with `model.evaluation_step(data)`, in stateless form.

    Args:
        model: A model of this package.
        state: The values of its trainable, non-trainable and metric variables.
        data: A batch as `evaluate` passes it on.

    Returns:
        The metrics' values and the new state.
    """
    trainable, non_trainable, _, metric = variables(model)
    groups = (trainable, non_trainable, metric)
    with _scope(groups, state) as scope:
        logs = model.evaluation_step(data)
    return logs, tuple(_current(scope, group) for group in groups)


def variables(model):
    """A model's variables in the groups that Keras's JAX trainer passes on."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def _scope(groups, values):
    """A scope in which the groups' variables have these values."""
    pairs = [
        pair
        for group, of_group in zip(groups, values, strict=True)
        for pair in zip(group, of_group, strict=True)
    ]
    return keras.StatelessScope(state_mapping=pairs, collect_losses=True)


def _current(scope, variables):
    """The variables' values at the end of a scope."""
    return [scope.get_current_value(variable) for variable in variables]
