"""The fast network, and its first layer fitted to images."""

import keras
import numpy as np
import pytest

from josrc_keras import networks
from josrc_keras.networks import arithmetic
from josrc_keras.networks.resnet9 import FLOOR
from josrc_keras.runs import build_model


def images(count=40):
    """Images whose neighbouring pixels are alike, as those of photos are."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 4, 4, 3)).repeat(4, 1).repeat(4, 2)
    noise = rng.integers(-30, 30, coarse.shape)
    return np.clip(coarse + noise, 0, 255).astype("uint8")


@pytest.fixture(scope="module")
def network():
    return networks.whiten(
        networks.fast(5, width=0.05, input_shape=(16, 16, 3)), images()
    )


def test_a_pass_costs_what_its_convolutions_do():
    """Filters 64, 128, 256 and 512; each stage halves the image."""
    stages = [(64, 128, 32), (128, 256, 16), (256, 512, 8)]
    expected = 2 * 32 * 32 * (27 * 27 + 27 * 64) + 2 * 512 * 100
    expected += sum(2 * side * side * 9 * a * b for a, b, side in stages)
    expected += 2 * 2 * 9 * (16 * 16 * 128**2 + 4 * 4 * 512**2)
    assert arithmetic.flops(networks.fast(100)) == expected


def test_what_the_first_layer_gives_is_white(network):
    """Uncorrelated, each of variance v / (v + a little), on inner pixels."""
    inner = keras.Model(network.input, network.get_layer("whitening").output)
    given = np.asarray(inner(images()))[:, 1:-1, 1:-1].reshape(-1, 27)
    covariance = np.cov(given.T)
    variances = np.diag(covariance)
    assert 0.8 < np.median(variances) < 1.1
    assert variances.max() < 1.2 and FLOOR < 0.1
    assert np.abs(covariance - np.diag(variances)).max() < 0.1
    plain = networks.fast(5, width=0.05, input_shape=(16, 16, 3))
    before = keras.Model(plain.input, plain.get_layer("whitening").output)
    given = np.asarray(before(images()))[:, 1:-1, 1:-1].reshape(-1, 27)
    assert np.abs(np.corrcoef(given.T) - np.eye(27)).max() > 0.5


def test_training_leaves_it_alone(network):
    layer = network.get_layer("whitening")
    assert layer.kernel.shape == (3, 3, 3, 27)
    names = [variable.path for variable in network.trainable_variables]
    assert layer.kernel.path not in names
    assert network(images(2)).shape == (2, 5)


def test_every_network_of_a_model_is_fitted(network):
    """A teacher's first layer is that of its student."""

    class Model:
        student = networks.fast(5, width=0.05, input_shape=(16, 16, 3))
        teacher = networks.fast(5, width=0.05, input_shape=(16, 16, 3))

    build_model.fit_first_layers(Model(), images())
    expected = network.get_layer("whitening").kernel.numpy()
    for made in (Model.student, Model.teacher):
        np.testing.assert_array_equal(made.get_layer("whitening").kernel, expected)
    Model.student = Model.teacher = networks.digits_cnn(4)
    build_model.fit_first_layers(Model(), np.zeros((2, 8, 8, 1)))  # Nothing to fit.


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"at least 8x8 pixels\. Received: .*\(4, 4"):
        networks.fast(5, input_shape=(4, 4, 3))
    with pytest.raises(ValueError, match=r"'whitening' can be fitted.*Received: 'digi"):
        networks.whiten(networks.digits_cnn(4), images())
