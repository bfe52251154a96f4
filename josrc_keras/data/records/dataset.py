"""TFRecord files of a dataset: images that need not fit in memory.

A folder holds `index.json`, `labels.npz` and files `SPLIT-00000-of-00008.tfrecord`. A
record is an image, a PNG or a JPEG, and the number of its row. Labels are kept apart
and are read into memory, so that other labels need no other files.
"""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from absl import logging

from josrc_keras.data import noise
from josrc_keras.data.benchmark import Benchmark, Split
from josrc_keras.data.photos import decoding
from josrc_keras.data.records import damage, writing
from josrc_keras.data.records.examples import Examples
from josrc_keras.data.records.writing import CHANNELS, FIELDS, INDEX, LABELS

SPLITS = ("train", "test", "validation")


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedImages:
    """Images in TFRecord files, in place of an array. `data.batches` streams them.

    Attributes:
        paths: Paths of the files, in order.
        total: Number of records in the files.
        image_shape: `(H, W, channels)` of each image, uint8.
        rows: `(N,)` int64, increasing: numbers of the records that hold these images.
        encoding: `"png"` or `"jpeg"`.
    """

    paths: tuple[str, ...]
    total: int
    image_shape: tuple[int, int, int]
    rows: np.ndarray
    encoding: str = "png"

    dtype = np.dtype("uint8")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(N, H, W, channels)`, like that of an array."""
        return (len(self.rows), *self.image_shape)

    def __getitem__(self, rows: slice | np.ndarray) -> "StreamedImages":
        """Some of the images: a slice, or an increasing array of rows or booleans.

        Raises:
            ValueError: If rows repeat or go back: files are read in their own order.
        """
        kept = self.rows[rows]
        if np.ndim(kept) != 1 or np.any(np.diff(kept) <= 0):
            raise ValueError(
                "Streamed images can be read in their own order only. Received: rows "
                "that repeat or go back. Use a slice, or an increasing array of rows."
            )
        return dataclasses.replace(self, rows=kept)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Reads all images into memory.

        Raises:
            OSError: If a file holds other records than those that were written to it.
        """
        from josrc_keras.data.batches import streamed

        parts: list = []
        for image, sample in streamed.in_order(self):
            if int(sample) != len(parts):
                raise OSError(
                    "Expected records in the order in which they were written. "
                    f"Received: {Path(self.paths[0]).parent}, where image {len(parts)} "
                    f"is that of row {int(sample)}. Copy its files again."
                )
            parts.append(image.numpy())
        images = np.array(parts, dtype="uint8").reshape(self.shape)
        return images if dtype is None else images.astype(dtype)

    def samples(self) -> np.ndarray:
        """`(total,)` int64: each record's place among these images, -1 for none."""
        places = np.full(self.total, -1, np.int64)
        places[self.rows] = np.arange(len(self.rows))
        return places


def write(
    benchmark: Benchmark,
    folder: str | os.PathLike,
    *,
    images_per_file: int = 4096,
    encoding: Literal["png", "jpeg"] = "png",
    quality: int = 95,
) -> None:
    """Writes a benchmark to TFRecord files.

    Images are taken one at a time, and may be any sequence of `(H, W, channels)` uint8
    arrays of one shape. What a killed process left behind is removed, so no two
    processes may write the same folder.

    Args:
        benchmark: A `Benchmark`.
        folder: A new folder. It gets its name when everything is written.
        images_per_file: The most images in a file. An epoch reads several files at a
            time, in random order, so choose a number that makes some dozens of files.
        encoding: `"png"`, lossless, for 1, 3 or 4 channels; or `"jpeg"`, for 1 or 3.
        quality: Quality of a JPEG, 1 to 100.

    Raises:
        ValueError: If the folder exists, an image is not like the others, or an option
            is out of range.
        OSError: If the folder can't be written.
    """
    options = writing.check_options(images_per_file, encoding, quality)
    splits = {
        name: split
        for name in SPLITS
        if (split := getattr(benchmark, name)) is not None
    }
    with writing.new_folder(folder) as beside:
        written = {
            name: writing.write_split(_images(split), beside, name, **options)
            for name, split in splits.items()
        }
        fields = {
            name: {field: getattr(split, field) for field in FIELDS}
            for name, split in splits.items()
        }
        writing.write_index(
            beside,
            fields,
            class_names=list(benchmark.class_names),
            noise_checksum=benchmark.noise_checksum,
            encoding=encoding,
            splits=written,
            skipped=list(benchmark.skipped),
            origin=benchmark.origin,
        )


def _images(split):
    """The images, by row number: a sequence need not be iterable."""
    return (split.images[row] for row in range(len(split)))


def write_files(
    splits: Mapping[str, Iterable[Mapping[str, Any]]],
    folder: str | os.PathLike,
    *,
    class_names: Sequence[str],
    image_size: int = 256,
    images_per_file: int = 4096,
    encoding: Literal["png", "jpeg"] = "jpeg",
    quality: int = 95,
    skipped: Iterable[tuple[str, str]] = (),
    origin: dict | None = None,
) -> None:
    """Writes any number of encoded images to TFRecord files, all of one size.

    `decoding.decode` decodes them, whatever their names' extensions say, scales them
    and crops them at the centre. All cores work on it, with a few images in memory at
    a time. Broken images are left out, logged and listed. With TensorFlow Datasets:

        found = encoded.clothing1m()
        test = found.read(found.test).map(lambda x: x | {"true_label": x["label"]})
        splits = {"train": found.read(found.train), "test": test}
        records.write_files(splits, folder, class_names=found.class_names)

    Args:
        splits: A dict from `"train"`, `"test"` and, where there is one, `"validation"`
            to an iterable of dicts, or a `tf.data.Dataset` of them: `image`, the bytes
            or the path of a file, `label`, `id`, and where it is known `true_label`
            (-1 = out-of-distribution) and `verified`, as in `Split`. Other keys are
            ignored.
        folder: As in `write`.
        class_names: Names of the classes, in label order.
        image_size: Height and width to store, in pixels.
        images_per_file: As in `write`.
        encoding: `"jpeg"` or `"png"`.
        quality: Quality of a JPEG, 1 to 100.
        skipped: `(id, reason)` of each file that was left out before.
        origin: A dict of what the images are, which JSON can hold, or None.

    Raises:
        ValueError: If the folder exists, a split is missing or has no usable image, an
            example lacks a key or has a label out of range, or an option is out of
            range.
        ImportError: If Pillow is not installed.
        OSError: If the folder can't be written.
    """
    options = writing.check_options(images_per_file, encoding, quality)
    if not {"train", "test"} <= set(splits) <= set(SPLITS):
        raise ValueError(
            "Expected the splits 'train' and 'test', and maybe 'validation'. Received: "
            f"{sorted(splits)}. Name them so."
        )
    decoding.require()
    names = tuple(class_names)
    written, fields, left_out = {}, {}, list(skipped)
    with writing.new_folder(folder) as beside:
        for name, examples in splits.items():
            decoded = Examples(examples, name, len(names))
            images = decoded.images(image_size)
            written[name] = writing.write_split(images, beside, name, **options)
            fields[name] = decoded.fields()
            left_out += decoded.skipped
            count = written[name]["count"], len(decoded.skipped)
            logging.info("%s: wrote %d images, skipped %d.", name, *count)
        writing.write_index(
            beside,
            fields,
            class_names=list(names),
            noise_checksum=noise.checksum(fields["train"]["labels"]),
            encoding=encoding,
            splits=written,
            skipped=left_out,
            origin=origin,
        )


def read(folder: str | os.PathLike) -> Benchmark:
    """Reads the benchmark in a folder of records. Its images stay in the files.

    Args:
        folder: Folder of the records.

    Returns:
        A `Benchmark` whose splits' images are `StreamedImages`. `skipped` has the id
        and the reason of each image that was left out.

    Raises:
        OSError: If the folder holds no records, or not all of them.
    """
    folder = Path(folder)
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        encoding = dict(index).get("encoding", "png")  # Older folders lack this field.
        if encoding not in CHANNELS:
            raise OSError(f"its images are stored as {encoding!r}")
        with np.load(folder / LABELS) as arrays:
            splits = {
                name: _read_split(folder, name, found, arrays, encoding)
                for name, found in index["splits"].items()
            }
        return Benchmark(
            train=splits["train"],
            test=splits["test"],
            class_names=tuple(index["class_names"]),
            noise_checksum=index["noise_checksum"],
            validation=splits.get("validation"),
            skipped=tuple((name, reason) for name, reason in index.get("skipped", [])),
            origin=index.get("origin"),
        )
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(
            "Expected a folder of records that `josrc-records` wrote, with all of its "
            f"files. Received: {folder}; {reason}. Copy it again, or write it anew."
        ) from error


def _read_split(folder, name, found, arrays, encoding):
    for file, size in found["bytes"].items():
        if (folder / file).stat().st_size != size:
            raise OSError(f"{file} does not have the {size} bytes that were written")
    damage.remember(folder / file for file in found["bytes"])
    images = StreamedImages(
        paths=tuple(str(folder / file) for file in found["bytes"]),
        total=found["count"],
        image_shape=tuple(found["image_shape"]),
        rows=np.arange(found["count"]),
        encoding=encoding,
    )
    return Split(images, *(arrays.get(f"{name}_{field}") for field in FIELDS))
