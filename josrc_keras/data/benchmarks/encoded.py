"""Clothing1M and Food-101N as TensorFlow Datasets (TFDS) has them: encoded images."""

import dataclasses
import os
import textwrap
from pathlib import Path
from typing import Any

import keras

NAMES = ("clothing1m", "food101n")  # The functions of this module that read them.


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedBenchmark:
    """A noisy training set in TFDS's files, too large for memory.

    Attributes:
        builder: The `tfds.core.DatasetBuilder`, prepared.
        train: TFDS's name of the split to train on, such as `"train+clean_train"`.
        test: TFDS's name of the clean split to report on.
        validation: TFDS's name of the clean split to choose by, or None.
    """

    builder: Any
    train: str
    test: str
    validation: str | None = None

    @property
    def class_names(self):
        """Names of the classes, in label order."""
        return tuple(self.builder.info.features["label"].names)

    @property
    def num_classes(self):
        """Number of classes."""
        return len(self.class_names)

    @property
    def summary(self):
        """A dict of what the build left out. The builder's class describes it."""
        return dict(self.builder.info.metadata)

    def skipped(self):
        """`(path, reason)` of images that the build left out of these splits.

        The list comes from the first 10,000 that were left out. `summary` counts all.
        """
        used = {*self.train.split("+"), self.validation, self.test}
        listed = self.summary["skipped_images"]
        return [(path, reason) for split, path, reason in listed if split in used]

    def size(self, split):
        """Number of images in a split of TFDS."""
        return self.builder.info.splits[split].num_examples

    def read(self, split, *, seed=None):
        """Reads the examples of a split. Images are not decoded.

        Args:
            split: TFDS's name of the split.
            seed: Seed of the order in which files are read, which is drawn each time
                that the dataset is iterated; None reads them in their own order. Within
                a file, images are always in the same random order.

        Returns:
            A `tf.data.Dataset` of dicts with the builder's features. `image` holds the
            bytes of a JPEG.
        """
        import tensorflow_datasets as tfds

        return self.builder.as_dataset(
            split=split,
            shuffle_files=seed is not None,
            decoders={"image": tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(shuffle_seed=seed, try_autocache=False),
        )


def clothing1m(*, use_clean_train=False, data_dir=None, manual_dir=None):
    """Clothing1M. If TFDS does not have it, it is built, which takes a while.

    Args:
        use_clean_train: Whether the 47,570 images of the clean training list join the
            million to train on, as in the Jo-SRC paper's published code. 24,637 of them
            keep their noisy label, the others have only a clean one. Most other work
            leaves them out.
        data_dir: TFDS's folder. None is the environment's `TFDS_DATA_DIR`, or TFDS's
            own.
        manual_dir: Folder of the files that are downloaded by hand and needed to build
            the dataset. None is `downloads/manual` in `data_dir`.

    Returns:
        An `EncodedBenchmark`.

    Raises:
        OSError: If the dataset can't be read or built.
    """
    return EncodedBenchmark(
        prepared("Clothing1m", data_dir=data_dir, manual_dir=manual_dir),
        train="train+clean_train" if use_clean_train else "train",
        validation="validation",
        test="test",
    )


def food101n(*, data_dir=None, manual_dir=None):
    """Food-101N with Food-101's test split. It is built if TFDS does not have it.

    Args:
        data_dir: TFDS's folder, see `clothing1m`.
        manual_dir: Folder of the files that are downloaded by hand, see `clothing1m`.

    Returns:
        An `EncodedBenchmark`, whose `validation` is None.

    Raises:
        OSError: If the dataset can't be read or built.
    """
    builder = prepared("Food101n", data_dir=data_dir, manual_dir=manual_dir)
    return EncodedBenchmark(builder, train="train", test="test")


def prepared(name, *, data_dir, manual_dir):
    """A builder of TFDS whose files are complete. Downloads and builds missing ones.

    An interrupted build leaves only a folder `incomplete.*`, and starts anew.

    Args:
        name: `"Clothing1m"`, `"Food101n"`, or the name of one of TFDS's own builders.
        data_dir: TFDS's folder, or None.
        manual_dir: Folder of the files that are downloaded by hand, or None.

    Returns:
        A `tfds.core.DatasetBuilder`.

    Raises:
        OSError: If the dataset can't be read or built.
    """
    builder = None
    try:
        builder = _make(name, data_dir)
        _build(builder, manual_dir)
        _check_files(builder)
    except Exception as error:  # TFDS raises many kinds of errors.
        reason = str(error).strip() or type(error).__name__
        instructions = getattr(builder, "MANUAL_DOWNLOAD_INSTRUCTIONS", None) or ""
        instructions = textwrap.dedent(instructions).strip()
        if instructions not in reason:
            reason += f"\nDownload instructions:\n{instructions}"
        raise OSError(
            f"{name} can't be read through TensorFlow Datasets. Received: "
            f"data_dir={data_dir}, manual_dir={manual_dir} (None is TFDS's own "
            f"folder). {reason}"
        ) from error
    return builder


def _make(name, data_dir):
    if keras.backend.backend() == "jax":
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")  # JAX needs the memory.
    import tensorflow_datasets as tfds

    if name == "Clothing1m":
        from josrc_keras.data.benchmarks.clothing1m import Clothing1m

        return Clothing1m(data_dir=data_dir)
    if name == "Food101n":
        from josrc_keras.data.benchmarks.food101n import Food101n

        return Food101n(data_dir=data_dir)
    return tfds.builder(name, data_dir=data_dir)


def _build(builder, manual_dir):
    """Builds what is missing. Warns of what a killed build left; removes nothing."""
    import tensorflow_datasets as tfds
    from absl import logging

    left = sorted(Path(builder.data_dir).parent.glob("incomplete.*"))
    if left:
        logging.warning(
            "A build that was interrupted, or that runs elsewhere, left %s. Delete it "
            "if none runs.",
            ", ".join(str(folder) for folder in left),
        )
    if manual_dir is not None:
        manual_dir = os.path.expanduser(manual_dir)
    config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    builder.download_and_prepare(download_config=config)


def _check_files(builder):
    """Refuses a folder of TFDS from which files are missing."""
    paths = [path for each in builder.info.splits.values() for path in each.filepaths]
    missing = [path for path in paths if not path.exists()]
    if missing or not paths:
        lack = f"no {missing[0].name}" if missing else "no description of its splits"
        raise OSError(
            f"Expected all files of the dataset in {builder.data_dir}. Received: "
            f"{lack}. Delete the folder and build it again."
        )
