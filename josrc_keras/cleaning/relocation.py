"""Moves one photo to a new place, without loss."""

import errno
import filecmp
import os
import shutil
import unicodedata
from pathlib import Path

from josrc_keras import _files


def move(source, target, end=None):
    """Moves a file to a free place, across file systems by a copy that is compared.

    Args:
        source: A `pathlib.Path` of the file.
        target: The `pathlib.Path` to move it to.
        end: If given, a symbolic link to it is made at `target` and `source` removed.

    Raises:
        OSError: If `target` is taken, the file can't be moved, or a copy differs.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        raise OSError(f"{target} has been taken.")
    if end is not None:
        os.symlink(end, target)
        source.unlink()
        return
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with _files.replacing(target) as beside:
            shutil.copy2(source, beside)
            if not equal(source, beside):
                raise OSError(f"The copy of {source} differs from it.") from None
        source.unlink()


def equal(path, other):
    """Whether both paths are files with the same bytes."""
    return (
        path.is_file() and other.is_file() and filecmp.cmp(path, other, shallow=False)
    )


def remove_empty(folder, outermost=None):
    """Removes a folder and the folders that it lies in, as far as they are empty.

    Args:
        folder: A `pathlib.Path`.
        outermost: The last folder to remove; None sets no limit. Folders below it may
            be missing.
    """
    last = None if outermost is None else Path(outermost)
    while folder.is_dir() or (last is not None and last in folder.parents):
        if folder.is_dir():
            if any(folder.iterdir()):
                return
            folder.rmdir()
        if folder == last:
            return
        folder = folder.parent


def relink(path, end):
    """Lets a symbolic link lead to another end, in one step."""
    with _files.folder_beside(path) as beside:
        os.symlink(end, beside / path.name)
        os.replace(beside / path.name, path)


def free(path, taken=None):
    """The path if it is free, else a free one with a number before the suffix.

    Args:
        path: A `pathlib.Path`.
        taken: A dict of the paths that are given away, to which the result is added,
            with the number of the last one that was made of each, and what lies in
            its folder already. Some file systems distinguish neither case nor the ways
            to write an accent, so paths are folded in it.

    Returns:
        A `pathlib.Path` whose name is no longer than file systems allow.
    """
    taken = {} if taken is None else taken
    _take_names_of(path.parent, taken)
    wanted = _folded(path)
    number = taken[wanted] + 1 if wanted in taken else 0
    place = _numbered(path, number)
    while os.path.lexists(place) or _folded(place) in taken:
        number += 1
        place = _numbered(path, number)
    taken |= {_folded(place): 0, wanted: number}
    return place


def _take_names_of(folder, taken):
    """Adds what lies in a folder to the dict of `free`, once."""
    if folder in taken:
        return
    taken[folder] = 0
    for name in os.listdir(folder) if folder.is_dir() else ():
        taken.setdefault(_folded(folder / name), 0)


def _folded(path):
    return unicodedata.normalize("NFC", str(path).casefold())


def _numbered(path, number):
    """The path with a number; a name that becomes too long loses its end."""
    if not number:
        return path
    ending = f"-{number}{path.suffix}"
    room = _files.LONGEST - len(os.fsencode(ending))
    return path.with_name(
        os.fsencode(path.stem)[:room].decode("utf-8", "ignore") + ending
    )
