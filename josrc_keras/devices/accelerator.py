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


def described(looks=True):
    """What there is to compute with, such as `CPU (2 cores), TensorFlow 2.21.0`.

    Args:
        looks: Whether JAX may be asked for its devices. It can't be split or joined
            with other processes once it was.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        if not looks:
            return f"JAX {jax.__version__}, Keras {keras.__version__}"
        found = [each.device_kind for each in jax.devices()]
        kind, version = jax.default_backend(), f"JAX {jax.__version__}"
    elif backend == "tensorflow":
        import tensorflow as tf

        found = [each.name for each in tf.config.list_physical_devices("GPU")]
        kind, version = "gpu" if found else "cpu", f"TensorFlow {tf.__version__}"
    else:
        return f"backend {backend}, Keras {keras.__version__}"
    if kind == "cpu":
        return f"CPU ({core_count()} cores), {version}, Keras {keras.__version__}"
    devices = f"{len(found)} {kind.upper()}{'s' if len(found) > 1 else ''}"
    return f"{devices} ({found[0]}), {version}, Keras {keras.__version__}"
