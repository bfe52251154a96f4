"""Train Keras classifiers on data whose labels are partly wrong (Jo-SRC)."""

from josrc_keras._layout import ensure_subpackages

ensure_subpackages()

import importlib
import sys
from typing import TYPE_CHECKING, Any

from josrc_keras import _loading
from josrc_keras._runtime import set_defaults
from josrc_keras._version import __version__

if TYPE_CHECKING:
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
    from josrc_keras.adaptive import AdaptiveJoSRC, TrustRule
    from josrc_keras.baselines import (
        MLNT,
        CleanNet,
        CoTeaching,
        CoTeachingPlus,
        Decoupling,
        DeepSelf,
        DivideMix,
        FCorrection,
        JoCoR,
        JointOptim,
        MCorrection,
        MetaCleaner,
        Pencil,
        Standard,
    )
    from josrc_keras.model import Choices, JoSRC

__all__ = [
    "MLNT",
    "AdaptiveJoSRC",
    "Choices",
    "CleanNet",
    "CoTeaching",
    "CoTeachingPlus",
    "Decoupling",
    "DeepSelf",
    "DivideMix",
    "FCorrection",
    "JoCoR",
    "JoSRC",
    "JointOptim",
    "MCorrection",
    "MetaCleaner",
    "Pencil",
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
# Where the names above are, of those that are no modules themselves.
HOMES = {
    **dict.fromkeys(("AdaptiveJoSRC", "TrustRule"), "adaptive"),
    **dict.fromkeys(("CoTeaching", "CoTeachingPlus", "Decoupling"), "baselines"),
    **dict.fromkeys(("DivideMix", "FCorrection", "JoCoR", "JointOptim"), "baselines"),
    **dict.fromkeys(("MCorrection", "Pencil", "Standard"), "baselines"),
    **dict.fromkeys(("CleanNet", "DeepSelf", "MLNT", "MetaCleaner"), "baselines"),
    **dict.fromkeys(("Choices", "JoSRC"), "model"),
}


def __getattr__(name: str) -> Any:
    """Imports what the package offers when it is asked for, and Keras with it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{HOMES.get(name, name)}")
    return home if name not in HOMES else getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


set_defaults()  # TensorFlow reads them when it is imported.
if "keras" in sys.modules:
    _loading.load()
else:
    _loading.wait()
