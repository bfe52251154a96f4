"""One photo to another place, without loss."""

import errno
import filecmp
import os
import shutil

from josrc_keras import _files


def move(source, target, end=None):
    """Moves a file to a free place; across file systems by a copy that is compared.

    A symbolic link is replaced by one to `end`, if that is given.
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
    """Whether both are files of the same bytes."""
    return (
        path.is_file() and other.is_file() and filecmp.cmp(path, other, shallow=False)
    )


def remove_empty(folder):
    """Removes a folder and those that it lies in, as far as they are empty."""
    while folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def free(path, taken=None):
    """The path, or where it is taken one with a number before its suffix.

    `taken`, a set, gets it: in lower case, since some file systems know no other.
    """
    taken = set() if taken is None else taken
    number, place = 1, path
    while os.path.lexists(place) or str(place).casefold() in taken:
        place = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    taken.add(str(place).casefold())
    return place
