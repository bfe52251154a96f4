"""One step of each method that corrects labels or losses, for `backend_step.py`."""

import keras
import numpy as np

from josrc_keras import CleanNet, FCorrection, JointOptim, MCorrection, Pencil
from josrc_keras.baselines.cleannet_detector import Detector

CLASSES = 4


def small_network():
    """A network with batch normalisation that compiles fast, of fixed weights."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.Dense(8)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    network = keras.Model(image, keras.layers.Dense(CLASSES)(x))
    random = np.random.default_rng(6)
    weights = [random.normal(size=w.shape) for w in network.get_weights()]
    network.set_weights([np.abs(w) + 0.5 if w.ndim == 1 else w for w in weights])
    return network


def steps(images, labels):
    """Gradients, metrics and variables of a step of each method, by name.

    Args:
        images: `(32, 8, 8, 1)`.
        labels: Dict of `label`, `true_label` and `index`.

    Returns:
        Dict from `method/part/name` to an array.
    """
    random = np.random.default_rng(5)
    matrix = random.random((CLASSES, CLASSES)) + 4 * np.eye(CLASSES)
    matrix /= matrix.sum(axis=1, keepdims=True)
    changes = random.normal(0, 6, (40, CLASSES)).astype("float32")
    soft = random.dirichlet(np.ones(CLASSES), 40).astype("float32")
    cases = {
        "CleanNet": (
            CleanNet,
            {"num_samples": 40},
            {"similarity": np.linspace(-0.3, 1, 40).astype("float32")},
        ),
        "FCorrection": (FCorrection, {"transition": matrix}, {}),
        "JointOptim": (
            JointOptim,
            {"num_samples": 40, "prior": matrix[0].tolist()},
            {"soft_labels": soft},
        ),
        "MCorrection": (
            MCorrection,
            {"mixup": 0.0},  # The backends draw different numbers.
            {"bootstrapping": 1.0, "posterior": np.linspace(0, 1, 100)},
        ),
        "Pencil": (
            Pencil,
            {"num_samples": 40, "beta": 0.5},
            {"stage": 1.0, "label_changes": changes},
        ),
    }
    found: dict = {}
    for name, (method, arguments, values) in cases.items():
        model = method(small_network(), CLASSES, **arguments)
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
    return found | detector_step(random)


def detector_step(random):
    """What a step of CleanNet's detector subtracts from its weights."""
    detector = Detector(
        random.random((CLASSES, 3, 5)), np.ones((CLASSES, 3)), dropout=0
    )
    detector.compile(keras.optimizers.SGD(1.0))
    features = random.random((8, 5)).astype("float32")
    inputs = {"features": features, "label": np.arange(8, dtype="int32") % CLASSES}
    # Initializers draw different numbers on the two backends.
    before = [random.normal(size=w.shape) / 2 for w in detector.get_weights()]
    detector.set_weights(before)
    detector.train_on_batch(inputs, np.arange(8, dtype="int32") % 3 - 1)
    pairs = zip(detector.get_weights(), before, strict=True)
    return {f"Detector/gradients/{i}": a - b for i, (a, b) in enumerate(pairs)}
