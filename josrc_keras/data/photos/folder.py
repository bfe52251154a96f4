"""A folder of photos, one sub-folder a class, as a dataset.

Photos are decoded once, into a cache that is mapped into memory, so that there may be
more of them than fit into it.
"""

import dataclasses
import functools
import os
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from absl import logging

from josrc_keras.data import noise
from josrc_keras.data.benchmark import Benchmark, Split
from josrc_keras.data.photos import cache as image_cache
from josrc_keras.data.photos import checks as checks
from josrc_keras.data.photos import decoding, labelled

FORMAT = 1  # Version of the cache. Raise it where the same files give other images.
SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}
VALIDATE, SUBSET = 10**6 + 1, 10**6 + 2  # Two streams of random numbers.


def read(
    folder: str | os.PathLike,
    *,
    image_size: int = 64,
    cache: str | os.PathLike,
    validation_dir: str | os.PathLike | None = None,
    validation_share: float = 0.1,
    broken: Literal["skip", "refuse"] = "skip",
    seed: int = 0,
    train_size: int | None = None,
    begun: bool = False,
    labels: str | os.PathLike | None = None,
) -> Benchmark:
    """Reads a folder of photos, `folder/CLASS/photo.jpg`, at any depth below a class.

    `listing.read` says which files are taken, and `decoding.decode` how they are
    decoded. Classes are in the order of their names' code points, and images in the
    order of classes, then paths. A class without images is left out. The cache is used
    again while the files' paths, sizes and times and the relevant arguments are the
    same. Otherwise everything is decoded anew, and the cache then needs twice its size
    on the disk.

    Args:
        folder: The folder.
        image_size: Height and width of the images, in pixels.
        cache: Folder to keep the decoded images in, outside of `folder`.
        validation_dir: Folder like `folder` of images to report on. It need not have
            all classes. None takes some of the images of `folder`.
        validation_share: Share of each class to report on, in (0, 1), where there is
            no `validation_dir`: at least one image, but none of a class that has only
            one, and never all.
        broken: What to do about images that can't be read or decoded: `"skip"` leaves
            them out, `"refuse"` raises an error.
        seed: Seed of the choice of images to report on, and of `train_size`.
        train_size: Number of training images to keep, chosen at random and read into
            memory. None keeps all.
        begun: Whether a model was trained on the files of the cache. Then files of
            other paths or sizes are refused before anything is decoded.
        labels: Path of a table of photos in `folder` and their labels, instead of class
            folders; see `labelled.read`. None takes the class folders.

    Returns:
        A `Benchmark` whose images are read-only `np.memmap`s and whose `ids` are paths
        relative to the folder. Its `true_labels` are None, since no label is known to
        be right, not even those of `test`, the images to report on. `skipped` has the
        path and the reason of each image that was left out. Paths in `validation_dir`
        begin with that folder.

    Raises:
        ValueError: If an argument is out of range, the folder is not one of class
            folders with photos, or an image is broken and `broken` is `"refuse"`.
        ImportError: If Pillow is not installed.
        OSError: If the cache can't be written.
    """
    checks.check_arguments(image_size, broken, validation_dir, validation_share)
    given = [folder] if validation_dir is None else [folder, validation_dir]
    folders = [Path(path).expanduser() for path in given]
    cache = Path(cache).expanduser()
    checks.check_folders(folders, cache)
    decoding.require()
    listings = [labelled.read(folders[0], labels), *map(labelled.read, folders[1:])]
    checks.check_broken(unreadable(folders, listings, []), broken)
    key = {
        "format": FORMAT,
        "image_size": image_size,
        "validation": [seed, validation_share] if validation_dir is None else None,
        "files": [listing.files for listing in listings],
        **({} if labels is None else {"labels": labelled.checksum(listings)}),
    }
    if begun:
        _check_paths(cache, key)
    index, *arrays = _decoded(cache, key, folders, listings)
    skipped = unreadable(folders, listings, index["broken"])
    checks.check_broken(skipped, broken)
    skipped += _stray(folders, listings)
    benchmark = _make_benchmark(index, arrays, listings, skipped)
    _report(folders[0], benchmark, listings, cache)
    return _subset(benchmark, train_size, seed)


def _check_paths(cache, key):
    before = image_cache.key_of(cache)
    if before is None:
        return
    was, now = (
        {
            (number, path, size)
            for number, files in enumerate(each["files"])
            for path, size, _ in files
        }
        for each in (before, key)
    )
    if was != now:
        raise ValueError(
            f"Expected the photos that {cache.parent} was trained on, {len(was)} files."
            f" Received: {len(was - now)} of them are gone or changed, and "
            f"{len(now - was)} are there instead. Put them back as they were "
            "(`josrc-audit --apply=undo`, if it moved them), or train on what there is "
            "now in another --workdir."
        )


def _decoded(cache, key, folders, listings):
    """The cache's index and arrays. Decodes the listed files if there is no cache."""
    cached = image_cache.read(cache, key)
    if cached is None:
        names = found_in(listings)
        division = functools.partial(divide, folders, listings, key["validation"])
        division(range(len(names)), [])  # Some errors show before hours of decoding.
        paths = [folders[number] / path for number, path in names]
        image_cache.write(cache, key, paths, division)
        cached = image_cache.read(cache, key)
    if cached is None:
        raise OSError(
            f"Expected the images that were just decoded. Received: {cache}, which "
            "can't be read back, or which another process has replaced. Run again, "
            "with a cache for each process that reads in another way."
        )
    return cached


def found_in(listings):
    """`(number of the folder, path)` of each listed file."""
    return [
        (number, path)
        for number, listing in enumerate(listings)
        for path, *_ in listing.files
    ]


def class_in(listings, number, path):
    """The name of the class of a file, as `found_in` has it."""
    return listings[number].class_of(path)


def divide(folders, listings, chance, kept, broken):
    """Divides files into training images and images to report on.

    Args:
        folders: The folder of photos, and `validation_dir` where there is one.
        listings: The `Listing` of each folder.
        chance: Seed and share of the images to report on; None where they have a
            folder.
        kept: Numbers, in `found_in`, of the files that can be decoded.
        broken: `[number, reason]` of the others.

    Returns:
        Two lists of numbers: of the training images, and of the images to report on.

    Raises:
        ValueError: If there are too few classes or images.
    """
    found = found_in(listings)
    classes: dict = {}
    validation = []
    for row in kept:
        number, path = found[row]
        if number:
            validation.append(row)
        else:
            classes.setdefault(listings[0].class_of(path), []).append(row)
    broken = unreadable(folders, listings, broken)
    checks.check_classes(folders[0], listings[0], list(classes), broken)
    if chance:
        validation = _choose(classes, *chance)
    validation_classes = sorted({class_in(listings, *found[row]) for row in validation})
    checks.check_validation(folders, list(classes), validation_classes)
    held = set(validation)
    rows = [row for of_class in classes.values() for row in of_class]
    return [row for row in rows if row not in held], validation


def _choose(classes, seed, share):
    """The rows to report on, of each class by a draw that depends on it alone."""
    chosen = []
    for name, rows in classes.items():
        count = min(max(1, round(share * len(rows))), len(rows) - 1)
        random = np.random.default_rng([seed, VALIDATE, zlib.crc32(name.encode())])
        order = random.permutation(len(rows))
        chosen += [rows[place] for place in sorted(order[:count])]
    return chosen


def unreadable(folders, listings, broken):
    """`(path, reason)` of images that are broken, by their listing or by decoding."""
    found = found_in(listings) if broken else []
    return [
        (_shown(folders, number, path), reason)
        for number, listing in enumerate(listings)
        for path, reason in listing.broken
    ] + [(_shown(folders, *found[row]), reason) for row, reason in broken]


def _stray(folders, listings):
    return [
        (_shown(folders, number, path), "lies in no class folder")
        for number, listing in enumerate(listings)
        for path in listing.stray
    ]


def _shown(folders, number, path):
    """The path as `skipped` shows it."""
    return f"{folders[1]}/{path}" if number else path


def _make_benchmark(index, arrays, listings, skipped):
    found = found_in(listings)
    files = [[found[row] for row in index[name]] for name in ("train", "validation")]
    names = sorted({class_in(listings, *file) for file in files[0]})
    number = {name: label for label, name in enumerate(names)}
    train, validation = (
        Split(
            images,
            np.array([number[class_in(listings, *file)] for file in part], np.int64),
            true_labels=None,
            ids=np.array([path for _, path in part]),
        )
        for images, part in zip(arrays, files, strict=True)
    )
    return Benchmark(
        train,
        validation,
        tuple(names),
        noise.checksum(train.labels),
        skipped=tuple(sorted(skipped)),
    )


def _report(folder, benchmark, listings, cache):
    """Logs what the folder holds, and warns of what looks like a mistake."""
    names = benchmark.class_names
    logging.info(
        "%s: %d training and %d validation images of %d classes; %d skipped, %d hidden "
        "or other files ignored; decoded in %s.",
        folder,
        len(benchmark.train),
        len(benchmark.test),
        len(names),
        len(benchmark.skipped),
        sum(listing.ignored for listing in listings),
        cache,
    )
    empty = sorted(set(listings[0].class_folders) - set(names))
    if empty:
        logging.warning(
            "Left out, without a usable image: the classes %s.", checks.few(empty)
        )
    if SPLITS.issuperset(name.lower() for name in names):
        logging.warning(
            "The classes are called %s. If those are splits, read one of them, and "
            "pass another one as `validation_dir`.",
            checks.few(list(names)),
        )


def _subset(benchmark, train_size, seed):
    """The benchmark with `train_size` training images, drawn from all classes."""
    count = len(benchmark.train)
    if train_size is None or not 0 < train_size < count:
        return benchmark.head(train_size)  # This refuses a size out of range.
    order = np.random.default_rng([seed, SUBSET]).permutation(count)
    rows = np.sort(order[:train_size])
    return dataclasses.replace(benchmark, train=benchmark.train.rows(rows))
