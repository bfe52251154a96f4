"""The adaptive method on frozen features: linear heads, cross-fitted, by NumPy.

Each step is that of `AdaptiveJoSRC`, for a network that is a single layer: two views,
blended with those of another photo; a mean teacher; targets between the label and the
teacher's prediction, by the trust in the label. There is a head for each fold, trained
on the other folds, so that every photo is judged by a teacher that has not seen its
label, and one more that is trained on all photos. All heads take their steps at once.
"""

import dataclasses
from typing import Any

import numpy as np

from josrc_keras.adaptive import trust as trusts
from josrc_keras.adaptive.rule import TrustRule

# A teacher that has not seen a label has not learnt it by heart.
RULE = TrustRule(allowance=0.0)
BLOCK = 4096  # Photos that are predicted at a time.


@dataclasses.dataclass(frozen=True)
class Settings:
    """How heads are trained.

    The defaults were chosen with `benchmarks/photos.py --choose`, on seeds other than
    those of the reported tables.

    Args:
        folds: Number of folds, at least 2.
        epochs: Number of epochs, at least 3.
        batch_size: Photos in a step, at least 2.
        learning_rate: The largest rate; it rises over a tenth of the steps and then
            falls linearly to zero.
        momentum: Nesterov's momentum, in [0, 1).
        weight_decay: Factor of the weights in their gradient, at least 0.
        mixup: How much of another photo a view may be blended with, in [0, 1].
        seed: Seed of folds, order, views and blends.
    """

    folds: int = 5
    epochs: int = 40
    batch_size: int = 256
    learning_rate: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 1e-2
    mixup: float = 1.0
    seed: int = 0


@dataclasses.dataclass
class Findings:
    """What the heads found.

    Attributes:
        probs: `(N, C)` float32: the mean over the last epochs, more for later ones, of
            the probabilities of a teacher that has not seen the photo.
        logits: `(N, C)` float32, the logits likewise.
        view_probs: `(N, V, C)` float32, of the last epoch, by view.
        trust: `(N,)` float32 in [0, 1]: the probability that the label is right.
        noise_rate: The method's working estimate of the share of wrong labels.
        kernel: `(d, C)` float32 of the head that is trained on all photos: its teacher.
        bias: `(C,)` float32, likewise.
        folds: `(N,)` integers: the fold of each photo.
    """

    probs: Any
    logits: Any
    view_probs: Any
    trust: Any
    noise_rate: float
    kernel: Any
    bias: Any
    folds: Any


def folds_of(labels, folds, seed):
    """A fold for each sample, the same number of each class in each fold.

    Args:
        labels: `(N,)` integers.
        folds: K, at least 2.
        seed: Seed of the order within a class.

    Returns:
        `(N,)` integers in [0, K).
    """
    random = np.random.default_rng([seed, 1])
    chosen = np.empty(len(labels), int)
    start = 0
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        chosen[rows] = (start + np.arange(len(rows))) % folds
        start += len(rows)  # Small classes do not all begin with the first fold.
    return chosen


def cross_fit(features, labels, num_classes, settings=Settings(), rule=RULE):
    """Trains the heads, and says what each label's unseen teacher thinks of it.

    Args:
        features: `(N, V, d)` features of V views, of which the squares are 1 in the
            mean.
        labels: `(N,)` integers in [0, C).
        num_classes: C, at least 2.
        settings: A `Settings`.
        rule: A `TrustRule`.

    Returns:
        A `Findings`.
    """
    return _Training(features, labels, num_classes, settings, rule).run()


class _Training:
    """The state of `cross_fit`."""

    def __init__(self, features, labels, num_classes, settings, rule):
        self.features, self.labels = features, np.asarray(labels)
        self.classes, self.settings, self.rule = num_classes, settings, rule
        self.count, self.views, width = features.shape
        self.random = np.random.default_rng([settings.seed, 2])
        self.folds = folds_of(self.labels, settings.folds, settings.seed)
        self.heads = settings.folds + 1
        # A head learns from all folds but its own; the last head has none.
        self.learns = (self.folds[:, None] != np.arange(self.heads)).astype("float32")
        shape = (width, self.heads * num_classes)
        self.student = [np.zeros(shape, "float32"), np.zeros(shape[1], "float32")]
        self.teacher = [each.copy() for each in self.student]
        self.velocity = [np.zeros_like(each) for each in self.student]
        self.steps = -(-self.count // settings.batch_size)
        self.trust = np.ones(self.count, "float32")
        self.sums = np.zeros((2, self.count, num_classes), "float32")
        self.weight, self.before, self.rate, self.done = 0.0, None, 0.0, 0

    def run(self):
        epochs, rule = self.settings.epochs, self.rule
        decay = 1 - 1 / rule.memory(epochs)
        for epoch in range(epochs):
            judged = epoch >= rule.warmup(epochs)
            order = self.random.permutation(self.count)
            for start in range(0, self.count, self.settings.batch_size):
                self._step(order[start : start + self.settings.batch_size], judged)
            probs = self._remember(decay)
            if epoch + 1 >= rule.warmup(epochs):
                self._judge(probs)
        mean_probs, mean_logits = self.sums / self.weight
        kernel, bias = (each[..., -self.classes :] for each in self.teacher)
        return Findings(
            mean_probs,
            mean_logits,
            probs,
            self.trust,
            self.rate,
            kernel.copy(),
            bias.copy(),
            self.folds,
        )

    def _step(self, rows, judged):
        """A step of all heads on two views of some photos."""
        views = [
            self.features[rows, self.random.integers(0, self.views, len(rows))].astype(
                "float32"
            )
            for _ in range(2)
        ]
        targets = self._targets(rows, views, judged)
        gradients = [np.zeros_like(each) for each in self.student]
        partner = np.roll(np.arange(len(rows)), -1)
        counted = self.learns[rows]
        if self.settings.mixup:
            counted = counted * self.learns[rows[partner]]
        for view in views:
            share = self.random.uniform(1 - self.settings.mixup / 2, 1, len(rows))
            share = share.astype("float32")[:, None]
            blended = share * view + (1 - share) * view[partner]
            share = share[:, :, None]
            wanted = share * targets + (1 - share) * targets[partner]
            probs = softmax(self._logits(self.student, blended))
            error = probs * wanted.sum(-1, keepdims=True) - wanted
            error = (error * counted[:, :, None]).reshape(len(rows), -1) / len(rows)
            gradients[0] += blended.T @ error
            gradients[1] += error.sum(0)
        self._update(gradients)

    def _targets(self, rows, views, judged):
        """`(B, heads, C)`: between the labels and the teachers' predictions."""
        labels = np.eye(self.classes, dtype="float32")[self.labels[rows]][:, None]
        if not judged:
            return np.repeat(labels, self.heads, axis=1)
        probs = sum(softmax(self._logits(self.teacher, view)) for view in views) / 2
        sharp = probs ** (1 / self.rule.temperature)
        sharp /= sharp.sum(-1, keepdims=True)
        sure = probs.max(-1, keepdims=True)
        trust = self.trust[rows][:, None, None]
        return trust * labels + (1 - trust) * sure * sharp

    def _update(self, gradients):
        settings, total = self.settings, self.settings.epochs * self.steps
        rising, falling = (self.done + 1) / (0.1 * total), total - self.done
        rate = settings.learning_rate * min(rising, falling / (0.9 * total))
        self.done += 1
        keep = 1 - 1 / self.steps  # The teacher's memory is an epoch.
        for number, gradient in enumerate(gradients):
            if number == 0:
                gradient += settings.weight_decay * self.student[0]
            velocity = settings.momentum * self.velocity[number] + gradient
            self.velocity[number] = velocity
            self.student[number] -= rate * (gradient + settings.momentum * velocity)
            self.teacher[number] += (1 - keep) * (
                self.student[number] - self.teacher[number]
            )

    def _logits(self, weights, features):
        """`(B, heads, C)` logits of all heads."""
        logits = features @ weights[0] + weights[1]
        return logits.reshape(len(features), self.heads, self.classes)

    def _remember(self, decay):
        """Adds what the unseen teachers predict; returns `(N, V, C)` probabilities."""
        logits = np.empty((self.count, self.views, self.classes), "float32")
        kernel = self.teacher[0].reshape(-1, self.heads, self.classes)
        bias = self.teacher[1].reshape(self.heads, self.classes)
        for fold in range(self.settings.folds):
            rows = np.flatnonzero(self.folds == fold)
            for start in range(0, len(rows), BLOCK):
                part = rows[start : start + BLOCK]
                seen = self.features[part].astype("float32")
                logits[part] = seen @ kernel[:, fold] + bias[fold]
        probs = softmax(logits)
        for total, each in zip(self.sums, (probs, logits), strict=True):
            total *= decay
            total += (1 - decay) * each.mean(1)
        self.weight = decay * self.weight + 1 - decay
        return probs

    def _judge(self, view_probs):
        """Sets the trust in each label by the memory (adaptive/trust.py)."""
        self.rate, self.trust = judge(
            self.sums[0] / self.weight,
            self.labels,
            self.rule,
            before=self.before,
            view_probs=view_probs,
        )
        self.before = view_probs.mean(1).argmax(-1)


def judge(probs, labels, rule=RULE, *, before=None, view_probs=None):
    """The noise rate and the trust in each label, from out-of-sample predictions.

    Args:
        probs: `(N, C)` probabilities of a network that has not seen the labels.
        labels: `(N,)` integers in [0, C).
        rule: A `TrustRule`.
        before: `(N,)` the classes that were predicted an epoch before, or None.
        view_probs: `(N, V, C)` newest probabilities by view, or None.

    Returns:
        `(noise_rate, trust)`: a float and `(N,)` float32, both in [0, 1].
    """
    rows = np.arange(len(labels))
    given = probs[rows, labels]
    others = probs.copy()
    others[rows, labels] = -1
    best, other = others.argmax(1), others.max(1)
    consistent = stable = np.ones(len(labels), bool)
    if view_probs is not None:
        consistent = view_probs[:, 0].argmax(-1) == view_probs[:, -1].argmax(-1)
        if before is not None:
            stable = view_probs.mean(1).argmax(-1) == before
    rate = trusts.noise_rate(given, other, stable, consistent)
    classes = probs.shape[1]
    flips = trusts.transitions(given, other, best, labels, classes, rule)
    least = 0.0
    if rule.allowance:
        least = rule.allowance * trusts.learnt(given, other, rate, rule)
        least = least * trusts.typical(given, labels, classes)[labels]
    return rate, trusts.label_trust(
        given, other, rate, flips[best, labels], classes, least, rule
    )


def softmax(logits):
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
