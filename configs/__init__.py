"""Configurations of the experiments, each a page of Python."""

from josrc_keras._layout import require_name

require_name(__name__, "josrc_keras.configs")
