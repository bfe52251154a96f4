"""Equations 2 to 12 in float64 NumPy, written from the paper's formulas."""

import numpy as np


def float64(x):
    return np.asarray(x).astype(np.float64)


def softmax(logits):
    logits = float64(logits)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def log_softmax(logits):
    logits = float64(logits)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def kl(p, q, base=2.0):
    """`sum p log(p / q)`, where `0 log 0` is 0."""
    p, q = float64(p), float64(q)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, p * np.log(p / q), 0.0).sum(axis=1) / np.log(base)


def js(p, y, base=2.0):
    """Eq. 2."""
    m = (float64(p) + float64(y)) / 2
    return kl(p, m, base) / 2 + kl(y, m, base) / 2


def clean_likelihood(p, y):
    """Eq. 3."""
    return 1.0 - js(p, y)


def ood_likelihood(p, p_prime):
    """Eq. 4 as the paper writes it: the difference of the indices, at most 1."""
    return np.minimum(1.0, abs(p.argmax(axis=1) - p_prime.argmax(axis=1)))


def smooth(labels, classes, epsilon):
    """Eq. 5."""
    rows = np.full((len(labels), classes), epsilon / (classes - 1))
    rows[np.arange(len(labels)), labels] = 1 - epsilon
    return rows


def flatten(q, s):
    """Eq. 7."""
    return softmax(float64(q) / s)


def reassign(clean, outside, y, q, s):
    """Eq. 5 to 7, one sample after the other."""
    rows = np.empty_like(float64(q))
    for i in range(len(rows)):
        if clean[i]:
            rows[i] = y[i]
        else:
            rows[i] = flatten(q[i : i + 1], s)[0] if outside[i] else q[i]
    return rows


def ema(teacher, student, omega):
    """Eq. 8."""
    return omega * float64(teacher) + (1 - omega) * float64(student)


def consistency(logits, logits_prime, outside, base=2.0):
    """Eq. 9 for each sample; from the logarithms, since a softmax underflows."""
    a, b = log_softmax(logits), log_softmax(logits_prime)
    nats = (np.exp(a) * (a - b)).sum(axis=1) + (np.exp(b) * (b - a)).sum(axis=1)
    return np.where(outside, -1.0, 1.0) * nats / np.log(base)


def classification(logits, logits_prime, targets):
    """Eq. 11 for each sample."""
    targets = float64(targets)
    first = -(targets * log_softmax(logits)).sum(axis=1)
    return first - (targets * log_softmax(logits_prime)).sum(axis=1)


def joint(l_c, l_o, alpha):
    """Eq. 10."""
    return (1 - alpha) * float64(l_c) + alpha * float64(l_o)


def threshold(t, tau_c, tau_m, t_w, t_max):
    """Eq. 12."""
    if t <= t_w:
        return t / t_w * tau_c
    return (t - t_w) * (tau_m - tau_c) / (t_max - t_w) + tau_c
