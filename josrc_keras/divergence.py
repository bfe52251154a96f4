"""Divergences between class distributions (eq. 2 and the terms of eq. 9).

All divergences are computed in float32, whatever the caller's dtype policy, and are
exact where a probability is 0 or 1: `0 log 0` is 0, with a finite gradient.
"""

import math
from typing import Any

from keras import ops

LEAST = 1e-37  # Smaller probabilities are not normal numbers in float32.


def _float32(x):
    return ops.cast(x, "float32")


def check_base(base: float) -> float:
    """Returns `base`; raises a `ValueError` unless it is a number above 1."""
    if not isinstance(base, (int, float)) or not base > 1:
        raise ValueError(
            "The base of the logarithm must be a number above 1. Received: "
            f"base={base!r}. Use base=2.0 for bits or base=math.e for nats."
        )
    return base


def _log_base(base):
    return math.log(check_base(base))


def _safe_log(x):
    """`log(x)` where `x` is positive, and 0 with a gradient of 0 elsewhere.

    The result is also 0 where `x` is positive but at most `LEAST`, since float32 might
    not hold 1 / x.
    """
    return ops.log(ops.where(x > LEAST, x, ops.ones_like(x)))


def kl_divergence(p: Any, q: Any, base: float = 2.0) -> Any:
    """Kullback-Leibler divergence `KL(p || q)`, a value per sample.

    Args:
        p: `(N, C)` probabilities, rows sum to 1.
        q: `(N, C)` probabilities, rows sum to 1.
        base: Base of the logarithm; 2 gives bits.

    Returns:
        `(N,)` float32 in `[0, inf]`; 0 where the rows are equal, `inf` where `q` is
        0 and `p` is not.

    Raises:
        ValueError: If `base` is not a number above 1.
    """
    p, q = _float32(p), _float32(q)
    terms = p * (_safe_log(p) - _safe_log(q))
    terms = ops.where(ops.logical_and(p > 0, q <= 0), math.inf, terms)
    return ops.maximum(ops.sum(terms, axis=-1), 0.0) / _log_base(base)


def js_divergence(p: Any, q: Any, base: float = 2.0) -> Any:
    """Jensen-Shannon divergence, a value per sample (eq. 2).

    Args:
        p: `(N, C)` probabilities, rows sum to 1.
        q: `(N, C)` probabilities, rows sum to 1.
        base: Base of the logarithm; 2 gives bits and the range [0, 1].

    Returns:
        `(N,)` float32 in `[0, log(2, base)]`: 0 where the rows are equal, the upper
        end where their supports are disjoint. It is symmetric in `p` and `q`.

    Raises:
        ValueError: If `base` is not a number above 1.
    """
    p, q = _float32(p), _float32(q)
    log_m = _safe_log(0.5 * (p + q))
    terms = p * (_safe_log(p) - log_m) + q * (_safe_log(q) - log_m)
    nats = ops.clip(0.5 * ops.sum(terms, axis=-1), 0.0, math.log(2.0))
    return nats / _log_base(base)


def symmetric_kl_divergence(logits_a: Any, logits_b: Any, base: float = 2.0) -> Any:
    """`KL(p || p') + KL(p' || p)` of two softmax outputs, from their logits (eq. 9).

    The sum of the two directions is `sum((p - p') (log p - log p'))`. It is computed
    with log-softmax, so it and its gradient stay finite where a softmax underflows.

    Args:
        logits_a: `(N, C)` logits of one view.
        logits_b: `(N, C)` logits of the other view.
        base: Base of the logarithm; 2 gives bits.

    Returns:
        `(N,)` float32 in `[0, inf)`; 0 where the two predictions are equal.

    Raises:
        ValueError: If `base` is not a number above 1.
    """
    log_a = ops.log_softmax(_float32(logits_a), axis=-1)
    log_b = ops.log_softmax(_float32(logits_b), axis=-1)
    terms = (ops.exp(log_a) - ops.exp(log_b)) * (log_a - log_b)
    return ops.sum(terms, axis=-1) / _log_base(base)
