"""Folders of tiny photos, each of one grey, and what is read of them."""

from pathlib import Path

import numpy as np

from josrc_keras.data.photos import decoding
from josrc_keras.data.photos import folder as image_folder

SIZE = 8


def save(path, value=0):
    """A small image of one grey, losslessly."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (9, 8), value).save(path)


def fill(folder, **counts):
    """So many images of each class, each of its own grey: `(folder, {id: grey})`."""
    greys = {}
    for name, count in counts.items():
        for number in range(count):
            path = f"{name}/{number:03d}.png"
            greys[path] = len(greys) % 256
            save(folder / path, greys[path])
    return greys


def make(folder):
    """A folder `photos` with 10 cats, 20 dogs and one eel."""
    fill(folder / "photos", cat=10, dog=20, eel=1)
    return folder / "photos"


def opened(monkeypatch):
    """The names of the files that are decoded, a list that grows."""
    names = []
    decode = decoding.decode

    def count(path, size):
        names.append(Path(path).name)
        return decode(path, size)

    monkeypatch.setattr(decoding, "decode", count)
    return names


def read(folder, **arguments):
    arguments.setdefault("cache", folder.parent / "run" / "cache")
    arguments.setdefault("image_size", SIZE)
    return image_folder.read(folder, **arguments)


def content(benchmark):
    """All that a benchmark says, to compare."""
    splits = [
        (np.asarray(s.images).tolist(), s.labels.tolist(), s.ids.tolist())
        for s in (benchmark.train, benchmark.test)
    ]
    return splits, benchmark.class_names, benchmark.skipped, benchmark.noise_checksum
