"""Decoded photos in a folder: `train.npy`, `validation.npy` and `index.json`.

Each of the two is a uint8 array `(N, S, S, 3)`, to be mapped into memory; the index
says what they were made of.
"""

import contextlib
import json

import numpy as np
from absl import logging

from josrc_keras import _files
from josrc_keras.data.photos import decoding

INDEX, TRAIN, VALIDATION = FILES = ("index.json", "train.npy", "validation.npy")
ROWS = 1024  # Images in memory at a time while they are copied.
NEWS = 10_000  # Images between two lines of the log.


def read(cache, key):
    """What `write` wrote for a key.

    Args:
        cache: A `pathlib.Path` of the folder.
        key: What the images depend on, as JSON has it: dict, lists, strings, numbers.

    Returns:
        The index and both arrays as read-only `np.memmap`s; None where there is no
        whole cache of that key.
    """
    try:
        index = json.loads((cache / INDEX).read_text(encoding="utf-8"))
        if index["key"] != key:
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


def key_of(cache):
    """The key of what is in a cache; None where nothing can be read."""
    try:
        return json.loads((cache / INDEX).read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(cache, key, paths, divide):
    """Decodes files into a cache, whole or not at all.

    Memory does not grow with their number; on the disk the images take their place
    twice until all are decoded.

    Args:
        cache: A `pathlib.Path` of the folder; replaced if it exists.
        key: As in `read`, with the images' height and width as `image_size`.
        paths: The files.
        divide: Takes the numbers of the files that could be decoded, in their order,
            and `[number, reason]` of the others; returns two lists, in their order:
            the numbers of the training and of the validation images.

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
        (beside / INDEX).write_text(json.dumps(index), encoding="utf-8")


def _decode(paths, size, decoded):
    """Writes the images to a file of nothing else.

    Returns:
        The numbers of the files that are in it, and `[number, reason]` of the others.
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
    """Writes some of the images as an array's file.

    Not through a memory map, which a full disk would kill the process in.
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
