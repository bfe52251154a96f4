"""A tiny adaptive model, what its callback finds, and the same by hand."""

import keras
import numpy as np
import tensorflow as tf

from josrc_keras import AdaptiveJoSRC, TrustRule
from josrc_keras.callbacks import (
    LabelTrust,
    MeanTeacher,
)
from josrc_keras.samples import findings
from tests.support import models

COUNT = 24
RULE = TrustRule()


def make_model(
    rate=0.5,
    samples=COUNT,
    mixup=0.0,
    augmentation=None,
    teacher_views="both",
    **fields,
):
    """With these fields of its rule; targets are not sharpened."""
    keras.utils.set_random_seed(0)
    network = models.linear_network()
    network.set_weights([0.1 * w for w in network.get_weights()])
    rule = TrustRule(**{"temperature": 1.0, **fields})
    model = AdaptiveJoSRC(
        network,
        models.CLASSES,
        samples,
        augmentation,
        mixup=mixup,
        rule=rule,
        teacher_views=teacher_views,
    )
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"])
    return model


class Spy(keras.callbacks.Callback):
    """The trust that each epoch trains with, and the table that it leaves."""

    def __init__(self):
        super().__init__()
        self.trust, self.tables, self.state = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self.trust.append(self.model.label_trust.numpy())
            self.state.append((float(self.model.tau_clean), float(self.model.joint)))

    def on_epoch_end(self, epoch, logs=None):
        table = self.model.epoch_findings.numpy().astype("float64")
        self.tables.append(dict(zip(findings.FIELDS, table.T, strict=True)))


def fit(model, x, y=None, callback=None, more=(), **arguments):
    callbacks = [callback or LabelTrust(), MeanTeacher(0.5), *more]
    if not isinstance(x, tf.data.Dataset):
        arguments = {"batch_size": 8} | arguments
    return model.fit(x, y, callbacks=callbacks, verbose=0, **arguments).history


def by_hand(tables, decay):
    """Weighted means of what the epochs found: of weights 1, d, d^2 backwards."""
    weights = np.array([decay**k for k in range(len(tables))][::-1])
    pairs = list(zip(weights / weights.sum(), tables, strict=True))
    columns = ("given_prob", "other_prob")
    return [sum(weight * table[name] for weight, table in pairs) for name in columns]


def rate_by_hand(tables, given, other):
    """`v (1 - a / s)`; before the second epoch nothing is stable."""
    confidence = np.maximum(given, other)
    sure = confidence >= confidence.mean()
    agreement, stability = (given >= other)[sure].mean(), 0.0
    if len(tables) > 1:
        before, now = (table["predicted"] for table in tables[-2:])
        stability = (before == now)[sure].mean()
    explained = max(stability, agreement)
    rate = 1 - agreement / explained if explained else 1.0
    return tables[-1]["consistent"].mean() * rate


def bayes(given, other, rate, flip, sharpness, least):
    """The rule in the docstring of `josrc_keras.adaptive.trust`."""
    rate = np.clip(rate, RULE.least_rate, RULE.most_rate)
    rest = np.maximum(1 - given - other, 0) / (models.CLASSES - 1)
    right = (1 - rate) * given**sharpness
    return right / (right + rate * np.maximum(other * flip + rest, least) ** sharpness)


def learnt_by_hand(given, other, rate):
    """How many labels are predicted, among as many as are right."""
    return min((given >= other).mean() / (1 - min(rate, RULE.most_rate)), 1)


def least_by_hand(given, other, rate, labels, allowance=0.5):
    """A share of what the labels of each class get, weighted by itself."""
    alike = [given[labels == label] for label in labels]
    typical = np.array([np.average(each, weights=each) for each in alike])
    return allowance * learnt_by_hand(given, other, rate) * typical


def flips_by_hand(tables, given, other, labels):
    """How often a label is what each sample's is, among the wrong ones of a class."""
    others = tables[-1]["other_class"].astype(int)
    confidence = np.maximum(given, other)
    wrong = (confidence >= confidence.mean()) & (other > given)
    found = []
    for other_class, label in zip(others, labels, strict=True):
        alike = wrong & (others == other_class)
        same = (alike & (labels == label)).sum()
        uniform = RULE.strength / (models.CLASSES - 1)
        found.append((same + uniform) / (alike.sum() + RULE.strength))
    return np.array(found)
