"""A different learning rate for some of a network's weights."""

import functools

from josrc_keras import _runtime


def scale(optimizer, variables, factor):
    """Makes an optimizer train some variables at `factor` times its learning rate.

    This works with every Keras optimizer, whatever it does with gradients, since its
    `update_step` gets the rate of the variable. Keras applies weight decay separately,
    at the optimizer's own rate.

    Args:
        optimizer: A Keras optimizer, which is changed in place.
        variables: Keras variables, such as those of a network's head.
        factor: Positive; 10 trains a new head ten times as fast as its backbone.

    Returns:
        The optimizer.

    Raises:
        ValueError: If `factor` is not positive.
    """
    if not factor > 0:
        raise ValueError(
            f"Expected a positive factor on the learning rate. Received: {factor}."
        )
    variables = list(variables)
    plain = optimizer.update_step
    number = functools.partial(_runtime.variable_number, optimizer)

    @functools.wraps(plain)
    def update_step(gradient, variable, learning_rate):
        if number(variable) in {number(each) for each in variables}:
            learning_rate = learning_rate * factor
        return plain(gradient, variable, learning_rate)

    optimizer.update_step = update_step
    return optimizer


def head_of(network):
    """The trainable variables behind a network's layer `features`, its head's.

    Raises:
        ValueError: If the network has no layer `features`.
    """
    names = [layer.name for layer in network.layers]
    if "features" not in names:
        raise ValueError(
            "Expected a network whose head begins behind a layer named 'features'. "
            f"Received: {network.name!r}. Use one of `josrc_keras.networks`."
        )
    behind = network.layers[names.index("features") + 1 :]
    return [variable for layer in behind for variable in layer.trainable_variables]
