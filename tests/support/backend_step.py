"""One step of every method on the backend that KERAS_BACKEND names, for `jax_test.py`.

Writes to the file that is its argument: the verdicts, labels and losses of each sample,
the gradients (a step of plain SGD at rate 1 subtracts them), teacher and metrics.
"""

import sys

import keras
import numpy as np

from josrc_keras import (
    AdaptiveJoSRC,
    CoTeaching,
    CoTeachingPlus,
    Decoupling,
    JoCoR,
    JoSRC,
    Standard,
    TrustRule,
    networks,
)
from tests.support import backend_corrections, further_steps, models


def main(path):
    random = np.random.default_rng(0)
    network = networks.digits_cnn(4)
    scaled = [0.3 * random.normal(size=w.shape) for w in network.get_weights()]
    initial = [np.abs(w) + 0.5 if w.ndim == 1 else w for w in scaled]
    images = random.integers(0, 256, (2, 32, 8, 8, 1)).astype("float32")
    views = dict(zip(("view_a", "view_b"), images, strict=True))
    given = random.integers(0, 4, 32)
    truth = np.where(random.random(32) < 0.5, given, random.integers(-1, 4, 32))
    results = {}
    for joint in (0.0, 1.0):
        network.set_weights(initial)
        model = JoSRC(network, 4, smoothing=0.3)
        model.compile(keras.optimizers.SGD(1.0), metrics=["accuracy"])
        model.set_monitored(True)
        model.tau_clean.assign(0.5)
        model.joint.assign(joint)
        model.teacher_decay.assign(0.9)
        labels = {"label": given, "true_label": truth}
        samples = samples_of(model, views, labels)
        before = model.student.get_weights()
        logs = model.train_on_batch(views, labels, return_dict=True)
        after = model.student.get_weights()
        parts = {
            "samples": samples,
            "logs": logs,
            "gradients": enumerate(a - b for a, b in zip(after, before, strict=True)),
            "teacher": enumerate(model.teacher.get_weights()),
        }
        for part, values in parts.items():
            for name, value in dict(values).items():
                results[f"{joint}/{part}/{name}"] = keras.ops.convert_to_numpy(value)
    network.set_weights(initial)
    numbered = {**labels, "index": np.arange(32)[::-1].copy()}
    results |= trusting_step(network, views, numbered)
    for method in (Standard, Decoupling, CoTeaching, CoTeachingPlus, JoCoR):
        results |= compared_step(method, initial, views["view_a"], labels)
    results |= backend_corrections.steps(views["view_a"], numbered)
    results |= penalised_step(views["view_a"], labels)
    results |= further_steps.all_steps(initial, views, numbered)
    np.savez(path, **results)


def samples_of(model, views, labels):
    """What the step finds of each sample: verdicts, likelihood and losses.

    The student predicts as in evaluation, and the teacher what it does on `view_b`.
    """

    def predict(view, training):
        return student(view, training=False)

    student = model.student
    model.student = predict
    model.teacher_probs = lambda *two: keras.ops.softmax(predict(two[1], False))
    outcome = models.outcome_of(model, views, labels)
    del model.teacher_probs
    model.student = student
    ((joint, included),) = outcome.terms
    return {
        "likelihood": outcome.likelihood,
        "included": included,
        "joint": joint,
        "classification": outcome.means["classification_loss"][0],
        "consistency": outcome.means["consistency_loss"][0],
        **outcome.selection._asdict(),
    }


def trusting_step(network, views, labels):
    """Gradients, metrics, teacher and table of a step of the adaptive method."""
    random = np.random.default_rng(2)
    rule = TrustRule(smoothing=0.1, alpha=0.3, temperature=0.5, leave_one_out=True)
    model = AdaptiveJoSRC(network, 4, 40, mixup=0.0, rule=rule)
    model.compile(keras.optimizers.SGD(1.0), metrics=["accuracy"])
    model.set_monitored(True)
    for variable, value in (("tau_clean", 0.5), ("joint", 1), ("teacher_decay", 0.9)):
        getattr(model, variable).assign(value)
    model.label_trust.assign(random.random(40).astype("float32"))
    weights = model.teacher.get_weights()
    near = [w + 0.1 * np.abs(random.normal(size=w.shape)) for w in weights]
    model.teacher.set_weights(near)
    model.record_epochs_of(40)
    before = model.student.get_weights()
    logs = model.train_on_batch(views, labels, return_dict=True)
    after = model.student.get_weights()
    parts = {
        "logs": logs,
        "gradients": enumerate(a - b for a, b in zip(after, before, strict=True)),
        "teacher": enumerate(model.teacher.get_weights()),
        "table": {
            "table": model.epoch_findings.numpy(),
            "features": model.epoch_findings.numpy_features().astype("float32"),
        },
    }
    return {
        f"trust/{part}/{name}": keras.ops.convert_to_numpy(value)
        for part, values in parts.items()
        for name, value in dict(values).items()
    }


def compared_step(method, initial, images, labels):
    """Gradients of both networks and the metrics of one step of a compared method."""
    network = networks.digits_cnn(4)
    network.set_weights(initial)
    peers = {}
    if method is not Standard:
        peers["peer"] = networks.digits_cnn(4)
        random = np.random.default_rng(1)
        near = [w + 0.1 * np.abs(random.normal(size=w.shape)) for w in initial]
        peers["peer"].set_weights(near)
    model = method(network, 4, **peers)
    model.compile(keras.optimizers.SGD(1.0), metrics=["accuracy"])
    model.set_monitored(True)
    for variable, value in (("forget_rate", 0.4), ("disagreement_only", 1.0)):
        if hasattr(model, variable):
            getattr(model, variable).assign(value)
    trained = model.trained_networks()
    before = [w for each in trained for w in each.get_weights()]
    logs = model.train_on_batch(images, labels, return_dict=True)
    after = [w for each in trained for w in each.get_weights()]
    moved = [a - b for a, b in zip(after, before, strict=True)]
    found = {f"{method.__name__}/gradients/{i}": w for i, w in enumerate(moved)}
    return found | {
        f"{method.__name__}/logs/{name}": keras.ops.convert_to_numpy(value)
        for name, value in logs.items()
    }


def penalised_step(images, labels):
    """The loss and the update of a network with losses of its own."""
    image = keras.Input((8, 8, 1))
    logits = keras.layers.Dense(
        4,
        kernel_regularizer=keras.regularizers.L2(0.1),
        activity_regularizer=keras.regularizers.L2(2.0),
    )(keras.layers.Flatten()(image))
    model = Standard(keras.Model(image, logits), 4)
    model.compile(keras.optimizers.SGD(1e-4))
    kernel = 1e-3 * np.random.default_rng(3).normal(size=(64, 4))
    model.student.set_weights([kernel, np.zeros(4)])
    before = model.student.get_weights()
    loss = model.train_on_batch(images, labels, return_dict=True)["loss"]
    after = model.student.get_weights()
    found = {
        f"own/{i}": a - b for i, (a, b) in enumerate(zip(after, before, strict=True))
    }
    return found | {"own/loss": np.asarray(loss)}


if __name__ == "__main__":
    main(sys.argv[1])
