"""One step of the newer compared methods on a backend, for `backend_step.py`."""

import keras
import numpy as np

from josrc_keras import DivideMix, networks


def all_steps(initial, views, labels):
    """Gradients and metrics of one step of each method, by name."""
    return divided_step(initial, views, labels)


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
