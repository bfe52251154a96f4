"""Recorded trainings and audits for `recording_test.py`, on one device and on two.

Started as a script with a folder, in which it writes what came of them.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from josrc_keras import JoSRC, views
from josrc_keras.callbacks import CleanThreshold, MeanTeacher, VerdictHistory
from josrc_keras.devices import replicas, strategies
from tests.support import models

COUNT = 40
SCORES = ("label_score", "ood_score", "clean_likelihood", "clean_share")


def make_model(steps=1, augmentation=None):
    keras.utils.set_random_seed(0)
    network = models.linear_network()
    model = JoSRC(network, models.CLASSES, smoothing=0.3, augmentation=augmentation)
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer, metrics=["accuracy"], steps_per_execution=steps)
    return model


def fit(model, x, y, *more, **arguments):
    callbacks = [CleanThreshold(0.6, 0.7, 1), MeanTeacher(0.9), *more]
    batch_size = None if isinstance(x, tf.data.Dataset) else 8
    return model.fit(
        x, y, callbacks=callbacks, verbose=0, batch_size=batch_size, **arguments
    ).history


def attempt(function, *arguments):
    """The result, or the error in words."""
    try:
        return function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def recorded(steps=1):
    """The arrays of a history of two epochs, and the scores of an audit."""
    images, given = models.pair_batch(COUNT)
    model, recorder = make_model(steps), VerdictHistory()
    validation = images["view_a"][:8], given[:8]
    options = {"epochs": 2, "shuffle": False, "validation_data": validation}
    shown = fit(model, images, given, recorder, **options)
    table = model.audit(images["view_a"], given, batch_size=16)  # The last one has 8.
    return {
        "history": {k: v.tolist() for k, v in recorder.history.arrays().items()},
        "shown": shown,
        "table": {name: table[name].tolist() for name in SCORES},
    }


def shuffled():
    """Given labels by row of the history of a shuffled dataset, and as they are."""
    images, given = models.pair_batch(COUNT)
    recorder = VerdictHistory(COUNT)
    labels = {"label": given, "index": np.arange(COUNT)}
    data = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(COUNT)
    fit(make_model(), data.batch(8), None, recorder)
    return [recorder.history.labels.tolist(), given.tolist()]


def out_of_range():
    """What numbers that are too large lead to."""
    images, given = models.pair_batch(COUNT)
    labels = {"label": given, "index": np.arange(COUNT) * 2}
    return attempt(fit, make_model(), images, labels, VerdictHistory(COUNT))


class Fail(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise FloatingPointError("broken down")


def failed():
    """A `fit` that fails, one without the callback, and one with it."""
    images, given = models.pair_batch(COUNT)
    model, recorder = make_model(), VerdictHistory()
    error = attempt(fit, model, images, given, recorder, Fail())
    data = tf.data.Dataset.from_tensor_slices((images, given)).batch(8)
    keys = attempt(lambda: sorted(fit(model, data, None)))
    fit(model, images, given, recorder)
    return [error, keys, recorder.history.epochs.tolist()]


def augmented():
    """An audit on views that the model draws, 4 pairs: only its shape is certain."""
    images, given = models.pair_batch(13)
    model = make_model(augmentation=views.crop_and_flip(1))
    table = model.audit(images["view_a"], given, batch_size=8)
    scores = table["label_score"]
    return [len(table), bool(scores.between(0, 1).all())]


def main(folder):
    with strategies.scope("mirrored", 2):
        many = {
            "devices": replicas.part_count(),
            "recorded": recorded(),
            "steps": recorded(steps=2),
            "shuffled": shuffled(),
            "outside": out_of_range(),
            "failed": failed(),
            "augmented": augmented(),
        }
    one = {"recorded": recorded()}
    (folder / "found.json").write_text(json.dumps({"one": one, "many": many}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
