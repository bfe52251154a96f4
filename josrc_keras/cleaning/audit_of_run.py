"""The audit of a run folder: its training data, by its own model."""

import contextlib
import dataclasses
import importlib.util
from pathlib import Path

import keras
import ml_collections
import numpy as np
from absl import logging

from josrc_keras import _files
from josrc_keras.audit import summary, truth
from josrc_keras.audit.table import Part, audit_parts
from josrc_keras.cleaning import changed, plan, report, sight
from josrc_keras.data import batches, records
from josrc_keras.runs import build_data
from josrc_keras.runs import folder as run_folder
from josrc_keras.runs import summary as runs_summary
from josrc_keras.runs.methods import METHODS
from josrc_keras.samples.history import SampleHistory
from josrc_keras.training import progress


def write(run, output, *, view_pairs=4, max_thumbnails=1200):
    """Audits a run's training data, and writes table, findings and report.

    Held-out images are audited, too, by the model's predictions. So are the images to
    report on if nobody knows their true labels, as with photos. Ids of photos in a
    `validation_dir` begin with that folder. Ids of held-out and test images in records
    begin with `validation/` or `test/` if another image has the same id.

    Args:
        run: The run folder.
        output: Folder for `audit.csv`, `audit.parquet` (with pyarrow),
            `findings.json`, `report.html` and, of photos, `photos.json`.
        view_pairs: Number of pairs of views of each image, at least 1.
        max_thumbnails: The most images in the report.

    Returns:
        The findings: a dict as of `audit.summarise`, with `class_names`, `skipped` and
        `source`, and where true labels are known `quality`, as `audit.compare` returns.

    Raises:
        OSError: If the run is not finished, its data can't be read, or `output` can't
            be written.
        ValueError: If the run's method does not sort samples, or its data has changed.
    """
    run, output = Path(run), Path(output)
    config = _read_config(run)
    make_folder(output)
    benchmark = build_data.make_benchmark(config, run)
    model = load_model(run)
    splits = [benchmark.train, *_held_out(config, benchmark)]
    parts = [_part(split, split is benchmark.train) for split in splits]
    with contextlib.closing(
        progress.Progress(sum(map(len, splits)), "images")
    ) as shown:
        table = audit_parts(
            model,
            parts,
            class_names=benchmark.class_names,
            view_pairs=view_pairs,
            tell=shown.go_to,
        )
    table["id"] = np.concatenate([split.ids for split in splits])
    order = np.argsort(table["id"].to_numpy(), kind="stable")
    table = table.iloc[order].reset_index(drop=True)
    findings = summary.summarise(table) | {
        "class_names": list(benchmark.class_names),
        "skipped": [{"id": i, "reason": reason} for i, reason in benchmark.skipped],
        "source": _source(run, config),
    }
    if all(split.true_labels is not None for split in splits):
        known = np.concatenate([split.true_labels for split in splits])[order]
        findings["quality"] = truth.compare(table, known)
    write_table(output, table, findings)
    changed.record(run, output, validation_dir_of(config))
    report.write_report(
        output / "report.html",
        table,
        findings,
        _thumbnails(splits, order, table, max_thumbnails),
        title=f"Audit of {run.resolve().name}",
        max_thumbnails=max_thumbnails,
        seen=_sight(config),
    )
    return findings


def photos_of(run):
    """The folder of photos that a run was trained on.

    Raises:
        OSError: If it is not a run folder.
        ValueError: If the run was not trained on a folder of photos.
    """
    config = run_folder.read_config(run)
    if config["data"]["name"] != "image_folder":
        raise ValueError(
            "Only photos in a folder can be copied or moved. Received: a run on "
            f"{config['data']['name']}. Use --apply=csv."
        )
    if config["data"]["labels"] is not None:
        raise ValueError(
            "Only photos in class folders can be copied or moved. Received: a run with "
            f"config.data.labels={config['data']['labels']}. Use --apply=csv."
        )
    return Path(config["data"]["dir"]).expanduser()


def folder_of(run):
    """The folder that ids of a run's audit are paths in; None if they are no paths."""
    data = run_folder.read_config(run)["data"]
    return Path(data["dir"]).expanduser() if data["name"] == "image_folder" else None


def validation_dir_of(config):
    """The folder of held-out photos of a configuration; None if it has none."""
    data = config["data"]
    if data["name"] != "image_folder" or data["validation_dir"] is None:
        return None
    return Path(data["validation_dir"]).expanduser().absolute()


def keep_changed(planned, run, output):
    """A plan in which photos are kept that have changed since a run was audited.

    Args:
        planned: What `plan.plan` returned.
        run: The run folder.
        output: The folder of the audit.

    Returns:
        A `pandas.DataFrame` like `planned`.
    """
    config = run_folder.read_config(run)
    if config["data"]["name"] != "image_folder":
        return planned
    run, output = Path(run), Path(output)
    audited = changed.recorded(run, output, validation_dir_of(config))
    photos = Path(config["data"]["dir"]).expanduser()
    return changed.keep_changed(planned, photos, audited, f"--run={run}")


def _sight(config):
    """Where the photos are that the report can show, if the data are photos."""
    is_folder = config.data.name == "image_folder"
    return sight.Sight(photos=Path(config.data.dir).expanduser() if is_folder else None)


def make_folder(output):
    """Makes the folder, so that an error shows before anything that takes time."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            "Expected a folder that can be written. Received: "
            f"--output={output} ({error.strerror}). Choose another --output."
        ) from error


def _read_config(run):
    config = ml_collections.ConfigDict(run_folder.read_config(run))
    if not (run / "model.keras").exists():
        raise FileNotFoundError(
            f"Expected a finished run. Received: {run}, which has no model.keras. "
            "Run josrc-train with the same --workdir until it ends."
        )
    if not METHODS[config.method].sorts:
        raise ValueError(
            "Expected a run of a method that judges labels. Received: "
            f"config.method={config.method}. Train with --config.method=josrc."
        )
    return config


def load_model(run):
    """The trained model of a run, with the history of its samples if it has one."""
    run = Path(run)
    model = keras.saving.load_model(run / "model.keras")
    if hasattr(model, "sample_history"):
        model.sample_history = read_history(run)
    return model


def read_history(run):
    """The `SampleHistory` that training kept; None if there is none."""
    path = run / "sample_history.npz"
    if path.exists():
        return SampleHistory.load(path)
    logging.warning(
        "%s has no sample_history.npz: it was trained by an older version. Its "
        "verdicts are those of the trained model alone.",
        run,
    )
    return None


def _held_out(config, benchmark):
    """Noisy splits that were not trained on, with ids that no other image has."""
    if folder := validation_dir_of(config):
        return [_below(folder, benchmark.test)]
    held_out, taken = [], benchmark.train.ids
    for name in ("validation", "test"):
        split = getattr(benchmark, name)
        if split is None or np.array_equal(split.labels, split.true_labels):
            continue
        while np.isin(split.ids, taken).any():  # The split had a folder of its own.
            split = _below(name, split)
        taken = np.concatenate([taken, split.ids])
        held_out.append(split)
    return held_out


def _below(folder, split):
    """The split with ids that begin with the folder."""
    ids = np.array([f"{folder}/{each}" for each in split.ids])
    return dataclasses.replace(split, ids=ids)


def _part(split, trained):
    if isinstance(split.images, records.StreamedImages):
        data = batches.evaluation_batches(split, batch_size=256)
        return Part(data, None, split.ids, trained)
    return Part(split.images, split.labels, split.ids, trained)


def _thumbnails(splits, order, table, limit):
    """A function from a row of the table to its image."""
    starts = np.cumsum([0, *(len(split) for split in splits)])
    chosen = report.rows_with_images(table, limit)
    images: dict = {}
    for number, split in enumerate(splits):
        rows = {int(order[row]) - starts[number]: row for row in chosen}
        rows = {place: row for place, row in rows.items() if 0 <= place < len(split)}
        places = np.array(sorted(rows), np.int64)
        read = np.asarray(split.images[places])  # Streamed images are read once.
        images |= {rows[place]: read[n] for n, place in enumerate(places.tolist())}
    return images.__getitem__


def _source(run, config):
    versions = runs_summary.versions()
    return {
        "run": str(run),
        "data": str(config.data.dir or config.data.name),
        "epochs": str(config.epochs),
        "seed": str(config.seed),
        "written by": f"josrc_keras {versions['josrc_keras']}",
    }


def write_table(output, table, findings):
    """Writes `audit.csv`, `findings.json` and, with pyarrow, `audit.parquet`."""
    plan.write_table(table, output / "audit.csv")
    _files.write_json(output / "findings.json", findings)
    if importlib.util.find_spec("pyarrow") is None:
        logging.info(
            "No audit.parquet: `pip install josrc-keras[report]` brings pyarrow."
        )
        return
    with _files.replacing(output / "audit.parquet") as beside:
        table.to_parquet(beside, index=False)
