"""From a configuration to its data."""

import os
from pathlib import Path
from typing import Any

import keras
import ml_collections
from absl import logging

from josrc_keras import _checks, data
from josrc_keras.data import batches
from josrc_keras.data.batches import balance
from josrc_keras.data.benchmark import Benchmark, Split
from josrc_keras.data.records import from_folder
from josrc_keras.devices import replicas
from josrc_keras.runs import folder, large_sets, start
from josrc_keras.runs.configuration import PATHS
from josrc_keras.runs.methods import METHODS, balance_of, group_of


def make_benchmark(
    config: ml_collections.ConfigDict, workdir: str | os.PathLike | None = None
) -> Benchmark:
    """Reads or makes the dataset that `config.data` names.

    Args:
        config: A configuration.
        workdir: The run folder, which keeps decoded photos and the records of large
            sets; or None.

    Returns:
        A `data.Benchmark`.

    Raises:
        ValueError: If a field is out of range, or the data are not those that the run
            in `workdir` was begun with.
        OSError: If the data can't be read.
    """
    names = (*data.BENCHMARKS, *data.HUMAN, "partial", "records", "image_folder")
    names += large_sets.NAMES
    name = _checks.check_choice("config.data.name", config.data.name, names)
    share = config.data.validation_share
    if name == "image_folder":
        # Reading the folder already sets a share of the photos aside.
        benchmark, share = _read_image_folder(config, workdir), 0
    elif name in large_sets.NAMES:
        benchmark = large_sets.read(config, workdir)
    elif name == "records":
        benchmark = _read_records(config)
    elif name in data.HUMAN:
        benchmark = _read_human(config)
    elif name == "partial":
        benchmark = data.partial(**config.data.partial, **_noise(config))
    else:
        benchmark = data.BENCHMARKS[name](**_noise(config))
    benchmark = benchmark.hold_out(share, config.data.seed)
    if name in PATHS and workdir is not None:
        folder.check_data(workdir, benchmark)
    return benchmark


def _noise(config):
    return {name: config.data[name] for name in ("noise", "rate", "seed", "train_size")}


def _read_records(config):
    if config.data.dir is None:
        raise ValueError(
            "config.data.name=records needs the folder that `josrc-records` wrote. "
            "Received: config.data.dir=None. Set it."
        )
    benchmark = data.records.read(config.data.dir)
    return benchmark.head(config.data.train_size)


def _read_human(config):
    options = {name: config.data[name] for name in ("train_size", "manual_dir")}
    if config.data.name == "cifar10n":
        options["kind"] = config.data.noise
    return data.HUMAN[config.data.name](**options)


def write_folder(config: ml_collections.ConfigDict, output: str | os.PathLike) -> None:
    """Writes a folder of photos to records; see `data.records.from_folder.write`."""
    _check_photos(config)
    config = start.settled(config)
    from_folder.write(
        config.data.dir,
        output,
        image_size=config.data.image_size,
        validation_dir=config.data.validation_dir,
        validation_share=config.data.validation_share,
        broken=config.data.broken,
        seed=config.data.seed,
        labels=config.data.labels,
    )


def _check_photos(config):
    if config.data.dir is None:
        raise ValueError(
            "config.data.name=image_folder needs a folder of photos, one sub-folder a "
            "class. Received: config.data.dir=None. Set it."
        )


def _read_image_folder(config, workdir):
    _check_photos(config)
    if workdir is None:
        raise ValueError(
            "A folder of photos is decoded into a run folder. Received: "
            "config.data.name=image_folder without one. Use `josrc-train`."
        )
    return data.image_folder.read(
        config.data.dir,
        image_size=config.data.image_size,
        cache=Path(workdir) / "images",
        begun=folder.has_begun(workdir),
        validation_dir=config.data.validation_dir,
        validation_share=config.data.validation_share,
        broken=config.data.broken,
        seed=config.data.seed,
        labels=config.data.labels,
        train_size=config.data.train_size,
    )


SMALL = 64  # Images up to this height, in pixels, are evaluated 500 at a time.


def with_batch_that_fits(
    config: ml_collections.ConfigDict, train: Split
) -> ml_collections.ConfigDict:
    """The configuration with a batch size of at most the images of an epoch.

    The log says where it is smaller than the configured one.

    Args:
        config: A configuration.
        train: The training split.

    Returns:
        A configuration, the same one if its batch size fits.
    """
    images = len(train)
    if balance_of(config):
        limit = balance.limit_of(train.labels, balance_of(config))
        images = balance.epoch_size(train.labels, limit)
    parts = replicas.part_count()
    largest = images - images % parts
    if config.batch_size <= images or not largest:
        return config
    logging.warning(
        "config.batch_size=%d is more than the %d images of an epoch: batches of %d "
        "are taken. Set config.batch_size to choose.",
        config.batch_size,
        images,
        largest,
    )
    config = config.copy_and_resolve_references()
    config.batch_size = largest
    return config


def steps_per_epoch(split: Split, config: ml_collections.ConfigDict) -> int:
    """Number of whole batches of an epoch, which may be balanced by classes."""
    return batches.steps_per_epoch(
        split,
        config.batch_size,
        balanced=balance_of(config),
        group=group_of(config),
    )


def train_batches(
    config: ml_collections.ConfigDict, train: Split, initial_epoch: int
) -> Any:
    """The training batches, of strong views where the configuration says so.

    Args:
        config: A configuration.
        train: The training split.
        initial_epoch: First epoch, counted from 0.

    Returns:
        What `data.batches.train_batches` returns.

    Raises:
        ValueError: If strong views are asked for and images stay on the device.
    """
    data = batches.train_batches(
        train,
        batch_size=config.batch_size,
        seed=config.seed,
        initial_epoch=initial_epoch,
        balanced=balance_of(config),
        group=group_of(config),
    )
    fields = config.strong_views
    if not fields["enabled"]:
        return data
    if not hasattr(data, "element_spec"):
        raise ValueError(
            "Strong views are drawn in tf.data. Received: config.strong_views.enabled="
            f"True and images that stay on the device, on {keras.backend.backend()}. "
            "Set KERAS_BACKEND=tensorflow, or stream the images: `josrc-records` "
            "writes them for config.data.name=records."
        )
    from josrc_keras.views import strong

    options = {name: fields[name] for name in ("num_ops", "magnitude", "library")}
    return strong.views_of(
        data,
        strong.rand_augment(**options, **config.augmentation),
        seed=config.seed,
        start=initial_epoch * steps_per_epoch(train, config),
        two=METHODS[config.method].model.needs_two_views,
    )


def evaluation_batches(split: Split) -> Any:
    """Batches of a whole split in order, larger ones where images are small."""
    size = 500 if split.images.shape[1] <= SMALL else 100
    return batches.evaluation_batches(split, batch_size=size)
