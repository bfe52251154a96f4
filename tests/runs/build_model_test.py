"""The optimizer and its schedule, from a configuration."""

import keras
import numpy as np
import pytest

from josrc_keras.configs import digits8n_o
from josrc_keras.runs import build_callbacks, build_model


def config_of(recipe, **fields):
    config = digits8n_o.get_config(recipe)
    config.update_from_flattened_dict(fields)
    return config


def test_the_rate_of_the_recipe_lean_changes_with_every_step():
    """It needs no callback, and Keras's optimizer counts the steps."""
    config = config_of("lean")
    assert build_callbacks.make_decay(config) == []
    optimizer = build_model.make_optimizer(config, 100)
    variable = keras.Variable(np.ones(3, "float32"))
    rates = []
    for _ in range(3):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply([keras.ops.ones(3)], [variable])
    assert rates == pytest.approx([0.01 * (n + 0.5) / 20 for n in range(3)])
    (decay,) = build_callbacks.make_decay(config_of("paper"))
    assert type(decay).__name__ == "LinearDecay"


@pytest.mark.parametrize(("everything", "expected"), [(True, 0.95), (False, 1.0)])
def test_weight_decay_may_spare_biases_and_batch_norm(everything, expected):
    fields = {
        "optimizer.name": "sgd",
        "optimizer.decay_all": everything,
        "optimizer.arguments.weight_decay": 0.5,
        "optimizer.arguments.learning_rate": 0.1,
        "learning_rate_decay.name": "linear",
    }
    optimizer = build_model.make_optimizer(config_of("lean", **fields), 100)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    network.add(keras.layers.BatchNormalization())
    for variable in network.trainable_variables:
        variable.assign(keras.ops.ones(variable.shape))
    zeros = [keras.ops.zeros(v.shape) for v in network.trainable_variables]
    optimizer.apply(zeros, network.trainable_variables)
    kernel, *rest = (v.numpy() for v in network.trainable_variables)
    np.testing.assert_allclose(kernel, 0.95, rtol=1e-6)
    for values in rest:
        np.testing.assert_allclose(values, expected, rtol=1e-6)
