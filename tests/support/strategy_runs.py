"""Trainings on one device and on many, for `distribute_test.py` and `workers_test.py`.

Started as a script with the name of a strategy and a folder, in which it writes what
came of them. The environment says which backend, and where other workers are.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from josrc_keras import (
    AdaptiveJoSRC,
    Decoupling,
    JoSRC,
    TrustRule,
    data,
    labels,
    networks,
    selection,
    views,
)
from josrc_keras.callbacks import (
    CleanThreshold,
    LabelTrust,
    MeanTeacher,
    SelectionMonitor,
)
from josrc_keras.configs import digits8n_o
from josrc_keras.data import batches
from josrc_keras.devices import replicas, strategies
from josrc_keras.networks.normalization import BatchNormalization
from josrc_keras.runs import folder as run_folders
from josrc_keras.runs import summary, train

CLASSES = 4
SHAPES = {CLASSES: (6, 6, 1), 8: (8, 8, 1)}  # Here, and of the digits.
COUNT, BATCH, EPOCHS, WARM_UP = 80, 16, 6, 3  # 30 steps.
SMOOTHING = 0.3


def make_data():
    """Two views, given and true labels; the first half of each batch is not noisy."""
    random = np.random.default_rng(0)
    first = random.integers(0, 256, (COUNT, 6, 6, 1)).astype("uint8")
    second = np.clip(first + random.integers(-9, 10, first.shape), 0, 255)
    quarters = first.reshape(COUNT, 2, 3, 2, 3).mean((2, 4)).reshape(COUNT, CLASSES)
    truth = quarters.argmax(1)
    clean = np.arange(COUNT) % BATCH < BATCH // 2
    given = np.where(clean, truth, random.integers(0, CLASSES, COUNT))
    return first, second.astype("uint8"), given, truth


def dense(num_classes):
    """A network that learns the quarters at once."""
    image = keras.Input(SHAPES[num_classes])
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 128, -1)(image))
    x = keras.layers.Dense(16, activation="relu")(x)
    return keras.Model(image, keras.layers.Dense(num_classes)(x))


def normalized(num_classes, head="linear", width=1.0, input_shape=None):
    """One with batch normalisation, fused on one device and synchronised on many."""
    image = keras.Input(SHAPES[num_classes])
    x = keras.layers.Rescaling(1 / 128, -1)(image)
    x = keras.layers.Conv2D(4, 3)(x)
    x = keras.layers.ReLU()(BatchNormalization(momentum=0.9)(x))
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(num_classes)(x))


def make_model(network, augmentation=None, method=JoSRC, steps=1, trusting=False):
    own = {}
    if trusting:
        method = AdaptiveJoSRC
        rule = TrustRule(alpha=0.3, tau_ood=0.9, warmup_epochs=2, leave_one_out=True)
        own = {"num_samples": COUNT, "rule": rule}
    elif method is JoSRC:
        # Samples in distribution are left out, so that the parts to learn from differ.
        own = {"smoothing": SMOOTHING, "relabel": selection.UNCLEAN[1:]}
    model = method(network(CLASSES), CLASSES, augmentation=augmentation, **own)
    model.compile(
        keras.optimizers.SGD(0.1),
        weighted_metrics=["accuracy"],
        steps_per_execution=steps,
    )
    return model


class SteepThreshold(keras.callbacks.Callback):
    """One threshold throughout, so that the warm-up has unclean samples too."""

    controls = "tau_clean"

    def on_epoch_begin(self, epoch, logs=None):
        self.model.tau_clean.assign(0.9)
        self.model.joint.assign(float(epoch + 1 >= WARM_UP))


class Weights(keras.callbacks.Callback):
    """Keeps all weights of the end of the warm-up."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == WARM_UP - 2:  # Epoch 3 of 1, 2, 3 is joint.
            self.of_warm_up = to_lists(self.model)


def to_lists(model):
    return [to_numpy(weight).tolist() for weight in model.weights]


def to_numpy(value):
    return np.asarray(keras.ops.convert_to_numpy(value))


def fit(network, *, augmented=False, method=JoSRC, steps=1, trusting=False):
    """What a training reports, and all weights at the end of its two phases."""
    keras.utils.set_random_seed(0)
    first, second, given, truth = make_data()
    augmentation = views.crop_and_flip(1, seed=3) if augmented else None
    model = make_model(network, augmentation, method, steps, trusting)
    images = first if augmented else {"view_a": first, "view_b": second}
    weights = Weights()
    callbacks = [SelectionMonitor(), weights]
    if trusting:
        callbacks += [LabelTrust(), MeanTeacher(0.9)]
    elif method is JoSRC:
        planned = CleanThreshold(0.9, 0.92, WARM_UP) if augmented else SteepThreshold()
        callbacks += [planned, MeanTeacher(0.9)]
    # 61 in batches of 30: of the last one there is none for a second replica.
    split = data.Split(second[:61], truth[:61], truth[:61], np.arange(61))
    history = model.fit(
        images,
        {"label": given, "true_label": truth},
        batch_size=BATCH,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        validation_data=batches.evaluation_batches(split, batch_size=30),
        callbacks=callbacks,
    ).history
    return {
        "history": history,
        "names": [weight.path for weight in model.weights],
        "warm-up": weights.of_warm_up,
        "end": to_lists(model),
        "clean": clean_of_halves(model, first, given),
        "iterations": to_numpy(model.optimizer.iterations).tolist(),
    }


def clean_of_halves(model, images, given):
    """How many samples of the batches' first and second halves are clean at 0.9."""
    logits = model.student(images, training=False)
    likelihood = selection.clean_likelihood(
        keras.ops.softmax(logits),
        labels.smooth_labels(given, CLASSES, SMOOTHING),
    )
    clean = keras.ops.convert_to_numpy(likelihood) > 0.9
    return clean.reshape(-1, 2, BATCH // 2).sum((0, 2)).tolist()


def one_by_one():
    """`train_on_batch`, `test_on_batch`, `evaluate` and `predict`."""
    keras.utils.set_random_seed(0)
    first, second, given, truth = make_data()
    model = make_model(dense)
    for name, value in (("tau_clean", 0.9), ("joint", 1.0), ("teacher_decay", 0.9)):
        getattr(model, name).assign(value)
    logs = [
        model.train_on_batch(
            {"view_a": first[rows], "view_b": second[rows]}, given[rows]
        )
        for rows in (slice(0, 16), slice(16, 32))
    ]
    return {
        "train": np.array(logs, "float64").tolist(),
        "weights": to_lists(model),
        "test": np.array(model.test_on_batch(first[:16], truth[:16])).tolist(),
        "evaluate": model.evaluate(first[:61], truth[:61], batch_size=30, verbose=0),
        "predict": model.predict(first[:61], batch_size=30, verbose=0).tolist(),
    }


def partial():
    """What `fit` says to a last batch of one sample."""
    first, _, given, _ = make_data()
    model = make_model(dense, views.crop_and_flip(1))
    callbacks = [CleanThreshold(0.9, 0.92, 1), MeanTeacher()]
    arguments = {"batch_size": BATCH, "verbose": 0, "callbacks": callbacks}
    return attempt(lambda: model.fit(first[:33], given[:33], **arguments).history)


def attempt(function):
    """The result, or the error in words."""
    try:
        return function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def run_folder(folder, steps):
    """A whole `runs.train.train`; the numbers if this process wrote any."""
    networks.NETWORKS["tiny"] = normalized
    summary.draw = lambda *arguments: []
    # 356 in batches of 355: of the last one there is none for a second replica.
    train.evaluation_batches = lambda split: batches.evaluation_batches(
        split, batch_size=355
    )
    config = digits8n_o.get_config("paper")
    config.update_from_flattened_dict(
        {
            "network.name": "tiny",
            "optimizer.name": "SGD",
            "optimizer.arguments": {"learning_rate": 0.1},
            "deterministic": "never",
            "epochs": 3,
            "batch_size": 32,
            "data.train_size": 32 * 8 + 5,
            "threshold.warmup_epochs": 2,
            "threshold.tau_c": 0.8,
            "threshold.tau_m": 0.85,
            "learning_rate_decay.start_epoch": 3,
            "steps_per_execution": steps,
        }
    )
    found = {"summary": train.train(config, folder, verbose=0)}
    again = attempt(lambda: train.train(config, folder, verbose=0))
    path = folder / "checkpoint" / "epoch-00003" / "variables.npz"
    found["again"] = again
    if path.exists():
        found["history"] = run_folders.read_history(folder)
        with np.load(path) as stored:
            found["end"] = [stored[name].tolist() for name in sorted(stored.files)]
    return found


def of_one_process(*, many):
    """Each case's results by its name."""
    found = {
        "views": fit(dense),
        "normalized": fit(normalized, augmented=True, steps=4 if many else 1),
        "trusting": fit(dense, trusting=True),
    }
    if keras.backend.backend() == "tensorflow":
        found["decoupling"] = fit(dense, method=Decoupling)
        found["one by one"] = one_by_one()
    if many:
        found["partial"] = partial()
        found["devices"] = replicas.part_count()
    return found


def of_a_worker(name, folder, *, many):
    """The same in a process of many; each has a folder of its own."""
    found = {"run": run_folder(folder / f"run {name}", steps=4 if many else 1)}
    if keras.backend.backend() == "tensorflow":  # On JAX arrays are the process's own.
        found["views"] = fit(dense)
    if many:
        found["processes"] = replicas.process_count()
        if keras.backend.backend() == "tensorflow":
            found["partial"] = partial()
    return found


def main(strategy, folder):
    """Runs what belongs to the strategy."""
    name = strategy
    with strategies.scope(strategy, 2 if strategy == "mirrored" else None):
        if strategy == "mirrored":
            found = {"many": of_one_process(many=True)}
        else:
            if strategy == "multi_worker":
                name = str(strategies.read_tf_config()[1])
            found = of_a_worker(name, folder, many=strategy == "multi_worker")
    if strategy == "mirrored":
        found["one"] = of_one_process(many=False)
    (folder / f"{name}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
