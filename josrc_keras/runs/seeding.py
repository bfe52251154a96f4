"""Random numbers and determinism of a run."""

import os

import keras

from josrc_keras import _checks
from josrc_keras.devices.accelerator import on_accelerator


def seed_everything(config):
    """Seeds Python, NumPy and Keras, and makes operations deterministic where asked.

    `config.deterministic` is `"always"`, `"never"`, or `"cpu"`, which leaves out
    accelerators, where determinism costs speed. On JAX the CPU is always deterministic,
    and an accelerator only if the environment says so before the start.

    Args:
        config: A configuration.

    Raises:
        ValueError: If `config.deterministic` is unknown, or is `"always"` and JAX was
            started without determinism.
    """
    choices = ("cpu", "always", "never")
    when = _checks.check_choice("config.deterministic", config.deterministic, choices)
    keras.utils.set_random_seed(config.seed)
    if keras.backend.backend() == "jax":
        flag = "--xla_gpu_deterministic_ops=true"
        flags = os.environ.get("XLA_FLAGS", "")
        if when == "always" and on_accelerator() and flag not in flags:
            raise ValueError(
                "config.deterministic=always on JAX needs a setting that XLA reads at "
                f"its start. Received: XLA_FLAGS={flags!r}. Set XLA_FLAGS={flag} in "
                "the environment."
            )
        return
    import tensorflow as tf

    on_cpu = not tf.config.list_physical_devices("GPU")
    if when == "always" or (when == "cpu" and on_cpu):
        tf.config.experimental.enable_op_determinism()
