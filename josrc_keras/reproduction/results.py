"""The records of runs: JSON files, with the histories that all numbers come from."""

import json
from pathlib import Path

from josrc_keras import _checks, _files
from josrc_keras.reproduction import robustness, tables
from josrc_keras.runs import configuration
from josrc_keras.runs import folder as run_folder

DIGITS = 6  # Digits of an accuracy in [0, 1]. One test image is 1e-4 or more.


def path_of(folder, run):
    """The path of a run's record in the folder of a protocol."""
    return Path(folder) / f"{run.name}.json"


def read(path):
    """Reads a record, with today's names in its configuration and history.

    Raises:
        OSError: If the file can't be read.
        ValueError: If the file is no record.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        _check(record)
        record["config"] = configuration.upgrade(record["config"])
        record["history"] = _by_network(record["history"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"Expected a record of `josrc-reproduce`. Received: {path} ({error!r}). "
            "Delete it to have the run done again."
        ) from error
    return record


def _by_network(history):
    """A history whose `val_accuracy` is the student's, as in older records."""
    if "val_student_accuracy" not in history:
        return history
    names = {}
    for prefix in ("val_", "held_out_"):
        names[f"{prefix}student_accuracy"] = f"{prefix}accuracy"
        names[f"{prefix}student_loss"] = f"{prefix}loss"
        names[f"{prefix}accuracy"] = f"{prefix}teacher_accuracy"
        names[f"{prefix}loss"] = f"{prefix}teacher_loss"
    return {names.get(name, name): values for name, values in history.items()}


def _check(record):
    """Raises an error if the record lacks what its readers need."""
    run, summary, history = record["run"], record["summary"], record["history"]
    protocols = [names for names in tables.DATASETS.values()]
    datasets = {name for each in protocols for names in each.values() for name in names}
    rows = {(row.dataset, row.cell) for row in robustness.ROWS}
    if (run["dataset"], run["cell"]) not in rows:
        _checks.check_choice("dataset", run["dataset"], tuple(datasets))
        _checks.check_choice("cell", run["cell"], tuple(tables.CELLS))
    _checks.check_choice("method", run["method"], tuple(tables.METHODS))
    record["config"], run["recipe"], run["seed"], run["overrides"].items()
    for field in ("wall_seconds", "noise_checksum", "device", "versions", "command"):
        summary[field]
    lengths = {len(history[name]) for name in {"epoch", "val_accuracy", *history}}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"columns of the history with {sorted(lengths)} values")


def read_all(folder):
    """All records in the folder of a protocol, in the order of their names."""
    return [read(path) for path in sorted(Path(folder).glob("*/*/*.json"))]


def is_done(folder, run, config):
    """Whether the run has a record.

    Raises:
        ValueError: If it has a record of a different configuration.
    """
    path = path_of(folder, run)
    if not path.exists():
        return False
    before, now = read(path)["config"], json.loads(json.dumps(config))
    # The default of a later field does what was done before, and an override of it is
    # part of the run's name.
    differing = configuration.differences(before, now, of_new_fields=False)
    if differing:
        raise ValueError(
            "Expected the record of this run, or none. Received: "
            f"{path}, of another configuration ({', '.join(differing[:5])}). Choose "
            "another --workdir, or delete the record."
        )
    return True


def write(folder, run, workdir, audit=None):
    """Writes the record of a finished run.

    Args:
        folder: Folder of the protocol.
        run: A `tables.Run`.
        workdir: Its run folder, as `runs.train` left it.
        audit: What `Run.audit` returned, or None.

    Returns:
        The path of the record.

    Raises:
        OSError: If the run is not finished, or the record can't be written.
    """
    history = run_folder.read_history(workdir)
    columns = dict.fromkeys(name for row in history for name in row)
    record = {
        "run": run.fields(),
        "summary": run_folder.read_summary(workdir),
        "config": run_folder.read_config(workdir),
        "history": {
            name: [_rounded(row.get(name)) for row in history] for name in columns
        },
    }
    if audit is not None:
        record["audit"] = audit
    path = path_of(folder, run)
    _files.write_text(path, _compact(record))
    return path


def _rounded(value):
    return None if value is None else round(value, DIGITS)


def _compact(record):
    """JSON with a line for each column of the history."""
    lines = [
        f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in record["history"].items()
    ]
    rest = json.dumps({**record, "history": "HISTORY"}, indent=1)
    return rest.replace('"HISTORY"', "{\n" + ",\n".join(lines) + "\n }") + "\n"
