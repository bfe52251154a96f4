"""Looks at photos once: features of their views, hashes and measurements, on disk."""

import contextlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from josrc_keras import _files
from josrc_keras.data.photos import decoding
from josrc_keras.probe import backbone as backbones
from josrc_keras.probe import quality, views
from josrc_keras.probe.store import Store, key_of
from josrc_keras.training import progress


class Photo(NamedTuple):
    """A photo to look at.

    Attributes:
        id: Its name in the table.
        path: Where it is.
        size: Bytes.
        changed: Its time in ns.
        label: The name of its class.
        split: The name of its part of the data, such as `"test"`, or `""`.
    """

    id: str
    path: Path
    size: int
    changed: int
    label: str
    split: str = ""


class Pass(NamedTuple):
    """What a pass over photos found.

    Attributes:
        photos: The photos that could be decoded.
        skipped: `(id, reason)` of the others.
        features: `(N, V, F)` float16: a `store.Features`, which are read by rows.
        hashes: `(N, 2)` uint64, see `duplicates.hashes_of`.
        measured: A list of `quality.Measurement`.
    """

    photos: list
    skipped: list
    features: Any
    hashes: Any
    measured: list


def of_photos(photos, backbone, folder, shard=None):
    """Looks at photos, and at those that were looked at before only in the folder.

    Args:
        photos: A list of `Photo`s.
        backbone: Name of the backbone, see `backbone.load`.
        folder: Folder of what is kept; it is made.
        shard: `"3/8"` to look at the third of eight parts of the photos, so that
            several processes share the work; None for all.

    Returns:
        A `Pass`; with a shard, None.

    Raises:
        ImportError: If Pillow or ImageHash is not installed.
        OSError, ValueError: If the backbone can't be loaded, see `backbone.load`.
        RuntimeError: If another process looks at the same photos.
    """
    decoding.require()
    number, count = _shard_of(shard)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{backbones.identity(backbone)[:16]}-v{views.VERSION}"
    keys = [key_of(photo.id, photo.size, photo.changed) for photo in photos]
    width = _width(folder, name)
    store = None
    if width is not None:
        store = Store(folder, name, views.COUNT, width, _ending(shard))
    mine = range(len(photos))[number::count]
    new = [row for row in mine if store is None or keys[row] not in store]
    broken: dict = {}
    if new:
        extract, size = backbones.extractor(backbone, folder)
        if store is None:
            width = extract(np.zeros((1, size, size, 3), "uint8")).shape[1]
            _files.write_text(folder / f"width-{name}", str(width))
            store = Store(folder, name, views.COUNT, width, _ending(shard))
        broken = _look_at([photos[row] for row in new], store, keys, new, extract, size)
    if shard is not None:
        return None
    return _gathered(photos, keys, store, broken)


def _gathered(photos, keys, store, broken):
    rows = [row for row in range(len(photos)) if row not in broken]
    found = [keys[row] for row in rows]
    return Pass(
        [photos[row] for row in rows],
        [(photos[row].id, reason) for row, reason in broken.items()],
        store.features(found),
        store.take(found, "hashes"),
        [
            quality.Measurement(int(each[0]), int(each[1]), *map(float, each[2:]))
            for each in store.take(found, "measured")
        ],
    )


def _look_at(photos, store, keys, rows, extract, size):
    """Adds photos to the store; returns `{row: reason}` of those that are broken."""

    def made(path, size):
        seen = views.of_photo(path, size)
        return extract(seen.pixels), seen.hashes, seen.measured

    broken = {}
    paths = [photo.path for photo in photos]
    results = decoding.decode_all(paths, size, made)
    with contextlib.closing(results), store.writer() as writer:
        told = progress.follow(results, len(rows), "photos")
        for row, result in zip(rows, told, strict=True):
            if isinstance(result, str):
                broken[row] = result
            else:
                writer.add(keys[row], *result)
    return broken


def _width(folder, name):
    """Width of the features that are kept in the folder; None if there are none."""
    path = folder / f"width-{name}"
    return int(path.read_text()) if path.exists() else None


def _shard_of(shard):
    """`(number from 0, count)` of a shard such as `"3/8"`; `(0, 1)` for None."""
    if shard is None:
        return 0, 1
    parts = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", str(shard))
    if parts is None or int(parts[1]) > int(parts[2]):
        raise ValueError(
            "Expected a shard as NUMBER/COUNT, such as 3/8, from 1/8 to 8/8. Received: "
            f"{shard!r}."
        )
    return int(parts[1]) - 1, int(parts[2])


def _ending(shard):
    return "" if shard is None else str(shard).replace("/", "of")
