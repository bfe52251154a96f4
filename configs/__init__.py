"""Configurations of the experiments, a page of Python each."""

from josrc_keras._layout import require_name

require_name(__name__, "josrc_keras.configs")
