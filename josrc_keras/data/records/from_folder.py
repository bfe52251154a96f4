"""Writes a folder of photos, one sub-folder a class, as TFRecord files."""

import functools
from pathlib import Path

import numpy as np

from josrc_keras.data import records
from josrc_keras.data.photos import checks as checks
from josrc_keras.data.photos import decoding, labelled
from josrc_keras.data.photos import folder as image_folder
from josrc_keras.data.records import writing

ORDER = 10**6 + 4  # A stream of random numbers of its own.


def write(
    folder,
    output,
    *,
    image_size=256,
    validation_dir=None,
    validation_share=0.1,
    broken="skip",
    seed=0,
    labels=None,
):
    """Writes the photos that `image_folder.read` would read, as JPEG records.

    The same photos are set aside to report on, unless some of them are broken. Training
    images are stored in random order, since an epoch's order follows the files.

    Args:
        folder: The folder of photos.
        output: A new folder, outside of `folder`.
        image_size: Height and width of the images, in pixels.
        validation_dir: As in `image_folder.read`.
        validation_share: As in `image_folder.read`.
        broken: As in `image_folder.read`, but here `"refuse"` notices only files that
            can't be read, not those that can't be decoded.
        seed: Seed of the choice of held-out images and of the order.
        labels: As in `image_folder.read`.

    Raises:
        ValueError: If an argument is out of range, `output` exists, or a folder is not
            one of class folders with photos.
        ImportError: If Pillow is not installed.
        OSError: If the records can't be written.
    """
    writing.check_new(output)
    checks.check_arguments(image_size, broken, validation_dir, validation_share)
    given = [folder] if validation_dir is None else [folder, validation_dir]
    folders = [Path(path).expanduser() for path in given]
    checks.check_folders(folders, Path(output).expanduser())
    decoding.require()
    listings = [labelled.read(folders[0], labels), *map(labelled.read, folders[1:])]
    skipped = image_folder.unreadable(folders, listings, [])
    checks.check_broken(skipped, broken)
    chance = [seed, validation_share] if validation_dir is None else None
    files = image_folder.found_in(listings)
    train, held = image_folder.divide(folders, listings, chance, range(len(files)), [])
    names = sorted({image_folder.class_in(listings, *files[row]) for row in train})
    make = functools.partial(_example, folders, listings, names)
    order = np.random.default_rng([seed, ORDER]).permutation(len(train))
    splits = {"train": [train[place] for place in order], "test": held}
    records.write_files(
        {name: (make(*files[row]) for row in rows) for name, rows in splits.items()},
        output,
        class_names=names,
        image_size=image_size,
        skipped=skipped,
    )


def _example(folders, listings, names, number, path):
    label = names.index(listings[number].class_of(path))
    return {"image": folders[number] / path, "label": label, "id": path}
