"""CIFAR-100's files: the binary release, or what TensorFlow Datasets prepared."""

import contextlib
import hashlib
import os
from pathlib import Path

import keras
import numpy as np

from josrc_keras.data.records import damage

CLASSES = 100
BINARY = "cifar-100-binary"  # The folder that the release's archive unpacks to.
ROW = 2 + 3 * 32 * 32  # Coarse label, fine label, 32x32 red, green and blue.
SHA256 = {
    "train": "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
    "test": "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
}


def load(data_dir=None):
    """Reads CIFAR-100 in its original order.

    A folder that holds `cifar-100-binary/`, unpacked from the release's
    `cifar-100-binary.tar.gz`, is read with NumPy alone. Any other is read, or
    downloaded into, by TensorFlow Datasets (TFDS).

    Args:
        data_dir: The folder. None is the environment's `TFDS_DATA_DIR`, or TFDS's own.

    Returns:
        `(train, test, names)`. Each split is `(images, labels, ids)`: `(N, 32, 32, 3)`
        uint8, `(N,)` int64 fine labels, `(N,)` int64 original rows. `names` is the list
        of the 100 class names.

    Raises:
        OSError: If the dataset can't be read or downloaded.
    """
    parent = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    folder = Path(parent).expanduser() / BINARY
    if folder.is_dir():
        names = _read(folder / "fine_label_names.txt").decode().split()
        return _read_binary(folder, "train"), _read_binary(folder, "test"), names
    return _load_tfds(data_dir)


def _read(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise OSError(
            f"CIFAR-100's binary release is incomplete. Received: {path} "
            f"({error.strerror}). Expected train.bin, test.bin and "
            "fine_label_names.txt. Unpack cifar-100-binary.tar.gz again."
        ) from error


def _read_binary(folder, split):
    content = _read(folder / f"{split}.bin")
    if hashlib.sha256(content).hexdigest() != SHA256[split]:
        raise OSError(
            f"Expected the {split}.bin of CIFAR-100's binary release. Received: "
            f"{folder / split}.bin with {len(content)} bytes and another checksum. "
            "Unpack cifar-100-binary.tar.gz again."
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, ROW)
    planes = rows[:, 2:].reshape(-1, 3, 32, 32)
    images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return images, rows[:, 1].astype(np.int64), np.arange(len(rows))


def _load_tfds(data_dir):
    try:
        if keras.backend.backend() == "jax":
            import tensorflow as tf

            tf.config.set_visible_devices([], "GPU")  # JAX needs the memory.
        import tensorflow_datasets as tfds

        (train, test), info = tfds.load(
            "cifar100",
            split=["train", "test"],
            data_dir=data_dir,
            batch_size=-1,
            with_info=True,
        )
        train, test = tfds.as_numpy(train), tfds.as_numpy(test)
    except Exception as error:  # TFDS raises many kinds of errors.
        said = str(error).strip().splitlines() or [type(error).__name__]
        reason = _damaged(data_dir) or f"TFDS said: {said[0]}"
        raise OSError(
            "CIFAR-100 can't be read through TensorFlow Datasets. Received: "
            f"data_dir={data_dir!r} (None is TFDS_DATA_DIR, or TFDS's own folder); "
            f"{reason}. Expected a folder that TFDS has prepared or can "
            "download into. Pass the right `data_dir`, or delete its 'cifar100' folder "
            "so that TFDS prepares it again. Without TensorFlow, unpack the release's "
            f"cifar-100-binary.tar.gz there, so that it holds {BINARY}/train.bin."
        ) from error
    names = info.features["label"].names
    # Without its file of names TFDS gives numbers, and with a part of it fewer names.
    if len(set(names)) != CLASSES or all(name.isdigit() for name in names):
        raise OSError(
            f"Expected the names of CIFAR-100's {CLASSES} classes. Received: "
            f"data_dir={data_dir!r}, whose label.labels.txt has {len(set(names))}, "
            f"{names[0]!r} first. Delete its 'cifar100' folder so that TFDS prepares "
            "it again."
        )
    return _by_row(train), _by_row(test), names


def _damaged(data_dir):
    """What is wrong with one of TFDS's files, or None if nothing is known."""
    with contextlib.suppress(Exception):  # TFDS itself may be what fails.
        import tensorflow_datasets as tfds

        return damage.in_files_of(tfds.builder("cifar100", data_dir=data_dir))


def _by_row(split):
    """`(images, labels, ids)` sorted by the integer in TFDS's id ('train_00016')."""
    ids = np.array([int(name.rsplit(b"_", 1)[1]) for name in split["id"]])
    order = np.argsort(ids)
    return split["image"][order], split["label"][order].astype(np.int64), ids[order]
