"""DivideMix on tiny data, and its step in float64 NumPy."""

import keras
import numpy as np

from josrc_keras import DivideMix
from tests.support.models import CLASSES, linear_network

COUNT = 6  # Samples in a batch.
ROWS = 9  # Samples in the dataset.
PARTNERS = np.array([3, 7, 11, 0, 5, 2, 9, 1, 4, 10, 6, 8])
SHARE = 0.7


def make(rate=0.25, classes=CLASSES, rows=ROWS, eager=True, **arguments):
    model = DivideMix(
        linear_network(classes, seed=0),
        classes,
        rows,
        peer=linear_network(classes, seed=1),
        **arguments,
    )
    optimizer = keras.optimizers.SGD(rate)
    model.compile(optimizer, metrics=["accuracy"], run_eagerly=eager)
    return model


def divided(model, table, weight=25.0, share=SHARE):
    """The model after its warm-up, with mixing that is not random."""
    model.clean_probability.assign(np.asarray(table, "float32"))
    model.divided.assign(1.0)
    model.unlabelled_weight.assign(weight)
    model._partners = lambda batch: (
        keras.ops.convert_to_tensor(PARTNERS.astype("int32")),
        keras.ops.convert_to_tensor(np.full(2 * COUNT, share, "float32")),
    )
    return model


def softmax(logits):
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def targets_of(own, probs, labels, clean, threshold=0.5, temperature=0.5):
    """`(N, C)`: refined or guessed, a sample at a time."""
    rows = []
    for row, label in enumerate(labels):
        if clean[row] > threshold:
            mean = (probs[own][0][row] + probs[own][1][row]) / 2
            target = (1 - clean[row]) * mean
            target[label] += clean[row]
        else:
            target = sum(probs[k][v][row] for k in (0, 1) for v in (0, 1)) / 4
        target = target ** (1 / temperature)
        rows.append(target / target.sum())
    return np.array(rows)


def network_loss(logits, targets, labelled, weight, form="mixmatch"):
    """`L_x + weight L_u + L_reg` of one network, on mixed rows."""
    probs = softmax(logits)
    both = np.concatenate([labelled, labelled])
    total, means = 0.0, []
    if both.any():
        total += -(targets * np.log(probs)).sum(1)[both].mean()
        means.append(probs[both].mean(0))
    if not both.all() and form == "mixmatch":
        total += weight * ((probs - targets) ** 2)[~both].mean()
        means.append(probs[~both].mean(0))
    mean = np.mean(means, axis=0) if means else np.full(probs.shape[1], 1.0)
    mean = mean / mean.sum()
    classes = len(mean)
    return total + sum(np.log(1 / classes / each) for each in mean) / classes
