"""The arithmetic of a network, against counts by hand."""

import keras
import pytest
from keras import layers

from josrc_keras import networks
from josrc_keras.networks import arithmetic


def network_of(*between, shape=(8, 6, 3)):
    return keras.Sequential([keras.Input(shape), *between])


def test_cnn7_takes_225_million_operations():
    """Its six convolutions and two dense layers, layer by layer."""
    sides = [32 * 32] * 2 + [16 * 16] * 2 + [8 * 8] * 2
    filters = [3, 64, 64, 128, 128, 196, 16]
    convolutions = sum(
        2 * side * 9 * before * after
        for side, before, after in zip(sides, filters, filters[1:], strict=False)
    )
    dense = 2 * (256 * 512 + 512 * 80)
    assert arithmetic.flops(networks.cnn7(80)) == convolutions + dense
    assert convolutions + dense == 225_140_736


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Conv2D(5, 3, padding="same"), 2 * 48 * 27 * 5),
        (layers.Conv2D(5, 3, strides=2), 2 * 3 * 2 * 27 * 5),
        (layers.Conv2D(6, 3, groups=3, padding="same"), 2 * 48 * 9 * 6),
        (layers.DepthwiseConv2D(3, padding="same"), 2 * 48 * 27),
        (layers.SeparableConv2D(5, 3, padding="same"), 2 * 48 * (27 + 15)),
        (layers.Dense(7), 2 * 48 * 21),
        (layers.BatchNormalization(), 0),
        (layers.MaxPooling2D(), 0),
    ],
)
def test_each_layer_by_hand(layer, expected):
    assert arithmetic.flops(network_of(layer)) == expected


def test_networks_within_networks_count():
    inner = network_of(layers.Conv2D(5, 3, padding="same"))
    outer = network_of(inner, layers.Flatten(), layers.Dense(2))
    assert arithmetic.flops(outer) == 2 * 48 * 27 * 5 + 2 * 48 * 5 * 2


def test_what_is_not_counted_is_refused():
    embedded = keras.Sequential([keras.Input((4,)), layers.Embedding(9, 2)])
    with pytest.raises(ValueError, match=r"Received: '\w+', a Embedding.*epochs"):
        arithmetic.flops(embedded)
    with pytest.raises(ValueError, match=r"known size\. Received: .*input_shape"):
        arithmetic.flops(network_of(layers.Conv2D(2, 3), shape=(None, None, 3)))


def test_a_subclassed_network_is_not_counted():
    """Its layers have no outputs; a training says that nothing is known of it."""

    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, inputs):
            return self.dense(inputs)

    network = Network()
    network(keras.ops.ones((1, 3)))
    with pytest.raises(ValueError, match=r"functional network.*Received: 'dense"):
        arithmetic.flops(network)
