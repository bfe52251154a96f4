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

DECAYS = ("linear", "cosine", "warmup_linear")


def make_callbacks(config, workdir, train_split, held_out=None):
    """The callbacks of the method and of the run folder.

    Args:
        config: A configuration.
        workdir: The run folder.
        train_split: The training `data.Split`.
        held_out: A function without arguments that returns batches of held-out images
            with their labels as they are, or None. Callbacks with an attribute
            `held_out` get it.

    Returns:
        A list of Keras callbacks.
    """
    monitors = []
    if train_split.true_labels is not None:
        monitors.append(SelectionMonitor(workdir / "clean_likelihood.json"))
    path = workdir / "sample_history.npz"
    required = METHODS[config.method].callbacks(config, train_split, path)
    for callback in required:
        if hasattr(callback, "held_out"):
            callback.held_out = held_out
    return [*make_decay(config), *monitors, *required, *_tensorboard(workdir)]


def make_decay(config):
    """The callbacks that lower the learning rate, by `config.learning_rate_decay`.

    `make_optimizer` has the schedules that change it in every step.
    """
    plan = config.learning_rate_decay
    _checks.check_choice("config.learning_rate_decay.name", plan.name, DECAYS)
    learning_rate = config.optimizer.arguments.learning_rate
    if plan.name == "warmup_linear":
        return []
    if plan.name == "cosine":
        return [CosineDecay(learning_rate)]
    # Only Adam and its relatives have a beta_1.
    beta_1 = plan.beta_1 if hasattr(make_optimizer(config, 1), "beta_1") else None
    return [LinearDecay(plan.start_epoch, learning_rate, beta_1=beta_1)]


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
