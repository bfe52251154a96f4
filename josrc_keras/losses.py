"""The joint loss and its two terms, a value per sample (eq. 9 to 11)."""

import math
from typing import Any

import numpy as np
from keras import ops

from josrc_keras._values import ALPHA as ALPHA
from josrc_keras.divergence import js_divergence, symmetric_kl_divergence


def classification_loss(logits_a: Any, logits_b: Any, targets: Any) -> Any:
    """Cross-entropy of both views against one target (eq. 11).

    Args:
        logits_a: `(N, C)` logits of the first view.
        logits_b: `(N, C)` logits of the second view.
        targets: `(N, C)` label distributions, rows sum to 1.

    Returns:
        `(N,)` float32 in nats, in `[0, inf)`: the sum over both views.
    """
    targets = ops.cast(targets, "float32")
    log_a = ops.log_softmax(ops.cast(logits_a, "float32"), axis=-1)
    log_b = ops.log_softmax(ops.cast(logits_b, "float32"), axis=-1)
    return -ops.sum(targets * (log_a + log_b), axis=-1)


def soft_cross_entropy(logits: Any, targets: Any) -> Any:
    """Cross-entropy of one view against a target.

    Args:
        logits: `(N, C)` logits.
        targets: `(N, C)` not negative; a row's sum is its weight.

    Returns:
        `(N,)` float32 in nats, in `[0, inf)`.
    """
    log_probs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    return -ops.sum(ops.cast(targets, "float32") * log_probs, axis=-1)


def complementary_cross_entropy(logits: Any, targets: Any) -> Any:
    """Cross-entropy of one view against what it is not: `-sum(t * log(1 - p))`.

    Negative learning (Kim et al., "NLNL: Negative Learning for Noisy Labels", ICCV
    2019, eq. 2).

    Args:
        logits: `(N, C)` logits.
        targets: `(N, C)` not negative: how much each class is learnt not to be.

    Returns:
        `(N,)` float32 in nats, in `[0, inf)`. A probability of 1 counts as 1 - 1e-6.
    """
    rest = 1.0 - ops.softmax(ops.cast(logits, "float32"), axis=-1)
    rest = ops.maximum(rest, 1e-6)
    return -ops.sum(ops.cast(targets, "float32") * ops.log(rest), axis=-1)


def consistency_loss(
    logits_a: Any,
    logits_b: Any,
    out_of_distribution: Any,
    base: float = 2.0,
    bounded: bool = False,
) -> Any:
    """Signed disagreement of the two views (eq. 9).

    It pulls the two predictions of a sample together, and pushes those of an
    out-of-distribution sample apart.

    Args:
        logits_a: `(N, C)` logits of the first view.
        logits_b: `(N, C)` logits of the second view.
        out_of_distribution: `(N,)` boolean; these samples count with rho = -1.
        base: Base of the logarithm. The paper does not give it. Its published code
            uses 2, for which its alpha is meant.
        bounded: Whether the Jensen-Shannon divergence (eq. 2) replaces the sum of both
            Kullback-Leibler divergences, so that the loss has a lower bound.

    Returns:
        `(N,)` float32, in bits for `base=2`: at least 0, or at most 0 where
        `out_of_distribution`. There it has no lower bound unless `bounded`, which
        keeps it between -1 and 1 bit.

    Raises:
        ValueError: If `base` is not a number above 1.
    """
    if bounded:
        probs_a, probs_b = (
            ops.softmax(ops.cast(each, "float32")) for each in (logits_a, logits_b)
        )
        divergence = js_divergence(probs_a, probs_b, base)
    else:
        divergence = symmetric_kl_divergence(logits_a, logits_b, base)
    return ops.where(out_of_distribution, -divergence, divergence)


def check_alpha(alpha: Any) -> Any:
    """Returns `alpha`; raises a `ValueError` if it is a number outside [0, 1]."""
    if isinstance(alpha, (int, float, np.number)) and not 0 <= alpha <= 1:
        raise ValueError(
            "`alpha` weighs the consistency term against the classification term and "
            f"must be in [0, 1]. Received: alpha={alpha}. The paper uses 0.5 on CIFAR."
        )
    return alpha


def joint_loss(classification: Any, consistency: Any, alpha: Any) -> Any:
    """The weighted sum of both terms (eq. 10).

    Args:
        classification: `(N,)` of eq. 11, in nats.
        consistency: `(N,)` of eq. 9, signed.
        alpha: Weight of the consistency term, in [0, 1]; a number or a scalar tensor.

    Returns:
        `(N,)` float32: `(1 - alpha) classification + alpha consistency`.

    Raises:
        ValueError: If `alpha` is a number outside [0, 1].
    """
    check_alpha(alpha)
    return (1.0 - alpha) * classification + alpha * consistency


def cross_entropy(labels: Any, logits: Any) -> Any:
    """Cross-entropy of logits against integer labels, a value per sample.

    Args:
        labels: `(N,)` integers in `[0, C)`.
        logits: `(N, C)`.

    Returns:
        `(N,)` float32 in nats; NaN for a label out of range.
    """
    log_probs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    num_classes = log_probs.shape[-1]
    labels = ops.cast(labels, "int32")
    one_hot = ops.one_hot(labels, num_classes, dtype="float32")
    in_range = ops.logical_and(labels >= 0, labels < num_classes)
    return ops.where(in_range, -ops.sum(one_hot * log_probs, axis=-1), math.nan)


def masked_sum(values: Any, mask: Any, sample_weight: Any = None) -> Any:
    """Sums the values inside a mask.

    A value outside the mask adds exactly 0 to the sum and to the gradient.

    Args:
        values: `(N,)`.
        mask: `(N,)` boolean.
        sample_weight: `(N,)` factors on the values, or None.

    Returns:
        A scalar; exactly 0 for an empty mask.
    """
    values = ops.where(mask, values, ops.zeros_like(values))
    if sample_weight is not None:
        values = values * ops.cast(sample_weight, values.dtype)
    return ops.sum(values)
