"""Whether there is one."""

import keras


def on_accelerator():
    """Whether JAX runs on something else than a CPU."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() != "cpu"
