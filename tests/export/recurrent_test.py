"""Kind: layers with a loop, which the converters of ONNX and LiteRT do not take."""

import keras
import numpy as np
import pytest
from keras import layers

from josrc_keras.export import export_classifier, sources
from tests.support import exports

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1)).astype("uint8")


def recurrent(layer):
    image = keras.Input((8, 8, 1))
    x = layers.Reshape((8, 8))(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, layers.Dense(5)(layer(x)))


KINDS = {
    "lstm": lambda: layers.LSTM(6),
    "gru": lambda: layers.GRU(6),
    "both ways": lambda: layers.Bidirectional(layers.LSTM(6)),
    "stacked cells": lambda: layers.RNN([layers.LSTMCell(6), layers.GRUCell(4)]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_unrolled_networks_compute_the_same(kind):
    keras.utils.set_random_seed(0)
    network = recurrent(KINDS[kind]())
    made = sources.unrolled(network)
    assert made is not network
    images = IMAGES.astype("float32")
    ours, theirs = (np.asarray(each(images)) for each in (made, network))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("kind", ["lstm", "both ways"])
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_exports_serve_what_the_network_computes(kind, format, tmp_path):
    if format == "litert":
        pytest.importorskip("ai_edge_litert", reason="needs josrc-keras[litert]")
    keras.utils.set_random_seed(0)
    network = recurrent(KINDS[kind]())
    path = tmp_path / {"onnx": "model.onnx", "litert": "model.tflite"}[format]
    export_classifier(network, path, format=format)
    images = IMAGES[:16].astype("float32")
    served = exports.client(format, path)(images)
    exports.check_same(served["logits"], np.asarray(network(images)))
