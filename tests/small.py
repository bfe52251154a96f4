"""A small JoSRC, 24 images and labels, and a `fit` with what it needs."""

import keras
import numpy as np
import tensorflow as tf

from josrc_keras import JoSRC, networks, views
from josrc_keras.callbacks import CleanThreshold, MeanTeacher

CLASSES = 4
X = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1)).astype("uint8")
Y = np.arange(24) % CLASSES


def make_model(classes=CLASSES, augmentation=True, rate=0.01, smoothing=0.3):
    network = networks.digits_cnn(classes)
    model = JoSRC(
        network,
        classes,
        smoothing=smoothing,
        augmentation=views.crop_and_flip(1) if augmentation else None,
    )
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"])
    return model


def fit(model, x=X, y=Y, **arguments):
    arguments.setdefault("callbacks", [CleanThreshold(0.7, 0.9, 1), MeanTeacher()])
    if not isinstance(x, tf.data.Dataset):
        arguments.setdefault("batch_size", 8)
    return model.fit(x, y, verbose=0, **arguments)


def dataset(x=X, y=Y, batch=8):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(batch)


def changed(array, index, value, dtype=None):
    array = array.astype(dtype or array.dtype).copy()
    array[index] = value
    return array
