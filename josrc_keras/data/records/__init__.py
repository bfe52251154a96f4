"""Datasets as TFRecord files, written once and streamed."""

from josrc_keras.data.records.dataset import (
    SPLITS,
    StreamedImages,
    read,
    write,
    write_files,
)
from josrc_keras.data.records.writing import CHANNELS, FIELDS, INDEX, LABELS

__all__ = [
    "CHANNELS",
    "FIELDS",
    "INDEX",
    "LABELS",
    "SPLITS",
    "StreamedImages",
    "read",
    "write",
    "write_files",
]
