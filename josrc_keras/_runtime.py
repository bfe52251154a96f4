"""Settings that TensorFlow reads once, when it is imported."""

import os


def set_defaults():
    """Sets what the user has left unset; without effect once TensorFlow is imported.

    TensorFlow leaves oneDNN's convolutions off on many CPUs, where they are faster:
    `benchmarks/step.py` measures both. `TF_ENABLE_ONEDNN_OPTS=0` turns them off.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
