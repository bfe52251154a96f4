"""From a configuration to its data."""

import os
from pathlib import Path

from absl import logging

from josrc_keras import data, guards, run_folder

LARGE = ("clothing1m", "food101n")


def make_benchmark(config, workdir=None):
    """The dataset that `config.data` names, a `data.Benchmark`.

    Args:
        config: A configuration.
        workdir: The run folder, which keeps the decoded images of a folder of photos.

    Raises:
        ValueError: If a field is out of range.
        OSError: If the data can't be read.
    """
    names = (*data.BENCHMARKS, "records", "image_folder", *LARGE)
    name = guards.check_choice("config.data.name", config.data.name, names)
    if name in LARGE:
        benchmark = _read_large(config, workdir)
        return benchmark.head(config.data.train_size)
    if name == "image_folder":
        return _read_image_folder(config, workdir)
    if name == "records":
        benchmark = _read_records(config)
    else:
        benchmark = data.BENCHMARKS[name](
            noise=config.data.noise,
            rate=config.data.rate,
            seed=config.data.seed,
            train_size=config.data.train_size,
        )
    # A run of before this field has none.
    return benchmark.hold_out(config.data.get("validation_share", 0), config.data.seed)


def _read_records(config):
    if config.data.dir is None:
        raise ValueError(
            "config.data.name=records needs the folder that `josrc-records` wrote. "
            "Received: config.data.dir=None. Set it."
        )
    benchmark = data.records.read(config.data.dir)
    return benchmark.head(config.data.train_size)


def _read_large(config, workdir):
    """Streams one of the large sets from records, which are written if need be."""
    folder = config.data.dir
    if folder is None and workdir is None:
        raise ValueError(
            "A large set is streamed from records of it. Received: "
            f"config.data.name={config.data.name} with config.data.dir=None, and no "
            "run folder. Set config.data.dir to a folder for them."
        )
    folder = Path(workdir) / "records" if folder is None else Path(folder)
    if not (folder / data.records.INDEX).exists():
        write_large(config, folder)
    return data.records.read(folder)


def write_large(config, folder):
    """Writes a large set's images, scaled, to records; builds it before if need be.

    Args:
        config: A configuration whose `data.name` is in `LARGE`.
        folder: A new folder.

    Raises:
        OSError: If the set can't be read or built, or the folder can't be written.
    """
    from josrc_keras.data import encoded

    options = {"manual_dir": config.data.manual_dir}
    if config.data.name == "clothing1m":
        options["use_clean_train"] = config.data.use_clean_train
    found = getattr(encoded, config.data.name)(**options)
    logging.info("Writing %s, scaled, to %s.", config.data.name, folder)
    # The labels of the test set were checked by hand, those of the training set not.
    test = found.read(found.test).map(lambda x: x | {"true_label": x["label"]})
    data.records.write_files(
        {"train": found.read(found.train), "test": test},
        folder,
        class_names=found.class_names,
        image_size=config.data.image_size,
    )


def _read_image_folder(config, workdir):
    if config.data.dir is None:
        raise ValueError(
            "config.data.name=image_folder needs a folder of photos, one sub-folder a "
            "class. Received: config.data.dir=None. Set it."
        )
    if workdir is None:
        raise ValueError(
            "A folder of photos is decoded into a run folder. Received: "
            "config.data.name=image_folder without one. Use `josrc-train`."
        )
    benchmark = data.image_folder.read(
        config.data.dir,
        image_size=config.data.image_size,
        cache=Path(workdir) / "images",
        validation_dir=config.data.validation_dir,
        validation_share=config.data.validation_share,
        broken=config.data.broken,
        seed=config.data.seed,
        train_size=config.data.train_size,
    )
    run_folder.check_data(workdir, benchmark)
    return benchmark


def with_absolute_paths(config):
    """Names the photos so that the run finds them from any working directory."""
    if config.data.name != "image_folder":
        return config
    config = config.copy_and_resolve_references()
    for name in ("dir", "validation_dir"):
        if config.data[name] is not None:
            path = os.path.expanduser(config.data[name])
            config.data[name] = os.path.abspath(path)
    return config
