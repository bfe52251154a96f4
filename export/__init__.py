"""Exports the bare classifier, reloads it, and compares it with the trained one."""

from josrc_keras._layout import require_name

require_name(__name__, "josrc_keras.export")

from josrc_keras.export.calibration import (
    expected_calibration_error,
    fit_temperature,
)
from josrc_keras.export.classifier import export_classifier
from josrc_keras.export.metadata import read_metadata
from josrc_keras.export.proof import ExportError
from josrc_keras.export.serving import Serving

__all__ = [
    "ExportError",
    "Serving",
    "expected_calibration_error",
    "export_classifier",
    "fit_temperature",
    "read_metadata",
]
