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
from typing import Any

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


class Finder(importlib.abc.MetaPathFinder):
    """Meta-path finder that imports the package when Keras is imported first.

    The work begins when a module is made, not when it is looked for: TensorFlow asks
    where Keras is in the course of its own import, before Keras can be imported.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns what the other finders find, with a loader that begins the work."""
        if not needs_keras(fullname) or self not in sys.meta_path:
            return None
        for finder in [each for each in sys.meta_path if each is not self]:
            find = getattr(finder, "find_spec", None)
            spec = find and find(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = Loader(self, spec.loader)
                return spec
        return None


class Loader(importlib.abc.Loader):
    """Loads a module in the course of importing the whole package.

    Args:
        finder: The `Finder`, which is taken out of `sys.meta_path` then.
        loader: What loads the module if it is not among those that were imported.
    """

    def __init__(self, finder: Finder, loader: Any) -> None:
        self.finder, self.loader = finder, loader
        self.loaded: ModuleType | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["loader"], name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Imports the package, and returns the module if it is there then."""
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
            load()
        self.loaded = sys.modules.get(spec.name)
        if self.loaded is None:
            return self.loader.create_module(spec)
        self.spec = self.loaded.__spec__
        return self.loaded

    def exec_module(self, module: ModuleType) -> None:
        """Executes the module, unless that was done while the package was imported."""
        if self.loaded is not None:
            module.__spec__ = self.spec
            return
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        module.__loader__ = self.loader
        self.loader.exec_module(module)


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
    sys.meta_path.insert(0, Finder())
