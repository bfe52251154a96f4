"""Imports the whole package as soon as Keras is needed, and not before.

A command parses its flags, explains itself and refuses bad arguments without Keras,
whose import takes seconds. But once Keras is there, every class of the package has to
be known to it: `keras.saving.load_model` finds them by their registered names. So the
first import of Keras, or of a module that needs it, imports all of them.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

from josrc_keras import _runtime

PACKAGE = "josrc_keras"
# Modules that are imported without Keras, with those below them.
LIGHT: tuple[str, ...] = (
    "_files",
    "_layout",
    "_loading",
    "_runtime",
    "_values",
    "_version",
)
LIGHT += ("commands", "configs", "evaluate", "reproduce", "train")
LIGHT_ALONE = ("runs", "runs.renamed")  # Without those below them.


class Loader(importlib.abc.Loader):
    """Meta-path finder that imports the package when Keras is imported first.

    It takes itself out of `sys.meta_path` then, and stands for modules that were
    imported in the course of it.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns the spec of a module that is there once all are, else None."""
        if not needs_keras(fullname) or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        load()
        if fullname not in sys.modules:
            return None
        self.spec = sys.modules[fullname].__spec__
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Returns the module that has been imported."""
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Leaves the module as it is, since it has been executed."""
        module.__spec__ = self.spec


def needs_keras(fullname: str) -> bool:
    """Whether the import of a module, by its full name, begins the work."""
    first, _, rest = fullname.partition(".")
    if first == PACKAGE:
        light = rest.partition(".")[0] in LIGHT or rest in LIGHT_ALONE
        return bool(rest) and not light
    return fullname == "keras"


def load() -> None:
    """Imports Keras and everything that the package offers."""
    _runtime.import_keras()
    package = sys.modules[PACKAGE]
    for name in package.__all__:
        getattr(package, name)


def wait() -> None:
    """Imports the package when Keras or a module that needs it is imported."""
    sys.meta_path.insert(0, Loader())
