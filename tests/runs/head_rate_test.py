"""The head's own learning rate, and weight decay that is applied."""

import keras
import numpy as np
import pytest

from josrc_keras import networks
from josrc_keras.runs import head_rate


def network():
    keras.utils.set_random_seed(0)
    return networks.digits_cnn(3, width=0.1, head="mlp")


def changes(factor, optimizer):
    """How far one step takes the kernels before and behind `features`."""
    made = network()
    made.compile(head_rate.scale(optimizer, head_rate.head_of(made), factor), "mse")
    kernels = {"conv1": made.get_layer("conv1").kernel}
    kernels["logits"] = made.get_layer("logits").kernel
    before = {name: np.array(kernel) for name, kernel in kernels.items()}
    images = np.random.default_rng(0).uniform(0, 255, (8, 8, 8, 1)).astype("float32")
    made.train_on_batch(images, np.eye(3)[np.arange(8) % 3])
    return {name: np.array(kernel) - before[name] for name, kernel in kernels.items()}


@pytest.mark.parametrize("make", [keras.optimizers.SGD, keras.optimizers.Adam])
def test_the_head_moves_so_many_times_as_far(make):
    """One step is linear in its rate, also Adam's, which scaled gradients leave."""
    plain, scaled = changes(1.0, make(1e-3)), changes(10.0, make(1e-3))
    assert np.abs(plain["conv1"]).max() > 0
    np.testing.assert_allclose(scaled["conv1"], plain["conv1"], rtol=1e-4, atol=1e-8)
    moved = np.abs(plain["logits"]) > 1e-6
    ratio = scaled["logits"][moved] / plain["logits"][moved]
    np.testing.assert_allclose(ratio, 10.0, rtol=2e-2)


def test_the_head_is_what_is_behind_the_features():
    made = network()
    names = {variable.path for variable in head_rate.head_of(made)}
    # Under MLP: a kernel, a norm's scale and offset, and the logits' kernel and bias.
    assert len(names) == 5
    assert all(name.startswith(("hidden", "logits")) for name in names)
    with pytest.raises(ValueError, match=r"layer named 'features'.*Received: 'plain'"):
        head_rate.head_of(keras.Sequential([keras.layers.Dense(2)], name="plain"))


@pytest.mark.parametrize("factor", [0, -1.0])
def test_a_factor_is_positive(factor):
    with pytest.raises(ValueError, match="positive factor"):
        head_rate.scale(keras.optimizers.SGD(), [], factor)


def test_weight_decay_shrinks_weights_without_a_gradient():
    """Keras subtracts rate * decay * weight, beside the gradient's step."""
    weight = keras.Variable(np.full(3, 2.0, "float32"))
    optimizer = keras.optimizers.SGD(
        0.1, momentum=0.9, nesterov=True, weight_decay=0.05
    )
    optimizer.build([weight])
    for _ in range(2):
        optimizer.apply_gradients([(keras.ops.zeros(3), weight)])
    np.testing.assert_allclose(weight, 2.0 * (1 - 0.1 * 0.05) ** 2, rtol=1e-6)
