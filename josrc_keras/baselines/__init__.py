"""Methods to compare Jo-SRC with, under the same interface."""

from josrc_keras.baselines.standard import Standard

__all__ = ["Standard"]
