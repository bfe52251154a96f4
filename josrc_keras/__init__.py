"""Train Keras classifiers on data whose labels are partly wrong (Jo-SRC)."""

from josrc_keras._layout import ensure_subpackages

ensure_subpackages()

from josrc_keras._runtime import import_keras, set_defaults

set_defaults()  # TensorFlow reads them when it is imported.
import_keras()

from josrc_keras import (
    adaptive,
    audit,
    data,
    divergence,
    labels,
    losses,
    metrics,
    networks,
    recipes,
    schedules,
    selection,
    views,
)
from josrc_keras._version import __version__
from josrc_keras.adaptive import AdaptiveJoSRC, TrustRule
from josrc_keras.baselines import (
    MLNT,
    CoTeaching,
    CoTeachingPlus,
    Decoupling,
    DeepSelf,
    DivideMix,
    JoCoR,
    MetaCleaner,
    Standard,
)
from josrc_keras.model import Choices, JoSRC

__all__ = [
    "MLNT",
    "AdaptiveJoSRC",
    "Choices",
    "CoTeaching",
    "CoTeachingPlus",
    "Decoupling",
    "DeepSelf",
    "DivideMix",
    "JoCoR",
    "JoSRC",
    "MetaCleaner",
    "Standard",
    "TrustRule",
    "__version__",
    "adaptive",
    "audit",
    "data",
    "divergence",
    "labels",
    "losses",
    "metrics",
    "networks",
    "recipes",
    "schedules",
    "selection",
    "views",
]
