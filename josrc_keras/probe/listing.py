"""The photos to audit: of a folder with a folder for each class, or of a table."""

import stat
from pathlib import Path

from josrc_keras.data.checks import names as name_checks
from josrc_keras.data.photos import listing, tables
from josrc_keras.probe.features import Photo

SHOWN = 5


def read(photos, features, table=None):
    """Lists photos, without opening them.

    Args:
        photos: The folder; with `table`, the folder that its paths are relative to.
        features: Folder for the features, outside of `photos`.
        table: CSV or Parquet file, or a `pandas.DataFrame`, with the columns `path`,
            `label` and perhaps `split`, or None; see `tables.read`.

    Returns:
        `(photos, skipped)`: a list of `Photo`s by their ids, and `(id, reason)` of
        images that can't be used.

    Raises:
        OSError: If the folder or the table can't be read.
        ValueError: If they are not as described, or there is no photo.
    """
    folder = Path(photos).expanduser()
    if not folder.is_dir():
        raise OSError(
            f"Expected a folder of photos. Received: {folder}, which is "
            f"{'a file' if folder.exists() else 'not there'}."
        )
    inside = Path(features).expanduser().resolve()
    if table is None and inside.is_relative_to(folder.resolve()):
        raise ValueError(
            "Expected a folder for the features outside of the photos, where it would "
            f"be taken for a class. Received: {features} within {photos}. Choose "
            "another --output."
        )
    found, skipped = _of_folder(folder) if table is None else _of_table(folder, table)
    if not found:
        raise ValueError(
            f"Expected photos as {folder}/CLASS/NAME.jpg. Received: none, and "
            f"{len(skipped)} files that can't be used{_first(skipped)}. With another "
            "layout, list them in a table: --table=labels.csv."
        )
    return sorted(found, key=lambda photo: photo.id), skipped


def _first(skipped):
    return "" if not skipped else f", such as {skipped[0][0]}, which {skipped[0][1]}"


def _of_folder(folder):
    listed = listing.read(folder)
    found = [
        Photo(path, folder / path, size, changed, listing.class_of(path))
        for path, size, changed in listed.files
    ]
    stray = [(path, "lies in no class folder") for path in listed.stray]
    return found, [*map(tuple, listed.broken), *stray]


def _of_table(folder, table):
    rows = tables.read(table)
    found: dict = {}
    wrong: list = []
    for number, row in enumerate(rows, start=2):
        path, label = row["path"], row["label"]
        reason = _fault(folder, path, label, found)
        if reason:
            wrong.append(f"row {number}: {path!r} {reason}")
            continue
        status = (folder / path).stat()
        split = row.get("split", "")
        found[path] = Photo(
            path, folder / path, status.st_size, status.st_mtime_ns, label, split
        )
    if wrong:
        raise ValueError(
            "Expected a photo and a label in each row of "
            f"{tables.name_of(table)}, with paths relative to {folder}. Received "
            f"{len(wrong)} others: {'; '.join(wrong[:SHOWN])}"
            f"{'; ...' if len(wrong) > SHOWN else ''}. Mend or remove these rows."
        )
    name_checks.check_distinct(
        sorted({photo.label for photo in found.values()}), tables.name_of(table)
    )
    return list(found.values()), []


def _fault(folder, path, label, found):
    """What is wrong about a row of a table; None if nothing is."""
    if not path:
        return "is no path"
    if not label.strip():
        return "has no label"
    if path in found:
        return "occurs twice"
    try:
        status = (folder / path).stat()
    except (OSError, ValueError):
        return "is not there"
    if not stat.S_ISREG(status.st_mode):
        return "is no file"
    if Path(path).suffix.lower() not in listing.EXTENSIONS:
        return f"is no photo by its extension ({', '.join(listing.EXTENSIONS)})"
    return None if status.st_size else "is empty"
