"""TFRecord files of a dataset: images that need not fit in memory.

A folder holds `index.json`, `labels.npz` and `SPLIT-00000-of-00008.tfrecord` and so on.
A record is an image, a PNG or a JPEG, and the number of its row; labels are held apart,
in memory, so that other ones need no other files.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
from absl import logging

from josrc_keras.data import noise
from josrc_keras.data.benchmark import Benchmark, Split
from josrc_keras.data.photos import decoding
from josrc_keras.data.records import writing
from josrc_keras.data.records.examples import Examples
from josrc_keras.data.records.writing import CHANNELS, FIELDS, INDEX, LABELS

SPLITS = ("train", "test", "validation")


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedImages:
    """Images in TFRecord files, in place of an array; `batches` streams them.

    Attributes:
        paths: The files, in order.
        total: Number of records in them.
        image_shape: `(H, W, channels)` of each image, uint8.
        rows: `(N,)` int64, increasing: the records that these images are.
        encoding: `"png"` or `"jpeg"`.
    """

    paths: tuple
    total: int
    image_shape: tuple
    rows: np.ndarray
    encoding: str = "png"

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
        from josrc_keras.data.batches import streamed

        parts = [image.numpy() for image, _ in streamed.in_order(self)]
        images = np.array(parts, dtype="uint8").reshape(self.shape)
        return images if dtype is None else images.astype(dtype)

    def samples(self):
        """`(total,)` int64: the image that each record is here, -1 for none."""
        found = np.full(self.total, -1, np.int64)
        found[self.rows] = np.arange(len(self.rows))
        return found


def write(benchmark, folder, *, images_per_file=4096, encoding="png", quality=95):
    """Writes a benchmark to TFRecord files.

    Images are taken one at a time: they may be any sequence of `(H, W, channels)` uint8
    arrays of one shape. What a write that was killed left behind is removed, so no two
    processes may write the same folder.

    Args:
        benchmark: A `Benchmark`.
        folder: Where to; must not exist. It is there once all is written.
        images_per_file: At most so many. An epoch reads files in random order, and
            several at a time, so have at least some dozens of them.
        encoding: `"png"`, without loss, of 1, 3 or 4 channels; or `"jpeg"`, of 1 or 3.
        quality: Of a JPEG, up to 100.

    Raises:
        ValueError: If the folder exists, an image is not like the others, or an option
            is out of range.
        OSError: If it can't be written.
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
    """The images; a sequence need not end by itself."""
    return (split.images[row] for row in range(len(split)))


def write_files(
    splits,
    folder,
    *,
    class_names,
    image_size=256,
    images_per_file=4096,
    encoding="jpeg",
    quality=95,
    skipped=(),
    origin=None,
):
    """Writes encoded images, of any number, to TFRecord files of one size.

    They are decoded with `decoding.decode`, whatever their names' extensions say,
    scaled and cropped at the centre; on all cores, with a few of them in memory at a
    time. Broken ones are left out, logged and listed. Of TensorFlow Datasets:

        found = encoded.clothing1m()
        test = found.read(found.test).map(lambda x: x | {"true_label": x["label"]})
        splits = {"train": found.read(found.train), "test": test}
        records.write_files(splits, folder, class_names=found.class_names)

    Args:
        splits: From `"train"`, `"test"` and, where there is one, `"validation"` to an
            iterable of dicts, or a `tf.data.Dataset` of them: `image`, the bytes or
            the path of a file, `label`, `id`, and where it is known `true_label` (-1 =
            out of distribution). Other keys are ignored.
        folder: As in `write`.
        class_names: Names of the classes, in label order.
        image_size: Height and width to store.
        images_per_file: As in `write`.
        encoding: `"jpeg"` or `"png"`.
        quality: Of a JPEG, up to 100.
        skipped: `(id, reason)` of each file that was left out before.
        origin: What the images are, a dict that JSON can hold, or None.

    Raises:
        ValueError: If the folder exists, a split is missing or has no usable image, an
            example is not as it should be, or an option is out of range.
        ImportError: If Pillow is not installed.
        OSError: If it can't be written.
    """
    options = writing.check_options(images_per_file, encoding, quality)
    if not {"train", "test"} <= set(splits) <= set(SPLITS):
        raise ValueError(
            "Expected the splits 'train' and 'test', and maybe 'validation'. Received: "
            f"{sorted(splits)}. Name them so."
        )
    decoding.require()
    names = tuple(class_names)
    written, fields, skipped = {}, {}, list(skipped)
    with writing.new_folder(folder) as beside:
        for name, examples in splits.items():
            found = Examples(examples, name, len(names))
            images = found.images(image_size)
            written[name] = writing.write_split(images, beside, name, **options)
            fields[name] = found.fields()
            skipped += found.skipped
            count = written[name]["count"], len(found.skipped)
            logging.info("%s: wrote %d images, skipped %d.", name, *count)
        writing.write_index(
            beside,
            fields,
            class_names=list(names),
            noise_checksum=noise.checksum(fields["train"]["labels"]),
            encoding=encoding,
            splits=written,
            skipped=skipped,
            origin=origin,
        )


def read(folder):
    """The benchmark that was written; its images stay in the files.

    Args:
        folder: Folder of the records.

    Returns:
        A `Benchmark` whose splits' images are `StreamedImages`. `skipped` has the id
        and the reason of each image that was left out.

    Raises:
        OSError: If the folder is not what was written, or not all of it is there.
    """
    folder = Path(folder)
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        encoding = dict(index).get("encoding", "png")  # Folders of before this field.
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
    images = StreamedImages(
        paths=tuple(str(folder / file) for file in found["bytes"]),
        total=found["count"],
        image_shape=tuple(found["image_shape"]),
        rows=np.arange(found["count"]),
        encoding=encoding,
    )
    return Split(images, *(arrays.get(f"{name}_{field}") for field in FIELDS))
