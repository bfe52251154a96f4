"""A network as a function of its weights, for a gradient through a gradient."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops


def values_of(variables: Sequence[Any]) -> list:
    """The values of Keras variables as tensors, which a gradient can be taken by."""
    if keras.backend.backend() == "jax":
        return [variable.value for variable in variables]
    import tensorflow as tf

    return [tf.convert_to_tensor(variable.value) for variable in variables]


def call_with(network: keras.Model, weights: Sequence[Any], images: Any) -> Any:
    """What a network would predict in training with these weights.

    Nothing of the network changes: moving statistics and generators stay as they are.

    Args:
        network: A built `keras.Model`.
        weights: Values for its trainable variables, in their order.
        images: `(N, ...)`.

    Returns:
        The network's outputs `(N, ...)`.
    """
    others = values_of(network.non_trainable_variables)
    outputs, _ = network.stateless_call(weights, others, images, training=True)
    return outputs


def fast_weights(
    network: keras.Model,
    weights: Sequence[Any],
    loss_of: Callable[[Sequence[Any]], Any],
    rate: float,
    *,
    first_order: bool = False,
) -> list:
    """The weights after one step of gradient descent: `w - rate * gradient`.

    They are a function of the weights, through which an outer gradient flows.

    Args:
        network: The network whose weights they are, for the message.
        weights: Tensors: `values_of` its trainable variables.
        loss_of: Function from such weights to a scalar.
        rate: Size of the step.
        first_order: Whether the outer gradient takes the inner one as a constant.

    Returns:
        A list of tensors.

    Raises:
        ValueError: If the loss does not depend on a weight.
    """
    gradients = _gradients(loss_of, weights)
    if any(gradient is None for gradient in gradients):
        raise ValueError(
            f"Expected a loss that depends on every trained weight. Received: the "
            f"network {network.name!r}, some of whose weights have no gradient. Freeze "
            "the layers that its logits do not depend on."
        )
    if first_order:
        gradients = [ops.stop_gradient(gradient) for gradient in gradients]
    pairs = zip(weights, gradients, strict=True)
    return [weight - rate * gradient for weight, gradient in pairs]


def _gradients(loss_of, weights):
    """The gradients of a scalar function of a list of tensors."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(loss_of)(list(weights))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(list(weights))
        loss = loss_of(weights)
    return tape.gradient(loss, list(weights))
