"""Muon's step of a convolution's kernel, against NumPy."""

import keras
import numpy as np
import pytest

if not hasattr(getattr(keras.optimizers, "Muon", None), "lr_adjust"):
    with pytest.raises(ImportError, match=r"needs Keras 3\.13 or newer\. Received"):
        from josrc_keras.training.muon import ConvolutionalMuon
    pytest.skip("needs Keras 3.13", allow_module_level=True)

from josrc_keras.training.muon import ConvolutionalMuon

PLAIN = {"weight_decay": None, "adam_weight_decay": None}


def newton_schulz(matrix, steps=5, a=3.4445, b=-4.7750, c=2.0315):
    """The iteration of Jordan et al. (2024), in float64."""
    x = matrix.T / (np.linalg.norm(matrix) + 1e-7)
    for _ in range(steps):
        product = x @ x.T
        x = a * x + (b * product + c * product @ product) @ x
    return x.T


def test_a_kernel_moves_by_an_orthogonal_matrix():
    """Two steps: momentum, Nesterov's look ahead, and the scale of the update."""
    rng = np.random.default_rng(0)
    kernel = keras.Variable(rng.normal(size=(3, 3, 4, 8)).astype("float32"))
    optimizer = ConvolutionalMuon(0.1, momentum=0.9, **PLAIN)
    expected, momentum = np.float64(kernel.numpy()).reshape(36, 8), 0.0
    for _ in range(2):
        gradient = rng.normal(size=(3, 3, 4, 8))
        momentum = 0.9 * momentum + gradient.reshape(36, 8)
        looked = gradient.reshape(36, 8) + 0.9 * momentum
        expected = expected - 0.1 * 0.2 * np.sqrt(36) * newton_schulz(looked)
        optimizer.apply([keras.ops.cast(gradient, "float32")], [kernel])
    found = kernel.numpy().reshape(36, 8)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_rest_stays_with_adam():
    """A bias, and the layers that are excluded, whatever their shape."""
    network = keras.Sequential([keras.Input((8, 8, 3))])
    network.add(keras.layers.Conv2D(4, 3, name="first"))
    network.add(keras.layers.Conv2D(4, 3, name="last"))
    optimizer = ConvolutionalMuon(0.1, exclude_layers=["last"], **PLAIN)
    optimizer.build(network.trainable_variables)
    of_adam = [v is not None for v in optimizer.adam_velocities]
    assert of_adam == [False, True, True, True]


def test_it_is_made_from_a_configuration():
    config = {"class_name": "josrc_keras>ConvolutionalMuon"}
    config["config"] = {"learning_rate": 0.25, "exclude_layers": ["logits"]}
    made = keras.optimizers.get(config)
    assert type(made) is ConvolutionalMuon
    assert float(made.learning_rate) == pytest.approx(0.25)
    assert made.get_config()["exclude_layers"] == ["logits"]
