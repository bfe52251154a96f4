"""From a configuration to the callbacks of a run."""

import importlib.util

import keras
from absl import logging

from josrc_keras import _checks
from josrc_keras.callbacks import (
    CosineDecay,
    LinearDecay,
    SelectionMonitor,
)
from josrc_keras.devices import replicas
from josrc_keras.runs.build_model import make_optimizer
from josrc_keras.runs.methods import METHODS


def make_callbacks(config, workdir, train_split):
    """The callbacks of the method and of the run folder.

    Args:
        config: A configuration.
        workdir: The run folder.
        train_split: The training `data.Split`.

    Returns:
        A list of Keras callbacks.
    """
    monitors = []
    if train_split.true_labels is not None:
        monitors.append(SelectionMonitor(workdir / "clean_likelihood.json"))
    decay = make_decay(config)
    path = workdir / "sample_history.npz"
    required = METHODS[config.method].callbacks(config, train_split, path)
    return [decay, *monitors, *required, *_tensorboard(workdir)]


def make_decay(config):
    """The callback that lowers the learning rate, by `config.learning_rate_decay`."""
    plan = config.learning_rate_decay.to_dict()
    name = plan.pop("name")
    _checks.check_choice("config.learning_rate_decay.name", name, ("linear", "cosine"))
    learning_rate = config.optimizer.arguments.learning_rate
    if name == "cosine":
        return CosineDecay(learning_rate)
    if not hasattr(make_optimizer(config), "beta_1"):
        plan["beta_1"] = None  # It is Adam's.
    return LinearDecay(learning_rate=learning_rate, **plan)


def _tensorboard(workdir):
    if keras.backend.backend() == "jax" or not replicas.is_chief():
        return []  # Keras writes the log with TensorFlow, so there is none on JAX.
    if importlib.util.find_spec("tensorboard") is None:
        logging.info(
            "No TensorBoard log: `pip install josrc-keras[tensorboard]` adds it."
        )
        return []
    return [
        keras.callbacks.TensorBoard(str(workdir / "tensorboard"), write_graph=False)
    ]
