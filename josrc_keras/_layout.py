"""Makes ``josrc_keras.callbacks``, ``.export`` and ``.configs`` importable.

The three subpackages live beside this package in the repository, not below it.
``setup.py`` maps them below it, so an installed copy needs nothing from here.
Python started in the repository's root imports ``./josrc_keras`` instead of the
installed copy, and there the subpackages are missing: a finder for exactly
these three names then points at the folders of the same checkout. It comes
first in ``sys.meta_path``, so that an editable install of another checkout
cannot lend its subpackages to this one.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "josrc_keras"
OUTER_SUBPACKAGES = ("callbacks", "export", "configs")
# Old names of modules and where they are now. Version 0.2 will not have the old names.
MOVED = {
    "assembly": "runs.build_model",
    "audit.changes": "cleaning.plan",
    "audit.command": "commands.audit",
    "audit.moves": "cleaning.moves",
    "audit.relocation": "cleaning.relocation",
    "audit.report": "cleaning.report",
    "audit.run_audit": "cleaning.audit_of_run",
    "audit.samples": "audit.reading",
    "backbones": "networks.backbones",
    "base": "training.base",
    "data.balance": "data.batches.balance",
    "data.cifar": "data.benchmarks.cifar",
    "data.cifar_files": "data.benchmarks.cifar_files",
    "data.cifar_n": "data.benchmarks.cifar_n",
    "data.clothing1m": "data.benchmarks.clothing1m",
    "data.contract": "data.checks.contract",
    "data.decoding": "data.photos.decoding",
    "data.digits": "data.benchmarks.digits",
    "data.encoded": "data.benchmarks.encoded",
    "data.folder_listing": "data.photos.listing",
    "data.folder_records": "data.records.from_folder",
    "data.food101n": "data.benchmarks.food101n",
    "data.image_cache": "data.photos.cache",
    "data.image_folder": "data.photos.folder",
    "data.image_folder_checks": "data.photos.checks",
    "data.manual_files": "data.benchmarks.manual_files",
    "data.pipeline": "data.batches.in_memory",
    "data.record_examples": "data.records.examples",
    "data.record_writing": "data.records.writing",
    "data.resident": "data.batches.on_device",
    "data.streaming": "data.batches.streamed",
    "data.values": "data.checks.values",
    "data.weak_labels": "data.benchmarks.image_noise",
    "datasets": "runs.build_data",
    "demo": "commands.demo",
    "evidence": "samples.evidence",
    "experiment": "runs.train",
    "export.command": "commands.export",
    "export.conversion": "export.in_tensorflow",
    "export.serve": "export.served_process",
    "files": "_files",
    "guards": "_checks",
    "history": "samples.history",
    "jax_step": "training.jax_step",
    "large_sets": "runs.large_sets",
    "methods": "runs.methods",
    "mixup": "adaptive.mixup",
    "normalization": "networks.normalization",
    "plots": "runs.plots",
    "progress": "runs.progress",
    "rates": "runs.head_rate",
    "replicas": "devices.replicas",
    "reproduction.grid": "reproduction.tables",
    "reproduction.page": "reproduction.tables_page",
    "reproduction.records": "reproduction.results",
    "reproduction.suite": "reproduction.robustness",
    "reproduction.suite_page": "reproduction.robustness_page",
    "run_folder": "runs.folder",
    "shell": "commands.shell",
    "strategies": "devices.strategies",
    "strong_views": "views.strong",
    "tf_step": "training.tf_step",
    "trust": "adaptive.trust",
    "write_records": "commands.records",
}

# Names that have moved to another module.
MOVED_NAMES = {
    "labels.check_temperature": "adaptive.targets",
    "labels.temper": "adaptive.targets",
    "labels.trusted": "adaptive.targets",
    "recipes.mixup": "adaptive.values",
    "recipes.teacher_decay": "adaptive.values",
}


def moved_names(module: str) -> Callable[[str], Any]:
    """Returns the ``__getattr__`` of a module for its names that have moved."""

    def get(name: str) -> Any:
        owner = MOVED_NAMES.get(f"{module.removeprefix(f'{PACKAGE}.')}.{name}")
        if owner is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(
            f"{module}.{name} has moved. Version 0.2 will remove the old name. "
            f"Import it from {PACKAGE}.{owner} instead.",
            FutureWarning,
            stacklevel=2,
        )
        return getattr(importlib.import_module(f"{PACKAGE}.{owner}"), name)

    return get


class CheckoutFinder:
    """Meta-path finder of the subpackages that lie in a repository's root.

    Args:
        root: Folder that holds ``josrc_keras/``, ``callbacks/``, ``export/`` and
            ``configs/``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns the spec of one of the three subpackages, else None."""
        parent, _, name = fullname.rpartition(".")
        if parent != PACKAGE or name not in OUTER_SUBPACKAGES:
            return None
        folder = self.root / name
        return importlib.util.spec_from_file_location(
            fullname,
            folder / "__init__.py",
            submodule_search_locations=[str(folder)],
        )


class MovedFinder(importlib.abc.Loader):
    """Meta-path finder of modules by the names that they had before version 0.2."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns the spec of a module that has moved, else None."""
        if fullname.removeprefix(f"{PACKAGE}.") not in MOVED or "." not in fullname:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Returns the module at its new place, with a warning that says where."""
        new = f"{PACKAGE}.{MOVED[spec.name.removeprefix(f'{PACKAGE}.')]}"
        warnings.warn(
            f"{spec.name} has moved. Version 0.2 will remove the old name. Import "
            f"{new} instead.",
            FutureWarning,
            stacklevel=2,
        )
        module = importlib.import_module(new)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Leaves the module as it is: it has been executed at its new place."""
        module.__spec__ = self.spec


def ensure_subpackages() -> None:
    """Installs the finder of moved modules and, in a checkout, that of subpackages.

    Raises:
        ImportError: If a subpackage is neither below the package nor beside it.
    """
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedFinder())
    package = Path(__file__).resolve().parent
    below = [(package / name).is_dir() for name in OUTER_SUBPACKAGES]
    if all(below):
        return
    root = package.parent
    beside = ("setup.py", *OUTER_SUBPACKAGES)
    absent = [name for name in beside if not (root / name).exists()]
    if any(below) or absent:
        raise ImportError(
            f"{PACKAGE} is incomplete. Received: {package} with {sum(below)} of "
            f"{', '.join(OUTER_SUBPACKAGES)} below it and lacking "
            f"{' and '.join(absent) or 'nothing'} beside it. Expected: all three below "
            "it (an installed package), or all three and setup.py beside it (a "
            "source checkout). Fix: install it again, with `pip install .` in a "
            "whole checkout."
        )
    if not any(
        isinstance(finder, CheckoutFinder) and finder.root == root
        for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, CheckoutFinder(root))


def require_name(received: str, expected: str) -> None:
    """Refuses an import of a file under a second name.

    With the repository's root in ``sys.path``, ``import callbacks`` would load
    ``josrc_keras.callbacks`` once more, with classes unequal to the first ones.

    Args:
        received: ``__name__`` of the importing module.
        expected: The one name that the module may have.

    Raises:
        ImportError: If the two differ.
    """
    if received != expected:
        raise ImportError(
            f"This package has one name. Received: import {received}. Expected: "
            f"import {expected}. Fix: replace `{received}` by `{expected}`."
        )
