"""Moves one photo to a new place, without loss."""

import errno
import filecmp
import os
import shutil

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
        outermost: The last folder to remove; None sets no limit.
    """
    while folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        if outermost is not None and str(folder) == str(outermost):
            return
        folder = folder.parent


def free(path, taken=None):
    """The path if it is free, else a free one with a number before the suffix.

    The path is added to the set `taken`. It is folded to lower case there, since some
    file systems do not distinguish case.
    """
    taken = set() if taken is None else taken
    number, place = 1, path
    while os.path.lexists(place) or str(place).casefold() in taken:
        place = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    taken.add(str(place).casefold())
    return place
