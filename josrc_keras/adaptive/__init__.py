"""The adaptive method: each label is trusted as far as its history bears it out."""

from josrc_keras.adaptive.model import AdaptiveJoSRC
from josrc_keras.adaptive.rule import TrustRule

__all__ = ["AdaptiveJoSRC", "TrustRule"]
