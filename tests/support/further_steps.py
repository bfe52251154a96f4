"""One step of the newer compared methods on a backend, for `backend_step.py`."""

import keras
import numpy as np

from josrc_keras import MLNT, DeepSelf, DivideMix, MetaCleaner, networks
from josrc_keras.networks import normalization


def all_steps(initial, views, labels):
    """Gradients and metrics of one step of each method, by name."""
    return (
        divided_step(initial, views, labels)
        | virtual_step(views["view_a"], labels)
        | grouped_step(initial, views["view_a"], labels)
        | corrected_step(initial, views["view_a"], labels)
    )


def moved(model, images, labels, name):
    """What a step of plain SGD at rate 1 subtracts, and the metrics."""
    trained = model.trained_networks()
    before = [w for each in trained for w in each.get_weights()]
    logs = model.train_on_batch(images, labels, return_dict=True)
    after = [w for each in trained for w in each.get_weights()]
    pairs = enumerate(zip(after, before, strict=True))
    found = {f"{name}/gradients/{i}": a - b for i, (a, b) in pairs}
    return found | {
        f"{name}/logs/{key}": keras.ops.convert_to_numpy(value)
        for key, value in logs.items()
    }


def network_of(weights):
    network = networks.digits_cnn(4)
    network.set_weights(weights)
    return network


def near(initial, seed=1):
    """Weights a little larger than these."""
    random = np.random.default_rng(seed)
    return [w + 0.1 * np.abs(random.normal(size=w.shape)) for w in initial]


def divided_step(initial, views, labels):
    """DivideMix after its warm-up, with partners and a share that are not random."""
    model = DivideMix(network_of(initial), 4, 40, peer=network_of(near(initial)))
    model.compile(keras.optimizers.SGD(1.0), metrics=["accuracy"])
    model.set_monitored(True)
    random = np.random.default_rng(4)
    model.clean_probability.assign(random.random((2, 40)).astype("float32"))
    model.divided.assign(1.0)
    model.unlabelled_weight.assign(5.0)
    partners = random.permutation(64).astype("int32")
    share = np.full(64, 0.7, "float32")
    model._partners = lambda batch: (
        keras.ops.convert_to_tensor(partners),
        keras.ops.convert_to_tensor(share),
    )
    return moved(model, views, labels, "DivideMix")


def virtual_step(images, labels):
    """MLNT, with synthetic labels that are not random."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(3, 3)(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.ReLU()(normalization.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    network = keras.Model(image, keras.layers.Dense(4)(x))
    random = np.random.default_rng(7)
    scaled = [random.normal(size=w.shape) for w in network.get_weights()]
    initial = [np.abs(w) + 0.5 if w.ndim == 1 else w for w in scaled]
    network.set_weights(initial)
    # It is small, since a second gradient of a larger one takes long to compile.
    model = MLNT(network, 4, synthetic_sets=2, meta_rate=0.2, ramp=(0, 0))
    model.compile(keras.optimizers.SGD(1.0), metrics=["accuracy"])
    model.teacher_decay.assign(0.9)
    model.teacher.set_weights(near(initial))
    sets = [np.roll(labels["label"], shift) for shift in (1, 2)]
    model.synthetic_labels = lambda given, found: sets
    results = moved(model, images, labels, "MLNT")
    weights = enumerate(model.teacher.get_weights())
    return results | {f"MLNT/teacher/{i}": weight for i, weight in weights}


def grouped_step(initial, images, labels):
    """Meta-Cleaner, with groups of one label but for one."""
    model = MetaCleaner(network_of(initial), 4, group=4, hidden=8, plain_weight=0.5)
    model.compile(keras.optimizers.SGD(1.0), metrics=["accuracy"])
    random = np.random.default_rng(5)
    weights = model.cleaner.get_weights()
    model.cleaner.set_weights([0.1 * random.normal(size=w.shape) for w in weights])
    given = np.repeat(labels["label"][:8], 4)
    given[5] += 1 - 2 * (given[5] == 3)
    return moved(model, images, given, "MetaCleaner")


def corrected_step(initial, images, labels):
    """DeepSelf, with random corrected labels."""
    model = DeepSelf(network_of(initial), 4, 40)
    model.compile(keras.optimizers.SGD(1.0), metrics=["accuracy"])
    model.set_monitored(True)
    random = np.random.default_rng(6)
    model.corrected.assign(random.integers(-1, 4, 40).astype("float32"))
    model.similarity.assign(random.random(40).astype("float32"))
    return moved(model, images, labels, "DeepSelf")
