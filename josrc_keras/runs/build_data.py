"""From a configuration to its data."""

import os
from pathlib import Path

from josrc_keras import _checks, data
from josrc_keras.runs import large_sets
from josrc_keras.runs import folder
from josrc_keras.data.records import from_folder

PATHS = {  # Fields of `config.data` that name folders to be found on resume.
    "image_folder": ("dir", "validation_dir"),
    "records": ("dir",),
    **dict.fromkeys(large_sets.NAMES, ("dir", "manual_dir")),
}


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
    # A run of before this field has none.
    share = config.data.get("validation_share", 0)
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


def with_absolute_paths(config):
    """Names folders so that the run finds them from any working directory."""
    names = PATHS.get(config.data.name)
    if names is None:
        return config
    config = config.copy_and_resolve_references()
    for name in names:
        if config.data[name] is not None:
            path = os.path.expanduser(config.data[name])
            config.data[name] = os.path.abspath(path)
    return config
