"""Writes images to TFRecord files, whose layout `data.records.dataset` describes."""

import collections
import concurrent.futures
import contextlib
import functools
import itertools
import json
from pathlib import Path

import numpy as np
from absl import logging

from josrc_keras import _checks, _files

INDEX, LABELS = "index.json", "labels.npz"
FIELDS = ("labels", "true_labels", "ids", "verified")
CHANNELS = {"png": (1, 3, 4), "jpeg": (1, 3)}  # Numbers of channels of each encoding.
AHEAD = 128  # Images that are encoded before they are asked for.
NEWS = 10_000  # Images between two lines of the log.


def check_options(images_per_file, encoding, quality):
    """Checks the options of `records.write`.

    Returns:
        A dict of the options, as `write_split` takes them.

    Raises:
        ValueError: If an option is out of range.
    """
    _checks.check_choice("encoding", encoding, tuple(CHANNELS))
    for name, value, most in (
        ("quality", quality, 100),
        ("images_per_file", images_per_file, None),
    ):
        if value < 1 or (most and value > most):
            raise ValueError(
                f"Expected `{name}` of at least 1{f', at most {most}' if most else ''}."
                f" Received: {name}={value}."
            )
    return {
        "images_per_file": images_per_file,
        "encoding": encoding,
        "quality": quality,
    }


def check_new(folder):
    """Raises a `ValueError` if the folder for the records exists.

    What a killed process left beside the folder is removed, also when its last act was
    to give the folder its name.
    """
    folder = Path(folder)
    _files.remove_unfinished(folder.parent, folder.name)
    if folder.exists():
        raise ValueError(
            f"Expected a new folder for the records. Received: {folder}, which exists. "
            "Choose another folder, or delete it."
        )


@contextlib.contextmanager
def new_folder(folder):
    """Yields a folder to write to, which gets its name when everything is written.

    Raises:
        ValueError: If the folder exists.
        OSError: If it can't be written.
    """
    check_new(folder)
    with _files.replacing(folder) as beside:
        beside.mkdir()
        try:
            yield beside
        except Exception as error:
            # TensorFlow has errors of its own, which say what file it could not write.
            if isinstance(error, OSError) or str(beside) not in str(error):
                raise
            reason = str(error).partition("; ")[2] or error
            raise OSError(
                f"The records can't be written. Received: {folder} ({reason}). "
                "Expected a folder with write permission and free space. Make room, or "
                "choose another folder."
            ) from error


def write_index(folder, fields, **index):
    """Writes the labels of the images, and the index.

    Args:
        folder: The folder.
        fields: A dict from each split to its `FIELDS`, arrays or None.
        **index: Keys and values of the index, which JSON can hold.
    """
    labels = {
        f"{name}_{field}": array
        for name, arrays in fields.items()
        for field, array in arrays.items()
        if array is not None
    }
    np.savez(folder / LABELS, **labels)
    (folder / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")


def write_split(images, folder, name, *, images_per_file, encoding, quality):
    """Writes one split's files, encoded on all cores, with a few images in memory.

    Args:
        images: Iterable of uint8 arrays `(H, W, channels)` of one shape.
        folder: The folder to write to.
        name: Name of the split.
        images_per_file: The most images in a file.
        encoding: `"png"` or `"jpeg"`.
        quality: Quality of a JPEG, 1 to 100.

    Returns:
        The split's entry in the index: the number of images (`count`), their
        `image_shape`, and the files' sizes in bytes (`bytes`).

    Raises:
        ValueError: If an image is not like the first, or can't be encoded.
    """
    import tensorflow as tf

    shape: list = []
    encode = functools.partial(_encode, encoding=encoding, quality=quality)
    paths: list = []
    row = 0
    with contextlib.closing(
        _in_threads(encode, _checked(images, shape, encoding))
    ) as contents:
        for first in contents:
            paths.append(folder / f"{name}-{len(paths):05d}")
            rest = itertools.islice(contents, images_per_file - 1)
            with tf.io.TFRecordWriter(str(paths[-1])) as writer:
                for content in itertools.chain([first], rest):
                    writer.write(_record(content, row))
                    row += 1
                    if row % NEWS == 0:
                        logging.info("Wrote %d images of %s.", row, name)
    sizes = {}
    for path in paths:
        path = path.rename(f"{path}-of-{len(paths):05d}.tfrecord")
        sizes[path.name] = path.stat().st_size
    return {"count": row, "image_shape": shape, "bytes": sizes}


def _checked(images, shape, encoding):
    """Yields the images. Fills the list `shape` with the first image's shape."""
    for row, image in enumerate(images):
        image = np.asarray(image)
        if not shape:
            shape.extend(image.shape)
        allowed = CHANNELS[encoding]
        if (
            image.dtype != np.uint8
            or list(image.shape) != shape
            or image.ndim != 3
            or image.shape[-1] not in allowed
        ):
            raise ValueError(
                "Expected uint8 images of one shape (H, W, channels) with "
                f"{' or '.join(map(str, allowed))} channels, for {encoding}. Received: "
                f"row {row} with shape {image.shape}, dtype {image.dtype}; the first "
                f"one's shape is {tuple(shape)}. Convert and resize them."
            )
        yield image


def _in_threads(function, items):
    """Yields the function's result for each item, in order."""
    waiting: collections.deque = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _encode(image, *, encoding, quality):
    import tensorflow as tf

    with tf.device("CPU"):
        if encoding == "png":
            return tf.io.encode_png(image).numpy()
        return tf.io.encode_jpeg(image, quality=quality).numpy()


def _record(content, row):
    import tensorflow as tf

    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[content])),
        "row": tf.train.Feature(int64_list=tf.train.Int64List(value=[row])),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString()
