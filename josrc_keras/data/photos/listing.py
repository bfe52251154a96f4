"""Which image files a folder of class folders holds, without opening them."""

import collections
import dataclasses
import os
import stat
from pathlib import Path

from absl import logging

from josrc_keras.data.checks import names

JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
TIFF, HEIF = (".tif", ".tiff"), (".heic", ".heif")
EXTENSIONS = (*JPEG, ".png", ".webp", ".bmp", ".gif", ".avif", *TIFF, *HEIF)
NO_PHOTOS = ("__MACOSX", "@eaDir")  # Folders that macOS and Synology add.


@dataclasses.dataclass
class Listing:
    """What `read` found in a folder.

    Attributes:
        files: `[path, size in bytes, mtime_ns]` of each image, by class, then by path.
            A path is `CLASS/...`, relative to the folder, with `/` on every system.
        broken: `[path, reason]` of images that can't be used as they are.
        stray: Paths of images that lie in no class folder.
        class_folders: Names of the class folders, also of those without images.
        ignored: Number of hidden files and folders and of files of other kinds.
        others: Number of files of other kinds in class folders, by extension in lower
            case.
        labels: `{path: label}` where a table says them, None where the class folders
            do.
    """

    files: list = dataclasses.field(default_factory=list)
    broken: list = dataclasses.field(default_factory=list)
    stray: list = dataclasses.field(default_factory=list)
    class_folders: list = dataclasses.field(default_factory=list)
    ignored: int = 0
    others: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    labels: dict[str, str] | None = None

    def class_of(self, path: str) -> str:
        """The name of a photo's class."""
        return class_of(path) if self.labels is None else self.labels[path]


def class_of(path):
    """The name of the class folder, from a path in a listing."""
    return path.partition("/")[0]


def read(folder):
    """Lists a folder's images, at any depth below its class folders.

    Images are recognised by their extension, in upper or lower case. The log counts
    files in class folders that have another extension. Hidden files and folders are
    ignored. Symbolic links are followed, but not into a folder that they lie in. Names
    are in the order of their code points, whatever the order of the file system.

    Args:
        folder: A `pathlib.Path` of the folder.

    Returns:
        A `Listing`.

    Raises:
        ValueError: If a person can't tell two class folders apart by their names.
    """
    listing = Listing()
    _walk(folder, "", frozenset(), listing)
    listing.files.sort(key=lambda file: (class_of(file[0]), file[0]))
    for part in (listing.broken, listing.stray, listing.class_folders):
        part.sort()
    names.check_distinct(listing.class_folders, str(folder))
    if listing.others:
        logging.warning(
            "%s: %d files in class folders are ignored by their extension: %s. Photos "
            "are %s.",
            folder,
            listing.others.total(),
            _counted(listing.others),
            ", ".join(EXTENSIONS),
        )
    return listing


def _counted(others):
    """The most frequent extensions with their numbers, as text."""
    ranked = sorted(others.items(), key=lambda each: (-each[1], each[0]))
    counts = [f"{count} {printable(name) or 'without'}" for name, count in ranked[:10]]
    return ", ".join(counts) + (" and others" if len(ranked) > 10 else "")


def _walk(folder, inside, above, listing):
    """Adds what a folder holds. `above` identifies the folders that it lies in."""
    try:
        status = os.stat(folder)
        with os.scandir(folder) as scanned:
            entries = list(scanned)
    except OSError as error:
        _add_broken(listing, inside.rstrip("/"), cannot_read(error))
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:  # A symbolic link to a folder that it lies in.
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in NO_PHOTOS:
            listing.ignored += 1
            continue
        _visit(entry, inside + entry.name, above | {identity}, listing)


def _visit(entry, path, above, listing):
    """Adds a file, or what a folder holds."""
    is_image = Path(entry.name).suffix.lower() in EXTENSIONS
    try:
        status = entry.stat()
    except OSError as error:  # The entry is a link to nowhere, or to itself.
        if is_image:
            _add_broken(listing, path, cannot_read(error))
        else:
            _ignore(listing, path)
        return
    if stat.S_ISDIR(status.st_mode):
        if "/" not in path:
            listing.class_folders.append(printable(path))
        _walk(entry.path, f"{path}/", above, listing)
    elif not is_image:
        _ignore(listing, path)
    elif "/" not in path:
        listing.stray.append(printable(path))
    elif fault := _fault(entry, path, status):
        _add_broken(listing, path, fault)
    else:
        listing.files.append([path, status.st_size, status.st_mtime_ns])


def _fault(entry, path, status):
    """Why a file can't be used, as far as is known without opening it; or None."""
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"  # Opening a pipe could take forever.
    if not status.st_size:
        return "is empty"
    if printable(path) != path:
        return "has a name that is not UTF-8"
    if not os.access(entry.path, os.R_OK):
        return "can't be read: Permission denied"
    return None


def _ignore(listing, path):
    """Counts a file whose extension is not an image's."""
    listing.ignored += 1
    if "/" in path:
        listing.others[Path(path).suffix.lower()] += 1


def _add_broken(listing, path, reason):
    listing.broken.append([printable(path), reason])


def cannot_read(error):
    """The reason that an `OSError` of the system gives."""
    return f"can't be read: {error.strerror}"


def printable(path):
    """The path, with escapes in place of bytes that are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
