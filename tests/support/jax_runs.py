"""Trainings on JAX for runs/without_tensorflow_test.py, and what came of them."""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from josrc_keras import networks
from josrc_keras.callbacks import CleanThreshold, MeanTeacher, SelectionMonitor
from josrc_keras.configs import digits8n_o
from josrc_keras.runs import summary
from josrc_keras.runs import train as experiment
from tests.support.models import CLASSES, SHAPE, linear_network, make_model

STEPS = 14  # Of an epoch of the digits.


def tiny(num_classes, head, width, input_shape):
    """A network that compiles in a second, with batch normalisation."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(16)(x))
    return keras.Model(image, keras.layers.Dense(num_classes)(keras.ops.relu(x)))


class StopAfter(keras.callbacks.Callback):
    """Asks the training to stop at the end of the second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == 1


def train(workdir, *callbacks, **fields):
    """Four epochs of the digits; what `runs.train.train` returns."""
    config = digits8n_o.get_config("paper")
    config.network.name = "tiny"
    config.epochs = 4
    config.batch_size = 32
    config.data.train_size = 32 * STEPS + 5
    config.threshold.warmup_epochs = 1
    config.learning_rate_decay.start_epoch = 2
    config.update_from_flattened_dict(fields)
    return experiment.train(config, workdir, verbose=0, callbacks=callbacks)


class Seen(keras.callbacks.Callback):
    """The batches at whose ends callbacks are called."""

    def on_train_begin(self, logs=None):
        self.batches = []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(batch)


def fit_finite(count, steps):
    """Two epochs of `fit` on arrays, in batches of 8; history, batches, weights."""
    random = np.random.default_rng(0)
    first, second = random.uniform(0, 255, (2, count, *SHAPE)).astype("float32")
    given = random.integers(0, CLASSES, count)
    truth = np.where(random.random(count) < 0.5, given, random.integers(-1, 4, count))
    model, seen = make_model(linear_network()), Seen()
    model.compile(
        keras.optimizers.SGD(0.01), metrics=["accuracy"], steps_per_execution=steps
    )
    history = model.fit(
        {"view_a": first, "view_b": second},
        {"label": given, "true_label": truth},
        batch_size=8,
        epochs=2,
        shuffle=False,
        verbose=0,
        callbacks=[
            CleanThreshold(0.6, 0.7, 1),
            MeanTeacher(0.9),
            SelectionMonitor(),
            seen,
        ],
    ).history
    return {
        "history": history,
        "batches": seen.batches,
        "iterations": int(model.optimizer.iterations),
        "weights": [weight.tolist() for weight in model.get_weights()],
    }


def attempt(function, *arguments):
    """The result, or the error in words."""
    try:
        return function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main(folder):
    networks.NETWORKS["tiny"] = tiny
    summary.draw = lambda *arguments: []
    found = {
        "whole": train(folder / "whole"),
        "stopped": train(folder / "stopped", StopAfter()),
        "stopped_files": sorted(path.name for path in (folder / "stopped").iterdir()),
        "resumed": train(folder / "stopped"),
        "many": train(folder / "many", steps_per_execution=7),
        "finite": {
            f"{count} by {steps}": attempt(fit_finite, count, steps)
            for count in (84, 60)
            for steps in (1, 4)
        },
        "imported": sorted(
            name for name in sys.modules if name.partition(".")[0] == "tensorflow"
        ),
    }
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
