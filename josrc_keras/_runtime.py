"""Settings that TensorFlow reads once, when it is imported."""

import os

# TensorFlow leaves oneDNN's convolutions off on many CPUs. `benchmarks/step.py` measures
# both; set TF_ENABLE_ONEDNN_OPTS=0 before the import to have them off.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
