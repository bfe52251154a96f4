"""What one pass over photos finds, on disk: records of one size, in files that grow.

A record holds a photo's key, features, hashes and measurements, and a checksum. A
process that is killed leaves at most a part of its last record, which the next one cuts
off. Several processes write a file each (shards), and all files of a folder are read
together.
"""

import hashlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from josrc_keras import _files
from josrc_keras.probe import quality

KEY = 16  # Bytes of a photo's key.
HASHES = 2  # As of `duplicates.hashes_of`.
MEASURED = len(quality.Measurement._fields)
PARTS = ("key", "features", "hashes", "measured")  # What the checksum is of.
LARGEST = float(np.finfo("float16").max)


def key_of(path, size, changed):
    """The key of a photo: of its path, its size in bytes and its time in ns."""
    text = f"{path}\0{size}\0{changed}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=KEY).digest()


class Store:
    """Features of photos by their keys.

    Args:
        folder: Folder of the files; it is made.
        identity: What the features depend on, beside the photos, as text for a name.
        views: V, the number of views of a photo.
        width: F, the number of features of a view.
        shard: The file that this process writes: `"3of8"`, or `""` where it is alone.
    """

    def __init__(self, folder, identity, views, width, shard=""):
        self.folder, self.identity = Path(folder), identity
        self.folder.mkdir(parents=True, exist_ok=True)
        self.record = np.dtype(
            [
                ("key", f"V{KEY}"),
                ("features", "<f2", (views, width)),
                ("hashes", "<u8", (HASHES,)),
                ("measured", "<f4", (MEASURED,)),
                ("checksum", "<u4"),
            ]
        )
        ending = f"-{shard}" if shard else ""
        # Files of records of another size are those of another version.
        self._start = f"features-{identity}-{self.record.itemsize}"
        self.path = self.folder / f"{self._start}{ending}.bin"
        self._places: dict[bytes, tuple[int, int]] = {}
        self._maps: list[Any] = []
        self.read()

    def read(self):
        """Reads which photos have features, in the files of all shards."""
        self._places, self._maps = {}, []
        for path in sorted(self.folder.glob(f"{self._start}*.bin")):
            count = path.stat().st_size // self.record.itemsize
            if not count:
                continue
            records = np.memmap(path, self.record, "r", shape=(count,))
            broken = 0
            for row, record in enumerate(records):
                if _checksum(record) != record["checksum"]:
                    broken += 1
                    continue
                self._places[bytes(record["key"])] = (len(self._maps), row)
            self._maps.append(records)
            if broken:
                logging.warning(
                    "%s: %d of %d records are damaged. Their photos are read again.",
                    path,
                    broken,
                    count,
                )

    def __contains__(self, key):
        """Whether a photo of this key has features."""
        return key in self._places

    def __len__(self):
        """Number of photos that have features."""
        return len(self._places)

    def take(self, keys, part):
        """A part of photos' records, `(N, ...)`, by their keys.

        Args:
            keys: A list of keys.
            part: `"features"`, `"hashes"` or `"measured"`.
        """
        taken = np.empty((len(keys), *self.record[part].shape), self.record[part].base)
        for number, key in enumerate(keys):
            file, row = self._places[key]
            taken[number] = self._maps[file][row][part]
        return taken

    def features(self, keys):
        """Features of photos by their keys, which stay on disk: a `Features`."""
        return Features(
            self._maps, np.array([self._places[key] for key in keys]).reshape(-1, 2)
        )

    def writer(self):
        """A context in which `add` may be called; one process a file.

        Raises:
            RuntimeError: If another process writes the same file.
        """
        return _Writer(self)


class Features:
    """Features `(N, V, F)` float16 that stay on disk: an index reads its rows alone.

    Args:
        maps: A list of mapped records, one of each file.
        places: `(N, 2)` integers: file and row of each photo.
    """

    ndim, dtype = 3, np.dtype("float16")

    def __init__(self, maps, places):
        self.maps, self.places = maps, places
        shape = maps[0].dtype["features"].shape if maps else (0, 0)
        self.shape = (len(places), *shape)

    def __len__(self):
        """N, the number of photos."""
        return len(self.places)

    def __getitem__(self, rows):
        """A NumPy array of the rows: a slice, integers, or `(N,)` booleans."""
        places = self.places[rows]
        if places.ndim == 1:
            return np.array(self.maps[places[0]][places[1]]["features"])
        taken = np.empty((len(places), *self.shape[1:]), self.dtype)
        for file in np.unique(places[:, 0]):
            here = places[:, 0] == file
            taken[here] = self.maps[file]["features"][places[here, 1]]
        return taken


class _Writer:
    """Appends records to a store's file."""

    def __init__(self, store):
        self.store = store

    def __enter__(self):
        # The lock is of a folder, so each shard has one.
        self._locked = self.store.path.with_suffix(".lock")
        self._locked.mkdir(exist_ok=True)
        self._lock = _files.locked(self._locked)
        self._lock.__enter__()
        self._file = open(self.store.path, "ab")  # It is closed by `__exit__`.
        whole = self._file.tell() // self.store.record.itemsize
        self._file.truncate(whole * self.store.record.itemsize)
        return self

    def add(self, key, features, hashes, measured):
        """Adds a photo.

        Args:
            key: Its key, `KEY` bytes.
            features: `(V, F)` float.
            hashes: `(HASHES,)` integers.
            measured: A `quality.Measurement`.

        Raises:
            ValueError: If a feature is NaN or too large for float16.
        """
        if not np.abs(features).max() <= LARGEST:
            raise ValueError(
                f"Expected features of at most {LARGEST:.0f}. Received: "
                f"{np.abs(features).max()}. Choose another backbone, or scale its "
                "output."
            )
        record = np.zeros((), self.store.record)
        values = (np.void(key), features, hashes, measured)
        for name, value in zip(PARTS, values, strict=True):
            record[name] = value
        record["checksum"] = _checksum(record)
        self._file.write(record.tobytes())

    def __exit__(self, *raised):
        try:
            self._file.close()
            self.store.read()
        finally:
            self._lock.__exit__(*raised)


def _checksum(record):
    checksum = 0
    for name in PARTS:
        checksum = zlib.crc32(record[name].tobytes(), checksum)
    return checksum
