"""Photos by class: those of class folders, or those that a table lists."""

import hashlib
import os
from pathlib import Path

from josrc_keras.data.checks import names
from josrc_keras.data.photos import listing, tables

SHOWN = 5
DECISIONS = {"decision", "given_name"}  # Columns of a file of decisions.
GONE = ("none", "delete")  # Decisions after which a photo has no label.


def read(folder: Path, table: str | os.PathLike | None = None) -> listing.Listing:
    """Lists a folder's photos by class: by class folders, or by a table.

    A photo that the table does not list is not used, nor is one without a label, such
    as those that `relabel.csv` of an audit sets aside. A file of decisions, as the
    report of an audit exports it, changes class folders: photos without a decision
    stay in the class of their folder.

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
    rows = tables.read(table)
    if set(rows[0]) >= DECISIONS:
        return _decided(folder, rows, table)
    for row in rows:
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


def _decided(folder, rows, table):
    """Photos of class folders, of which decisions change some."""
    found = listing.read(folder)
    labels = {path: listing.class_of(path) for path, *_ in found.files}
    strange = [row["path"] for row in rows if row["path"] not in labels]
    moved = [
        row["path"]
        for row in rows
        if row["path"] in labels and row["given_name"] != labels[row["path"]]
    ]
    if strange or moved:
        raise ValueError(
            f"Expected decisions about the photos in {folder}. Received: {table}, with "
            f"{len(strange) + len(moved)} photos that are not there or in another "
            f"class, such as {(strange + moved)[0]!r}. Take the photos back to their "
            "classes (josrc-audit --apply=undo), or leave the file out."
        )
    for row in rows:
        if row["decision"] in GONE:
            del labels[row["path"]]
        elif row["decision"] == "relabel":
            labels[row["path"]] = row["label"]
    found.files = [file for file in found.files if file[0] in labels]
    found.files.sort(key=lambda file: (labels[file[0]], file[0]))
    found.labels = labels
    found.class_folders = sorted(set(labels.values()))
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
