"""Whether JAX has an accelerator."""

import keras


def on_accelerator():
    """Whether the backend is JAX and runs on something other than a CPU."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() != "cpu"
