"""Files that are whole or absent: written beside their place, then renamed."""

import contextlib
import csv
import errno
import glob
import io
import json
import os
import shutil
import tempfile
from pathlib import Path

UNSUPPORTED = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)
PREFIX = ".josrc-unfinished-"


def remove_unfinished(folder, name=None):
    """Removes from a folder what a killed process was writing there.

    Args:
        folder: Where it wrote.
        name: Name of the file or folder that it wrote; None removes all of them.
    """
    pattern = "*" if name is None else glob.escape(name)
    for unfinished in Path(folder).glob(f"{PREFIX}{pattern}-????????"):
        shutil.rmtree(unfinished, ignore_errors=True)


@contextlib.contextmanager
def replacing(path):
    """Yields a path beside `path` to write a file or folder to; then renames it.

    On an error nothing is left beside `path`, and what stood at `path` stays. What was
    written is on the disk before it gets its name.

    Args:
        path: Where the file or folder is to be. A folder there is replaced whole.

    Yields:
        A `pathlib.Path` in a new folder beside `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{path.name}-", dir=path.parent))
    try:
        yield beside / path.name
        _flush(beside / path.name)
        if path.is_dir() or (path.exists() and (beside / path.name).is_dir()):
            os.replace(path, beside / "replaced")
        try:
            os.replace(beside / path.name, path)
            _flush(path.parent, inside=False)
        except OSError:
            if (beside / "replaced").exists():
                os.replace(beside / "replaced", path)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _flush(path, *, inside=True):
    """Waits until a file, or a folder and all that is inside, is on the disk."""
    if inside and path.is_dir():
        for part in path.iterdir():
            _flush(part)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows can't open folders.
        return
    try:
        os.fsync(descriptor)
    except OSError as error:  # Some file systems can't flush folders.
        if error.errno not in UNSUPPORTED or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def write_text(path, text):
    """Writes a text file whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path, value):
    """Writes a JSON file whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_csv(path, rows):
    """Writes dicts as CSV, whole or not at all; a missing value is an empty cell."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())
