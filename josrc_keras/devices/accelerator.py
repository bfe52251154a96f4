"""What there is to compute with: cores, and whether JAX has an accelerator."""

import os

import keras


def on_accelerator():
    """Whether the backend is JAX and runs on something other than a CPU."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() != "cpu"


def on_any():
    """Whether the backend has an accelerator: of JAX, or a GPU of TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        return on_accelerator()
    import tensorflow

    return bool(tensorflow.config.list_physical_devices("GPU"))


def core_count():
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
