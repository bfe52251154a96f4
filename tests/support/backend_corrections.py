"""One step of each method that corrects labels or losses, for `backend_step.py`."""

import keras
import numpy as np

from josrc_keras import FCorrection, networks

CLASSES = 4


def steps(initial, images, labels):
    """Gradients, metrics and variables of a step of each method, by name.

    Args:
        initial: The weights of `digits_cnn(4)`.
        images: `(32, 8, 8, 1)`.
        labels: Dict of `label`, `true_label` and `index`.

    Returns:
        Dict from `method/part/name` to an array.
    """
    random = np.random.default_rng(5)
    matrix = random.random((CLASSES, CLASSES)) + np.eye(CLASSES)
    matrix /= matrix.sum(axis=1, keepdims=True)
    cases = {
        "FCorrection": (FCorrection, {"transition": matrix}, {}),
    }
    found: dict = {}
    for name, (method, arguments, values) in cases.items():
        network = networks.digits_cnn(CLASSES)
        network.set_weights(initial)
        model = method(network, CLASSES, **arguments)
        model.compile(keras.optimizers.SGD(1.0), metrics=["accuracy"])
        model.set_monitored(True)
        for variable, value in values.items():
            getattr(model, variable).assign(value)
        before = model.student.get_weights()
        logs = model.train_on_batch(images, labels, return_dict=True)
        after = model.student.get_weights()
        known = {id(weight) for weight in model.student.weights}
        own = [v for v in model.non_trainable_variables if id(v) not in known]
        parts = {
            "gradients": enumerate(a - b for a, b in zip(after, before, strict=True)),
            "logs": logs.items(),
            "own": ((v.name, v) for v in own if "float" in v.dtype),
        }
        for part, pairs in parts.items():
            for key, value in pairs:
                array = keras.ops.convert_to_numpy(value)
                found[f"{name}/{part}/{key}"] = array
    return found
