"""From a configuration to its data."""

from pathlib import Path

import keras

from josrc_keras import _checks, data
from josrc_keras.data import batches
from josrc_keras.data.records import from_folder
from josrc_keras.runs import folder, large_sets
from josrc_keras.runs.configuration import PATHS
from josrc_keras.runs.methods import METHODS, balance_of


def make_benchmark(config, workdir=None):
    """The dataset that `config.data` names, a `data.Benchmark`.

    Args:
        config: A configuration.
        workdir: The run folder, which keeps the decoded images of a folder of photos.

    Raises:
        ValueError: If a field is out of range.
        OSError: If the data can't be read.
    """
    names = (*data.BENCHMARKS, *data.HUMAN, "partial", "records", "image_folder")
    names += large_sets.NAMES
    name = _checks.check_choice("config.data.name", config.data.name, names)
    share = config.data.validation_share
    if name == "image_folder":
        benchmark, share = _read_image_folder(config, workdir), 0  # Its own share.
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


def write_folder(config, output):
    """Writes a folder of photos to records; see `data.folder_records.write`."""
    _check_photos(config)
    from_folder.write(
        config.data.dir,
        output,
        image_size=config.data.image_size,
        validation_dir=config.data.validation_dir,
        validation_share=config.data.validation_share,
        broken=config.data.broken,
        seed=config.data.seed,
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
        train_size=config.data.train_size,
    )


SMALL = 64  # Pixels a side of images that are evaluated many at a time.


def steps_per_epoch(split, config):
    """Number of whole batches of an epoch, balanced where the configuration says so."""
    return batches.steps_per_epoch(
        split, config.batch_size, balanced=balance_of(config)
    )


def train_batches(config, train, initial_epoch):
    """The training batches; of strong views, where they are asked for."""
    data = batches.train_batches(
        train,
        batch_size=config.batch_size,
        seed=config.seed,
        initial_epoch=initial_epoch,
        balanced=balance_of(config),
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


def evaluation_batches(split):
    """Batches of all of a split, in order; of small images, many at a time."""
    size = 500 if split.images.shape[1] <= SMALL else 100
    return batches.evaluation_batches(split, batch_size=size)
