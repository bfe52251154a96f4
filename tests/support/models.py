"""Tiny networks, data and callbacks that the tests of models share."""

import keras
import numpy as np

from josrc_keras import JoSRC, networks, views
from josrc_keras.callbacks import CleanThreshold, MeanTeacher
from josrc_keras.data.checks import contract

CLASSES = 4
SHAPE = (6, 6, 1)
# 24 images and labels.
X = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1)).astype("uint8")
Y = np.arange(24) % CLASSES


def linear_network(classes=CLASSES, seed=0, regularizer=None):
    """A network without batch normalisation, so that a step is easy to redo."""
    image = keras.Input(SHAPE)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    dense = keras.layers.Dense(
        classes,
        kernel_initializer=keras.initializers.RandomNormal(0, 2, seed=seed),
        kernel_regularizer=regularizer,
    )
    return keras.Model(image, dense(x))


def pair_batch(count=12, seed=0):
    """Two given views, so that nothing in a step is random."""
    generator = np.random.default_rng(seed)
    pixels = generator.uniform(0, 255, (2, count, *SHAPE)).astype("float32")
    labels = generator.integers(0, CLASSES, count)
    return {"view_a": pixels[0], "view_b": pixels[1]}, labels


def make_model(network=None, rate=0.1, **arguments):
    model = JoSRC(network or linear_network(), CLASSES, smoothing=0.3, **arguments)
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"])
    return model


def set_state(model, tau, joint, decay=0.99):
    model.tau_clean.assign(tau)
    model.joint.assign(joint)
    model.teacher_decay.assign(decay)


def outcome_of(model, images, labels):
    """What a step finds out about a batch, of which nothing is learnt."""
    found = []

    def step(arguments, learn, then=None):
        found.append(learn(contract.unpack(*arguments)))

    model.step = step
    try:
        model.train_step((images, labels))
    finally:
        del model.step
    return found[0]


def callbacks(warmup_epochs=1):
    return [CleanThreshold(warmup_epochs=warmup_epochs), MeanTeacher()]


def digits_model(classes=CLASSES, augmentation=True, rate=0.01, smoothing=0.3):
    """A small convolutional network in a JoSRC, for `X` and `Y`."""
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
    """A training with the callbacks that Jo-SRC needs."""
    arguments.setdefault("callbacks", [CleanThreshold(0.7, 0.9, 1), MeanTeacher()])
    if not hasattr(x, "element_spec"):  # No dataset.
        arguments.setdefault("batch_size", 8)
    return model.fit(x, y, verbose=0, **arguments)


def dataset(x=X, y=Y, batch=8):
    import tensorflow as tf  # Not above: some tests do without it.

    return tf.data.Dataset.from_tensor_slices((x, y)).batch(batch)


def changed(array, index, value, dtype=None):
    """A copy of an array with another value there."""
    array = array.astype(dtype or array.dtype).copy()
    array[index] = value
    return array
