"""The undocumented parts of Keras and TensorFlow that the package relies on.

Every call of a private part of Keras is in this module. Four private methods are
overridden, which only a subclass can do: `HOOKS` lists them. tests/runtime_test.py
names the parts that a new version of Keras lacks.
"""

import os

# Private methods of Keras that this package overrides or replaces, by file.
HOOKS = {
    "training/step.py": ("_make_function", "_maybe_symbolic_build"),
    "networks/normalization.py": ("_moments",),
    "runs/head_rate.py": ("update_step",),
}


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
