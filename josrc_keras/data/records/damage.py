"""Which TFRecord file is damaged, and how. TensorFlow's own errors name no file."""

import contextlib
import re
from pathlib import Path

_READ: set[str] = set()  # Paths of the files that this process reads.


def remember(paths):
    """Keeps which files this process reads, so that an error can name one of them."""
    _READ.update(map(str, paths))


def among_read():
    """What `first` says of all files of records that this process reads."""
    return first(sorted(_READ))


def first(paths, counts=None):
    """The first of some TFRecord files that is not as it was written.

    A file has a checksum of each record's length and content, so a changed byte shows.
    A file that ends after a whole record shows by its number of records only.

    Args:
        paths: Paths of the files.
        counts: The number of records of each file, or None if they are not known.

    Returns:
        A string, the path and what is wrong; None if nothing is.
    """
    for number, path in enumerate(paths):
        found = _wrong_with(path, None if counts is None else counts[number])
        if found:
            return f"{path}, {found}"
    return None


def _wrong_with(path, count):
    import tensorflow as tf

    if not Path(path).exists():
        return "which does not exist"
    records = 0
    try:
        for _ in tf.data.TFRecordDataset(str(path)):
            records += 1
    except tf.errors.OpError as error:
        kind = re.search(r"(truncated|corrupted) record at \d+", str(error))
        return f"with a {kind[0] if kind else 'part that can not be read'}"
    if count is not None and records != count:
        return f"with {records} of {count} records"
    return None


@contextlib.contextmanager
def named(builder):
    """Gives an error of TensorFlow about a dataset's files the name of the file.

    Args:
        builder: A `tfds.core.DatasetBuilder`, prepared.

    Raises:
        OSError: In place of such an error, if a file is damaged.
    """
    try:
        yield
    except Exception as error:
        found = in_files_of(builder)
        if found is None:
            raise
        raise OSError(
            f"Expected the files of {builder.name} as TensorFlow Datasets wrote them. "
            f"Received: {found}. Copy the file again, or delete {builder.data_dir} so "
            "that the dataset is prepared again."
        ) from error


def in_files_of(builder):
    """What `first` says of the files of a `tfds.core.DatasetBuilder`."""
    splits = builder.info.splits.values()
    paths = [path for split in splits for path in split.filepaths]
    counts = [count for split in splits for count in split.shard_lengths]
    return first(paths, counts)
