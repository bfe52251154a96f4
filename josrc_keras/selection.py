"""Which samples are clean, in-distribution noise or out-of-distribution (eq. 3, 4)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from josrc_keras._values import TAU_OOD as TAU_OOD
from josrc_keras._values import UNCLEAN as UNCLEAN
from josrc_keras.divergence import js_divergence


class Selection(NamedTuple):
    """The three-way partition of a batch: boolean `(N,)`, disjoint and covering."""

    clean: Any
    in_distribution: Any
    out_of_distribution: Any


def clean_likelihood(probs: Any, label_probs: Any) -> Any:
    """Likelihood that the given label is right (eq. 3).

    Since the label is smoothed, the likelihood does not simply grow with the
    prediction's confidence: it peaks where `probs` equals `label_probs` and falls again
    for a more confident prediction. `schedules.contradiction_likelihood` says what
    that means for a threshold.

    Args:
        probs: `(N, C)` the student's probabilities on the first view.
        label_probs: `(N, C)` the smoothed given labels (eq. 5).

    Returns:
        `(N,)` float32 in [0, 1]; 1 = clean.
    """
    return 1.0 - js_divergence(probs, label_probs, base=2.0)


def ood_likelihood(probs_a: Any, probs_b: Any) -> Any:
    """Likelihood that an image is out-of-distribution (eq. 4).

    Args:
        probs_a: `(N, C)` probabilities (or logits) on the first view.
        probs_b: `(N, C)` probabilities (or logits) on the second view.

    Returns:
        `(N,)` float32: 1.0 where the two views are predicted as different classes, 0.0
        where they agree.
    """
    disagree = ops.argmax(probs_a, axis=-1) != ops.argmax(probs_b, axis=-1)
    return ops.cast(disagree, "float32")


def check_tau_ood(tau_ood: Any) -> Any:
    """Returns `tau_ood`; raises a `ValueError` unless it is in (0, 1) (C3.2)."""
    if isinstance(tau_ood, (int, float, np.number)) and not 0 < tau_ood < 1:
        raise ValueError(
            "`tau_ood` must lie strictly between 0 and 1, since the out-of-"
            f"distribution likelihood is 0 or 1. Received: tau_ood={tau_ood}. "
            "Use 0.5, the paper's value."
        )
    return tau_ood


def select(
    clean_likelihood: Any,
    ood_likelihood: Any,
    *,
    tau_clean: Any,
    tau_ood: Any = TAU_OOD,
    inclusive: bool = False,
) -> Selection:
    """Partitions a batch by conditions C3.1 and C3.2.

    Args:
        clean_likelihood: `(N,)` of eq. 3, in [0, 1].
        ood_likelihood: `(N,)` of eq. 4, 0.0 or 1.0.
        tau_clean: Scalar threshold in [0, 1].
        tau_ood: Scalar threshold in (0, 1).
        inclusive: Whether a likelihood equal to its threshold passes. The paper
            writes `>` (`False`); its published code compares with `>=`.

    Returns:
        A `Selection`.

    Raises:
        ValueError: If `tau_ood` is a number outside (0, 1).
    """
    passes = ops.greater_equal if inclusive else ops.greater
    clean = passes(clean_likelihood, tau_clean)
    outside = passes(ood_likelihood, check_tau_ood(tau_ood))
    unclean = ops.logical_not(clean)
    return Selection(
        clean=clean,
        in_distribution=ops.logical_and(unclean, ops.logical_not(outside)),
        out_of_distribution=ops.logical_and(unclean, outside),
    )


def check_unclean(kinds: Sequence[str]) -> tuple[str, ...]:
    """Returns `kinds` as a tuple; raises a `ValueError` unless all are of `UNCLEAN`."""
    is_sequence = isinstance(kinds, (list, tuple))
    if not is_sequence or not all(kind in UNCLEAN for kind in kinds):
        raise ValueError(
            f"Expected `relabel` as a tuple of any of {UNCLEAN}, or (). Received: "
            f"relabel={kinds!r}. For one kind write ({UNCLEAN[0]!r},)."
        )
    return tuple(kinds)


def union(selected: Selection, kinds: Sequence[str]) -> Any:
    """Which samples are of any of these kinds.

    Args:
        selected: A `Selection` of boolean `(N,)`.
        kinds: Names of its fields.

    Returns:
        `(N,)` boolean; all False if `kinds` is empty.
    """
    of_any_kind = ops.zeros_like(selected.clean)
    for kind in kinds:
        of_any_kind = ops.logical_or(of_any_kind, getattr(selected, kind))
    return of_any_kind
