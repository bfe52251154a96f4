"""Ranks, of which areas under the ROC curve are made."""

from typing import Any

import numpy as np


def mean_ranks(values: Any) -> np.ndarray:
    """`(N,)` float64 ranks from 1 to N; equal values share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]
