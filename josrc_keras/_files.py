"""Files that are whole or absent: written beside their place, then renamed."""

import contextlib
import csv
import ctypes
import errno
import glob
import importlib
import io
import json
import os
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


def remove_unfinished(folder, name=None):
    """Removes from a folder what a killed process was writing there.

    A folder that was about to be replaced, and is not at its place, is put back.

    Args:
        folder: Where it wrote.
        name: Name of the file or folder that it wrote; None removes all of them.
    """
    pattern = "*" if name is None else glob.escape(name)
    for unfinished in Path(folder).glob(f"{PREFIX}{pattern}-????????"):
        before = unfinished / "replaced"
        place = unfinished.with_name(unfinished.name[len(PREFIX) : -9])
        if before.exists() and not os.path.lexists(place):
            os.replace(before, place)
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
    finally:
        shutil.rmtree(beside, ignore_errors=True)


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


def write_csv(path, rows):
    """Writes dicts as CSV, whole or not at all; a missing value is an empty cell."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())
