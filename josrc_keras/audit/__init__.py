"""Which labels are wrong, and which images are out-of-distribution."""

import importlib
from typing import Any

from josrc_keras.audit import scores
from josrc_keras.audit.summary import summarise
from josrc_keras.audit.table import COLUMNS, audit
from josrc_keras.audit.truth import compare

# These train heads, so they lie in a room above, which is loaded when it is asked for.
OF_PROBE = ("of_features", "of_photos", "of_predictions")

__all__ = ["COLUMNS", "audit", "compare", "scores", "summarise", *OF_PROBE]


def __getattr__(name: str) -> Any:
    """The audits without training a network, of `josrc_keras.probe.audits`."""
    if name in OF_PROBE:
        return getattr(importlib.import_module("josrc_keras.probe.audits"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
