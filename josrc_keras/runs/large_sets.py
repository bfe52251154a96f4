"""Clothing1M and Food-101N from a configuration, written once as records and streamed.

Both are too large for memory.
"""

from pathlib import Path

from absl import logging

from josrc_keras.data import records
from josrc_keras.data.benchmarks import encoded
from josrc_keras.data.records import damage
from josrc_keras.devices import replicas

NAMES = encoded.NAMES


def read(config, workdir=None):
    """Streams a large set from its records, which are written if there are none.

    Args:
        config: A configuration whose `data.name` is in `NAMES`.
        workdir: The run folder, which keeps the records if `config.data.dir` is None;
            or None.

    Returns:
        A `data.Benchmark`. People checked the labels of `test` and, with Clothing1M, of
        `validation`. True labels of `train` are not known.

    Raises:
        ValueError: If the records were written from a different set or with different
            settings, or there is no folder for them.
        OSError: If the set can't be read or built, or the folder can't be written.
    """
    folder = config.data.dir
    if folder is None and workdir is None:
        raise ValueError(
            "A large set is streamed from records of it. Received: "
            f"config.data.name={config.data.name} with config.data.dir=None, and no "
            "run folder. Set config.data.dir to a folder for them."
        )
    folder = Path(workdir) / "records" if folder is None else Path(folder)
    if not (folder / records.INDEX).exists():
        if replicas.process_count() > 1:
            raise ValueError(
                "Records are written by one process. Received: "
                f"{replicas.process_count()} processes and {folder}, without an "
                "index.json. Run `josrc-records` with the same configuration first, "
                "and set config.data.dir to its --output."
            )
        write(config, folder)
    benchmark = records.read(folder)
    if benchmark.origin != origin(config):
        raise ValueError(
            f"Expected records of {origin(config)}. Received: {folder}, which holds "
            f"{benchmark.origin}. Set config.data.dir to another folder, or the "
            "configuration as it was."
        )
    return benchmark.head(config.data.train_size)


def write(config, folder):
    """Writes a large set's images, scaled, to records. Builds the set if need be.

    Args:
        config: A configuration whose `data.name` is in `NAMES`.
        folder: A new folder.

    Raises:
        ValueError: If the folder exists.
        OSError: If the set can't be read or built, or the folder can't be written.
    """
    options = {"manual_dir": config.data.manual_dir}
    if config.data.name == "clothing1m":
        options["use_clean_train"] = config.data.use_clean_train
    found = getattr(encoded, config.data.name)(**options)
    logging.info("Writing %s, scaled, to %s.", config.data.name, folder)
    splits = {"train": found.read(found.train).map(_with_verified)}
    for name in ("test", "validation"):
        part = getattr(found, name)
        if part is not None:  # Their labels were checked by people.
            splits[name] = found.read(part).map(_with_truth)
    with damage.named(found.builder):
        records.write_files(
            splits,
            folder,
            class_names=found.class_names,
            image_size=config.data.image_size,
            skipped=found.skipped(),
            origin=origin(config),
        )


def _with_verified(example):
    """Clothing1M's label was verified where a hand gave a label, too.

    Food-101N says itself which labels were verified.
    """
    if "noisy_label" not in example:
        return example
    import tensorflow as tf

    clean, noisy = example["clean_label"], example["noisy_label"]
    right = tf.cast(clean == noisy, "int64")
    both = (clean >= 0) & (noisy >= 0)
    return example | {"verified": tf.where(both, right, -tf.ones_like(right))}


def _with_truth(example):
    return example | {"true_label": example["label"]}


def origin(config):
    """A dict of the name and the settings that decide a large set's records."""
    names = ["name", "image_size"]
    if config.data.name == "clothing1m":
        names.append("use_clean_train")
    return {name: config.data[name] for name in names}


def folder_name(config):
    """A name for the folder of a large set's records, from its name and settings."""
    clean = config.data.name == "clothing1m" and config.data.use_clean_train
    return f"{config.data.name}{'+clean_train' * clean}-{config.data.image_size}"
