"""Photos by class: those of class folders, or those that a table lists."""

import hashlib
import os
from pathlib import Path

from josrc_keras.data.checks import names
from josrc_keras.data.photos import listing, tables

SHOWN = 5


def read(folder: Path, table: str | os.PathLike | None = None) -> listing.Listing:
    """Lists a folder's photos by class: by class folders, or by a table.

    A photo that the table does not list is not used, nor is one without a label, such
    as those that `relabel.csv` of an audit sets aside.

    Args:
        folder: The folder; with `table`, the folder that its paths are relative to.
        table: Path of a CSV or Parquet file, see `tables.read`; or None.

    Returns:
        A `Listing`, whose `labels` are None without a table.

    Raises:
        OSError: If the table can't be read.
        ValueError: If it lacks a column, or lists files that are not there, are no
            photos or occur twice, or if labels can't be told apart by their names.
    """
    if table is None:
        return listing.read(folder)
    labels: dict = {}
    wrong: list = []
    found = listing.Listing(labels=labels)
    for row in tables.read(table):
        path, label = row["path"], row["label"].strip()
        if not label:
            found.ignored += 1
            continue
        status, fault = _status(folder, path, labels)
        if fault:
            wrong.append(f"{path!r} {fault}")
            continue
        labels[path] = label
        if status.st_size:
            found.files.append([path, status.st_size, status.st_mtime_ns])
        else:
            found.broken.append([path, "is empty"])
    if wrong:
        raise ValueError(
            f"Expected photos in {table}, with paths relative to {folder}. Received "
            f"{len(wrong)} others: {'; '.join(wrong[:SHOWN])}"
            f"{'; ...' if len(wrong) > SHOWN else ''}. Mend or remove these rows."
        )
    found.files.sort(key=lambda file: (found.class_of(file[0]), file[0]))
    found.class_folders = sorted(set(labels.values()))
    names.check_distinct(found.class_folders, str(table))
    return found


def _status(folder, path, known):
    """`(status of the file, None)`, or `(None, what is wrong about the row)`."""
    if path in known:
        return None, "occurs twice"
    if Path(path).suffix.lower() not in listing.EXTENSIONS:
        return None, "is no photo by its extension"
    try:
        place = folder / path
        if not place.is_file():
            return None, "is not there"
        return place.stat(), None
    except (OSError, ValueError):
        return None, "is not there"


def checksum(listings: list) -> str | None:
    """SHA-256 of the labels of a table, None where there is no table."""
    labels = listings[0].labels
    if labels is None:
        return None
    text = repr(sorted(labels.items()))
    return hashlib.sha256(text.encode()).hexdigest()
