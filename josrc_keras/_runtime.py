"""The undocumented parts of Keras and TensorFlow that the package relies on.

Every call of a private part of Keras is in this module. Four private methods are
overridden, which only a subclass can do: `HOOKS` lists them. tests/runtime_test.py
names the parts that a new version of Keras lacks.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

# Private methods of Keras that this package overrides or replaces, by file.
HOOKS = {
    "training/step.py": ("_make_function", "_maybe_symbolic_build"),
    "networks/normalization.py": ("_moments",),
    "training/muon.py": ("_should_use_adamw", "_muon_update_step"),
    "runs/head_rate.py": ("update_step",),
}
NOWHERE = os.path.join(os.devnull, ".keras")  # A `KERAS_HOME` that takes no file.


def set_defaults():
    """Sets environment variables of TensorFlow that the user has not set.

    They have no effect once TensorFlow is imported. TensorFlow leaves oneDNN's
    convolutions off on many CPUs although they are faster there (`benchmarks/step.py`
    measures both). `TF_ENABLE_ONEDNN_OPTS=0` turns them off.

    From version 1.32 on, onnxruntime writes a device number and a database of events
    into the home directory and looks up names, unless it is told not to before it is
    imported.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def import_keras():
    """Imports Keras, which writes nothing into the home directory.

    It would write a `keras.json` that holds its defaults. What a user downloads with
    Keras still goes to `~/.keras`.
    """
    if "keras" in sys.modules or "KERAS_HOME" in os.environ:
        return
    home = Path("~").expanduser()
    folder = (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"
    if not (folder / "keras.json").exists():
        os.environ["KERAS_HOME"] = NOWHERE
    try:
        with fonts_elsewhere():  # Keras imports matplotlib.
            importlib.import_module("keras")
    finally:
        os.environ.pop("KERAS_HOME", None)
    config: Any = sys.modules["keras.src.backend.config"]
    config._KERAS_DIR = str(folder)


@contextlib.contextmanager
def fonts_elsewhere():
    """Lets an import of matplotlib write its list of fonts into a temporary folder.

    A user who has used matplotlib has that list in the home directory already.
    """
    bases = ("XDG_CONFIG_HOME", "~/.config"), ("XDG_CACHE_HOME", "~/.cache")
    known = [Path(os.environ.get(name) or base, "matplotlib") for name, base in bases]
    known.append(Path("~/.matplotlib"))
    is_used = any(path.expanduser().is_dir() for path in known)
    is_there = importlib.util.find_spec("matplotlib") is not None
    if is_used or not is_there or "MPLCONFIGDIR" in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="josrc-fonts-") as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]


def all_layers(layer):
    """Returns a list of a layer or model and of all layers in it, at any depth."""
    return list(layer._flatten_layers())


def seed_generators(layer):
    """The seed generators of a layer and of all layers in it."""
    return [seed for each in all_layers(layer) for seed in each._seed_generators]


def loss_metric(model):
    """The metric `loss`, which Keras creates when a model is compiled."""
    return model._loss_tracker


def listed(model, results):
    """A dict of results as the list, or the single value, that `evaluate` returns."""
    return model._flatten_metrics_in_order(results)


def is_validation_of_fit(arguments):
    """Whether `evaluate` gets these arguments from `fit`, which checked the data."""
    return bool(arguments.get("_use_cached_eval_dataset"))


def variable_number(optimizer, variable):
    """The number by which an optimizer's subclasses find a variable's state."""
    return optimizer._get_variable_index(variable)
