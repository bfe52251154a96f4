"""Ships the classifier: exported bare, reloaded, compared."""

from josrc_keras._layout import require_name

require_name(__name__, "josrc_keras.export")

from josrc_keras.export.classifier import ExportError, export_classifier

__all__ = ["ExportError", "export_classifier"]
