"""Files that are whole or absent: written beside their place, then renamed."""

import contextlib
import csv
import ctypes
import errno
import hashlib
import importlib
import io
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

fcntl: Any = None  # Windows has none.
with contextlib.suppress(ImportError):
    fcntl = importlib.import_module("fcntl")

UNSUPPORTED = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)
PREFIX = ".josrc-unfinished-"
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # Linux: see renameat2(2).
LONGEST = 255  # Bytes of a name, on almost every file system.
# A cell that begins like this is run by a spreadsheet, or is a protected one.
FORMULA = re.compile("'*([\t\r\n]|[ \u00a0]*[=+@\uff1d\uff0b\uff0d\uff20-])")


def remove_unfinished(folder, name=None):
    """Removes from a folder what a killed process was writing there.

    A folder that was about to be replaced, and is not at its place, is put back.

    Args:
        folder: Where it wrote.
        name: Name of the file or folder that it wrote, or a set of names; None removes
            all of them.
    """
    names = {name} if isinstance(name, str) else name
    shown = None if names is None else {_shortened(each) for each in names}
    for unfinished in Path(folder).glob(f"{PREFIX}*-????????"):
        if shown is not None and unfinished.name[len(PREFIX) : -9] not in shown:
            continue
        before = unfinished / "replaced"
        for new in list(unfinished.iterdir()) if before.exists() else ():
            place = unfinished.with_name(new.name)
            if new != before and not os.path.lexists(place):
                os.replace(before, place)
        shutil.rmtree(unfinished, ignore_errors=True)


def _shortened(name):
    """A name that leaves room for what `folder_beside` adds to it."""
    encoded = os.fsencode(name)
    room = LONGEST - len(f"{PREFIX}-????????")
    if len(encoded) <= room:
        return name
    ending = "-" + hashlib.sha256(encoded).hexdigest()[:16]
    return encoded[: room - len(ending)].decode("utf-8", "ignore") + ending


@contextlib.contextmanager
def folder_beside(path):
    """Yields a new folder beside a path, which is removed at the end."""
    prefix = f"{PREFIX}{_shortened(path.name)}-"
    beside = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


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
    with folder_beside(path) as beside:
        yield beside / path.name
        _flush(beside / path.name)
        folders = path.is_dir() or (path.exists() and (beside / path.name).is_dir())
        if folders and _exchange(beside / path.name, path):
            _flush(path.parent, inside=False)
            return
        if folders:  # A kill between the two renames is mended by the next start.
            os.replace(path, beside / "replaced")
        try:
            os.replace(beside / path.name, path)
            _flush(path.parent, inside=False)
        except OSError:
            if (beside / "replaced").exists():
                os.replace(beside / "replaced", path)
            raise


@contextlib.contextmanager
def locked(folder):
    """Keeps other processes out of a folder that this one changes.

    The system releases the lock when the process ends, however it ends, and no file is
    left. Where the file system knows no locks the folder stays open to all.

    Args:
        folder: A folder that exists.

    Raises:
        RuntimeError: If another process holds the lock.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(
                f"Expected a folder in which no other process works. Received: {folder}"
                ", in which one does. Wait until it has ended, or choose another "
                "folder."
            ) from error
        except OSError as error:
            if error.errno not in (*UNSUPPORTED, errno.ENOLCK, errno.ENOSYS):
                raise
        yield
    finally:
        os.close(descriptor)


def _exchange(path, other):
    """Swaps two paths in one step; returns whether the system could.

    Linux can on most of its file systems. A rename replaces no folder that is not
    empty, so elsewhere it takes two.
    """
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    names = [os.fsencode(each) for each in (path, other)]
    return not renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE)


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


def cell_of(value):
    """A value for a CSV file, in which a spreadsheet runs no text as a formula.

    A text that begins like a formula gets an apostrophe, and so does one that begins
    like a text with that apostrophe. `value_of` takes it away.
    """
    is_formula = isinstance(value, str) and FORMULA.match(value)
    return f"'{value}" if is_formula else value


def value_of(cell):
    """The value that `cell_of` made a cell of."""
    is_text = isinstance(cell, str) and cell.startswith("'")
    return cell[1:] if is_text and FORMULA.match(cell) else cell


def write_csv(path, rows):
    """Writes dicts as CSV, whole or not at all; a missing value is an empty cell."""
    rows = [{cell_of(k): cell_of(v) for k, v in row.items()} for row in rows]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())
