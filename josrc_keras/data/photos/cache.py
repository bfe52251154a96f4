"""Decoded photos in a folder: `train.npy`, `validation.npy` and `index.json`.

Both arrays are uint8 `(N, S, S, 3)` and are mapped into memory. The index says what
they were made of.
"""

import contextlib
import hashlib
import json

import numpy as np
from absl import logging

from josrc_keras import _files
from josrc_keras.data.photos import decoding

INDEX, TRAIN, VALIDATION = FILES = ("index.json", "train.npy", "validation.npy")
ROWS = 1024  # Images in memory at a time while they are copied.
NEWS = 10_000  # Images between two lines of the log.


def read(cache, key):
    """Reads what `write` wrote for a key.

    Args:
        cache: A `pathlib.Path` of the folder.
        key: A dict, of JSON's types, of what the images depend on.

    Returns:
        The index and both arrays as read-only `np.memmap`s; None where there is no
        complete cache with that key.
    """
    try:
        index = json.loads((cache / INDEX).read_text(encoding="utf-8"))
        if index["key"] != key:
            return None
        if not _is_as_written(cache, index.get("sha256", {})):
            return None
        size = key["image_size"]
        arrays = []
        for name, rows in ((TRAIN, index["train"]), (VALIDATION, index["validation"])):
            images = np.load(cache / name, mmap_mode="r")
            if images.shape != (len(rows), size, size, 3) or images.dtype != np.uint8:
                return None
            arrays.append(images)
        return index, *arrays
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def _is_as_written(cache, checksums):
    """Whether the arrays have the checksums in the index; older ones have none."""
    altered = [name for name, sum in checksums.items() if _sha256(cache / name) != sum]
    if altered:
        logging.warning(
            "%s in %s was altered since it was written: the photos are decoded again.",
            " and ".join(altered),
            cache,
        )
    return not altered


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(cache):
    """The key of a cache; None where it can't be read."""
    try:
        return json.loads((cache / INDEX).read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(cache, key, paths, divide):
    """Decodes files into a cache, which is written completely or not at all.

    Memory does not grow with the number of files. On the disk the images take twice
    their size until all are copied.

    Args:
        cache: A `pathlib.Path` of the folder; replaced if it exists.
        key: As in `read`, with the images' height and width as `image_size`.
        paths: The files.
        divide: A function of the numbers of the decoded files, in their order, and of
            `[number, reason]` of the others. It returns two lists of numbers: of the
            training images, and of the images to report on.

    Raises:
        OSError: If the cache can't be written.
    """
    size = key["image_size"]
    logging.info("Decoding %d images into %s.", len(paths), cache)
    with _files.replacing(cache) as beside:
        beside.mkdir()
        decoded = beside / "decoded"
        kept, broken = _decode(paths, size, decoded)
        train, validation = divide(kept, broken)
        images = np.memmap(decoded, np.uint8, "r", shape=(len(kept), size, size, 3))
        for name, rows in ((TRAIN, train), (VALIDATION, validation)):
            _gather(images, np.searchsorted(kept, rows), beside / name)
        del images
        decoded.unlink()
        index = {"key": key, "train": train, "validation": validation, "broken": broken}
        index["sha256"] = {name: _sha256(beside / name) for name in (TRAIN, VALIDATION)}
        (beside / INDEX).write_text(json.dumps(index), encoding="utf-8")


def _decode(paths, size, decoded):
    """Writes the pixels of the images to a file, one image after the other.

    Returns:
        The numbers of the files that were decoded, and `[number, reason]` of the
        others.
    """
    kept, broken = [], []
    with (
        decoded.open("wb") as file,
        contextlib.closing(decoding.decode_all(paths, size)) as images,
    ):
        for number, image in enumerate(images):
            if isinstance(image, str):
                broken.append([number, image])
            else:
                file.write(image.tobytes())
                kept.append(number)
            if (number + 1) % NEWS == 0:
                logging.info("Decoded %d of %d images.", number + 1, len(paths))
    return kept, broken


def _gather(images, rows, path):
    """Writes some of the images to a `.npy` file.

    It does not write through a memory map, where a full disk would kill the process.
    """
    header = {
        "descr": np.lib.format.dtype_to_descr(images.dtype),
        "fortran_order": False,
        "shape": (len(rows), *images.shape[1:]),
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(rows), ROWS):
            file.write(images[rows[start : start + ROWS]].tobytes())
