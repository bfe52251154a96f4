"""A tiny network, data and callbacks that the tests of the model share."""

import keras
import numpy as np

from josrc_keras import JoSRC
from josrc_keras.callbacks import CleanThreshold, MeanTeacher
from josrc_keras.data.checks import contract

CLASSES = 4
SHAPE = (6, 6, 1)


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
