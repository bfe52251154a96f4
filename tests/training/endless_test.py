"""Kind: what never ends, and what has long broken down."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support import models

X, Y = np.random.default_rng(0).uniform(0, 255, (20, 6, 6, 1)), np.arange(20) % 4
X = X.astype("float32")


@pytest.mark.parametrize("kind", ["repeated", "generator"])
def test_an_endless_dataset_of_unknown_length_is_no_audit(kind):
    pairs = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    endless = pairs.repeat().filter(lambda image, label: True)
    if kind == "generator":
        specs = tf.TensorSpec((20, 6, 6, 1)), tf.TensorSpec((20,), tf.int64)
        endless = tf.data.Dataset.from_generator(
            lambda: iter(lambda: (X, Y), 1), output_signature=specs
        )
    model = models.make_model(augmentation=keras.layers.Identity())
    with pytest.raises(ValueError, match=r"whose batch number \d is its first again"):
        model.audit(endless)


def test_a_loss_beyond_all_measure_stops_training():
    model = models.make_model(rate=1e30, augmentation=keras.layers.Identity())
    with pytest.raises(FloatingPointError, match=r"a loss below 1e\+06"):
        model.fit(X, Y, batch_size=5, epochs=3, verbose=0, callbacks=models.callbacks())
