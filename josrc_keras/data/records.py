"""TFRecord files of a dataset: images that need not fit in memory.

A folder holds `index.json`, `labels.npz` and `SPLIT-00000-of-00008.tfrecord` and so on.
A record is an image and the number of its row; labels are held apart, in memory, so
that other ones need no other files.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np

from josrc_keras import files
from josrc_keras.data.benchmark import Benchmark, Split

INDEX, LABELS = "index.json", "labels.npz"
FIELDS = ("labels", "true_labels", "ids")


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedImages:
    """Images in TFRecord files, in place of an array; `batches` streams them.

    Attributes:
        paths: The files, in order.
        total: Number of records in them.
        image_shape: `(H, W, channels)` of each image, uint8.
        rows: `(N,)` int64, increasing: the records that these images are.
    """

    paths: tuple
    total: int
    image_shape: tuple
    rows: np.ndarray

    dtype = np.dtype("uint8")

    def __len__(self):
        """Number of images."""
        return len(self.rows)

    @property
    def shape(self):
        """`(N, H, W, channels)`, as of an array."""
        return (len(self.rows), *self.image_shape)

    def __getitem__(self, rows):
        """Fewer of the images, by a slice or an increasing array of rows or booleans.

        Raises:
            ValueError: For another order, which files can't be read in.
        """
        kept = self.rows[rows]
        if np.ndim(kept) != 1 or np.any(np.diff(kept) <= 0):
            raise ValueError(
                "Streamed images can be read in their own order only. Received: rows "
                "that repeat or go back. Use a slice, or an increasing array of rows."
            )
        return dataclasses.replace(self, rows=kept)

    def __array__(self, dtype=None, copy=None):
        """All images in memory."""
        from josrc_keras.data import streaming

        parts = [image.numpy() for image, _ in streaming.in_order(self)]
        images = np.array(parts, dtype="uint8").reshape(self.shape)
        return images if dtype is None else images.astype(dtype)

    def samples(self):
        """`(total,)` int64: the image that each record is here, -1 for none."""
        found = np.full(self.total, -1, np.int64)
        found[self.rows] = np.arange(len(self.rows))
        return found


def write(benchmark, folder, *, images_per_file=4096):
    """Writes a benchmark's training and test split to TFRecord files.

    Images are stored as PNG, so without loss, and taken one at a time: they may be any
    sequence of `(H, W, channels)` uint8 arrays of one shape, with 1, 3 or 4 channels.

    Args:
        benchmark: A `Benchmark`.
        folder: Where to; must not exist.
        images_per_file: At most so many. An epoch reads files in random order, and
            several at a time, so have at least some dozens of them.

    Raises:
        ValueError: If the folder exists, or an image is not like the others.
        OSError: If it can't be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise ValueError(
            f"Expected a new folder for the records. Received: {folder}, which exists. "
            "Choose another one, or delete it."
        )
    splits = {"train": benchmark.train, "test": benchmark.test}
    with files.replacing(folder) as beside:
        beside.mkdir()
        written = {
            name: _write_split(split, beside, name, images_per_file)
            for name, split in splits.items()
        }
        labels = {
            f"{name}_{field}": getattr(split, field)
            for name, split in splits.items()
            for field in FIELDS
            if getattr(split, field) is not None
        }
        np.savez(beside / LABELS, **labels)
        index = {
            "class_names": list(benchmark.class_names),
            "noise_checksum": benchmark.noise_checksum,
            "splits": written,
        }
        (beside / INDEX).write_text(json.dumps(index, indent=2))


def _write_split(split, folder, name, images_per_file):
    """Writes one split's files; returns their sizes in bytes and the images' shape."""
    import tensorflow as tf

    count = -(-len(split) // images_per_file)
    sizes: dict = {}
    shape: tuple = ()
    for number in range(count):
        path = folder / f"{name}-{number:05d}-of-{count:05d}.tfrecord"
        start = number * images_per_file
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in range(start, min(start + images_per_file, len(split))):
                image = np.asarray(split.images[row])
                shape = shape or image.shape
                _check_image(image, shape, row)
                writer.write(_record(image, row))
        sizes[path.name] = path.stat().st_size
    return {"count": len(split), "image_shape": list(shape), "bytes": sizes}


def _check_image(image, shape, row):
    if image.dtype != np.uint8 or image.shape != shape or shape[-1] not in (1, 3, 4):
        raise ValueError(
            "Expected uint8 images of one shape (H, W, channels) with 1, 3 or 4 "
            f"channels. Received: row {row} with shape {image.shape}, dtype "
            f"{image.dtype}; the first one's shape is {shape}. Convert and resize them."
        )


def _record(image, row):
    import tensorflow as tf

    png = tf.io.encode_png(image).numpy()
    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png])),
        "row": tf.train.Feature(int64_list=tf.train.Int64List(value=[row])),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString()


def read(folder):
    """The benchmark that `write` wrote; its images stay in the files.

    Args:
        folder: Folder of the records.

    Returns:
        A `Benchmark` whose splits' images are `StreamedImages`.

    Raises:
        OSError: If the folder is not what `write` makes, or not all of it is there.
    """
    folder = Path(folder)
    try:
        index = json.loads((folder / INDEX).read_text())
        with np.load(folder / LABELS) as arrays:
            splits = {
                name: _read_split(folder, name, found, arrays)
                for name, found in index["splits"].items()
            }
        return Benchmark(
            train=splits["train"],
            test=splits["test"],
            class_names=tuple(index["class_names"]),
            noise_checksum=index["noise_checksum"],
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(
            "Expected a folder of records that `josrc-records` wrote, with all of its "
            f"files. Received: {folder}; {reason}. Copy it again, or write it anew."
        ) from error


def _read_split(folder, name, found, arrays):
    for file, size in found["bytes"].items():
        if (folder / file).stat().st_size != size:
            raise OSError(f"{file} does not have the {size} bytes that were written")
    images = StreamedImages(
        paths=tuple(str(folder / file) for file in found["bytes"]),
        total=found["count"],
        image_shape=tuple(found["image_shape"]),
        rows=np.arange(found["count"]),
    )
    return Split(images, *(arrays.get(f"{name}_{field}") for field in FIELDS))
