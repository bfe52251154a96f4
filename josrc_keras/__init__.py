"""Train Keras classifiers on data whose labels are partly wrong (Jo-SRC)."""

from josrc_keras._layout import ensure_subpackages

ensure_subpackages()

from josrc_keras._runtime import set_defaults

set_defaults()  # Before TensorFlow is imported.

from josrc_keras import (
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
from josrc_keras.baselines import (
    CoTeaching,
    CoTeachingPlus,
    Decoupling,
    JoCoR,
    Standard,
)
from josrc_keras.model import JoSRC

__all__ = [
    "CoTeaching",
    "CoTeachingPlus",
    "Decoupling",
    "JoCoR",
    "JoSRC",
    "Standard",
    "__version__",
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
