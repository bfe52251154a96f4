"""Which labels are wrong, and which images are out-of-distribution."""

from josrc_keras.audit import scores
from josrc_keras.audit.summary import summarise
from josrc_keras.audit.table import COLUMNS, audit
from josrc_keras.audit.truth import compare

__all__ = ["COLUMNS", "audit", "compare", "scores", "summarise"]
