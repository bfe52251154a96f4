"""A step of the probe's head is a step of `AdaptiveJoSRC` with a single layer."""

import keras
import numpy as np
import pytest

from josrc_keras import AdaptiveJoSRC
from josrc_keras.adaptive import mixup
from josrc_keras.probe import head

SAMPLES, CLASSES, WIDTH, RATE, DECAY = 16, 3, 5, 0.1, 0.75
# How much each sample keeps of itself in the first and in the second view.
SHARES = np.random.default_rng(1).uniform(0.5, 1, (2, SAMPLES)).astype("float32")


class Draws:
    """Random numbers that are known: the first view, then the second, then shares."""

    def __init__(self):
        self.views, self.shares = iter((0, 1)), iter(SHARES)

    def integers(self, low, high, count):
        return np.full(count, next(self.views))

    def uniform(self, low, high, count):
        return next(self.shares)


def weights(seed):
    random = np.random.default_rng(seed)
    kernel = random.normal(0, 0.7, (WIDTH, CLASSES)).astype("float32")
    return [kernel, random.normal(0, 0.3, CLASSES).astype("float32")]


@pytest.fixture(scope="module")
def batch():
    """Features of two views, labels, and trust in them."""
    random = np.random.default_rng(0)
    features = random.normal(0, 1, (SAMPLES, 2, WIDTH)).astype("float32")
    labels = random.integers(0, CLASSES, SAMPLES)
    return features, labels, random.uniform(0, 1, SAMPLES).astype("float32")


def of_probe(features, labels, trust):
    """Weights of the head of all samples after a step: student's and teacher's."""
    settings = head.Settings(
        folds=2,
        epochs=10,
        batch_size=SAMPLES // 4,
        learning_rate=RATE,
        momentum=0.0,
        weight_decay=0.0,
    )
    training = head._Training(features, labels, CLASSES, settings, head.RULE)
    assert training.steps == 1 / (1 - DECAY)
    training.done = 3  # The rate has climbed to its peak with the fourth of 40 steps.
    training.random, training.trust = Draws(), trust
    for state, given in (
        (training.student, weights(2)),
        (training.teacher, weights(3)),
    ):
        for each, value in zip(state, given, strict=True):
            each[..., -CLASSES:] = value
    training._step(np.arange(SAMPLES), judged=True)
    return [
        [each[..., -CLASSES:] for each in state]
        for state in (training.student, training.teacher)
    ]


def of_model(features, labels, trust, monkeypatch):
    """The same of `AdaptiveJoSRC`, and its loss."""
    shares = iter(SHARES)
    monkeypatch.setattr(mixup, "draw", lambda *given: keras.ops.array(next(shares)))
    keras.utils.set_random_seed(0)
    inputs = keras.Input((WIDTH,))
    outputs = keras.layers.Dense(CLASSES, name="logits")(inputs)
    model = AdaptiveJoSRC(
        keras.Model(inputs, outputs), CLASSES, SAMPLES, rule=head.RULE
    )
    model.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
    model.student.set_weights(weights(2))
    model.teacher.set_weights(weights(3))
    model.label_trust.assign(trust)
    model.teacher_decay.assign(DECAY)
    views = {"view_a": features[:, 0], "view_b": features[:, 1]}
    logs = model.train_on_batch(
        views, {"label": labels, "index": np.arange(SAMPLES)}, return_dict=True
    )
    return model.student.get_weights(), model.teacher.get_weights(), logs["loss"]


def loss_by_hand(features, labels, trust):
    """Cross-entropy of both blended views, in NumPy."""

    def probs(given, view):
        return head.softmax(view @ given[0] + given[1])

    views = features.transpose(1, 0, 2)
    teacher = sum(probs(weights(3), view) for view in views) / 2
    sharp = teacher**2 / (teacher**2).sum(1, keepdims=True)
    targets = trust[:, None] * np.eye(CLASSES)[labels]
    targets += (1 - trust[:, None]) * teacher.max(1, keepdims=True) * sharp
    total = 0
    for view, share in zip(views, SHARES[:, :, None], strict=True):
        blended = share * view + (1 - share) * np.roll(view, -1, 0)
        wanted = share * targets + (1 - share) * np.roll(targets, -1, 0)
        total -= (wanted * np.log(probs(weights(2), blended))).sum(1).mean()
    return total


def test_loss_and_step_are_those_of_the_model(batch, monkeypatch):
    student, teacher, loss = of_model(*batch, monkeypatch)
    ours = of_probe(*batch)
    for expected, received in zip((student, teacher), ours, strict=True):
        for one, other in zip(expected, received, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
    assert loss == pytest.approx(loss_by_hand(*batch), rel=1e-5)
    # The step is no small one: the teacher's and the student's weights have moved.
    assert np.abs(student[0] - weights(2)[0]).max() > 1e-3
