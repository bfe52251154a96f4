"""Which photos to predict: those of a folder, of a table, or files one by one."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from josrc_keras.data.photos import listing, tables


def read(
    given: Sequence[str | os.PathLike], table: str | os.PathLike | None = None
) -> list[tuple[str, Path]]:
    """Lists photos by name, without opening them.

    Hidden files and folders are left out, and so are files whose extension is not an
    image's, unless they are given by name.

    Args:
        given: Folders, whose photos at any depth are taken, and files. With `table`, at
            most one folder, which its paths are relative to.
        table: Path of a CSV or Parquet file with the column `path`, or None.

    Returns:
        A list of `(name, path)`. A name is a path relative to its folder, or to the
        table, and of a file what was given.

    Raises:
        OSError: If something that was given is not there or can't be read.
        ValueError: If there is no photo.
    """
    if table is not None:
        folder = Path(given[0] if given else Path(table).parent).expanduser()
        names = [row["path"] for row in tables.read(table, ("path",))]
        found = [(name, folder / name) for name in names]
        absent = [name for name, path in found if not path.is_file()]
        if absent:
            raise ValueError(
                f"Expected paths of files in {table}, relative to {folder}. Received: "
                f"{len(absent)} that are not there, such as {absent[0]!r}. Mend them, "
                "or give the folder with --photos."
            )
        return found
    found = []
    for each in given:
        path = Path(each).expanduser()
        if path.is_dir():
            found += _inside(path)
        elif path.is_file():
            found.append((str(each), path))
        else:
            raise OSError(
                f"Expected a folder of photos, or a photo. Received: {each}, which is "
                "not there."
            )
    if not found:
        raise ValueError(
            "Expected photos, files that end in one of "
            f"{', '.join(listing.EXTENSIONS)}. Received: none in "
            f"{', '.join(map(str, given))}."
        )
    return found


def _inside(folder):
    found = []
    for place, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(
            each
            for each in folders
            if not each.startswith(".") and each not in listing.NO_PHOTOS
        )
        for name in sorted(files):
            path = Path(place, name)
            suffix = path.suffix.lower()
            if name.startswith(".") or suffix not in listing.EXTENSIONS:
                continue
            if path.exists() and stat.S_ISREG(path.stat().st_mode):
                found.append((path.relative_to(folder).as_posix(), path))
    return found
