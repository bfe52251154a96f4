"""Tables of photos, a row a photo, with path and label: files, or a DataFrame."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from josrc_keras import _checks, _files

# What Hugging Face's `imagefolder`, an audit's `relabel.csv` and others call them.
OTHER_NAMES = {
    "path": ("file_name", "filename", "image", "id"),
    "label": ("class", "new_name"),
}


def name_of(table: Any) -> str:
    """What errors call a table: the path of its file, if it is one."""
    return "a DataFrame" if hasattr(table, "to_dict") else str(table)


def read(table: Any, columns: Sequence[str] = ("path", "label")) -> list[dict]:
    """Reads the rows of a table, each value as a text.

    A column `path` may also be called `file_name` (as in the `metadata.csv` of Hugging
    Face's `imagefolder`), `filename`, `image` or `id`, and `label` may be called
    `class` or `new_name` (as in `relabel.csv` of an audit).

    Args:
        table: Path of a CSV file in UTF-8, or of a Parquet file; or a
            `pandas.DataFrame`.
        columns: Columns that the table must have.

    Returns:
        A list of dicts, with the names of `columns` and of the table's other columns.

    Raises:
        OSError: If the file can't be read.
        ValueError: If a column is missing, there is no row, or a label is a list of
            several.
        ImportError: If it is a Parquet file and pandas or pyarrow is missing.
    """
    if hasattr(table, "to_dict"):
        rows = _of_frame(table, name_of(table))
    else:
        table = Path(table).expanduser()
        is_parquet = table.suffix.lower() in (".parquet", ".pq")
        rows = _of_parquet(table) if is_parquet else _of_csv(table)
    there = set(rows[0]) if rows else set()
    renamed = {
        other: name
        for name in columns
        if name not in there
        for other in OTHER_NAMES.get(name, ())[::-1]
        if other in there
    }
    renamed = {name: other for other, name in renamed.items()}  # One for each name.
    wanting = [name for name in columns if name not in there and name not in renamed]
    if wanting:
        raise ValueError(
            f"Expected a CSV file or a Parquet file with the columns "
            f"{' and '.join(columns)}, and rows. Received: {name_of(table)}, with "
            f"{len(rows)} rows of {sorted(map(str, there))}."
        )
    back = {other: name for name, other in renamed.items()}
    found = [{back.get(key, key): value for key, value in row.items()} for row in rows]
    for row in found if "label" in columns else ():
        if re.fullmatch(r"\[.*,.*\]", row["label"].strip(), re.DOTALL):
            raise several_labels(name_of(table), row["label"])
    return found


def _of_csv(table):
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OSError(
            f"Expected a CSV file in UTF-8. Received: {table} ({error})."
        ) from error
    return [
        {str(key): _files.value_of(value or "") for key, value in row.items() if key}
        for row in rows
    ]


def _of_parquet(table):
    pandas = _checks.imported("pandas", "Parquet files are read with pandas", "report")
    _checks.imported("pyarrow", "Parquet files are read with pyarrow", "report")
    try:
        frame = pandas.read_parquet(table)
    except (OSError, ValueError) as error:
        raise OSError(
            f"Expected a Parquet file. Received: {table} ({error})."
        ) from error
    return _of_frame(frame, table)


def _of_frame(frame, name):
    return [
        {str(key): _as_text(name, key, value) for key, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _as_text(table, column, value):
    """A value of a DataFrame as a text, empty if it is missing."""
    if isinstance(value, dict):  # An image of Hugging Face's `datasets`.
        return str(value.get("path") or "")
    if hasattr(value, "__len__") and not isinstance(value, str):
        if column in ("label", "class", "labels"):
            raise several_labels(table, list(value))
        return str(list(value))
    return "" if value is None or value != value else str(value)


def several_labels(table, received):
    """The error about a row of several labels."""
    return ValueError(
        f"Expected one label a photo. Received: {table}, with several in a row, such "
        f"as {received!r}. Data with several labels for a photo (multi-label) can't be "
        "used. Choose one of them, or leave the row out."
    )
