"""A run folder: what is in it, and how it is opened, summarised and drawn."""

import csv
import hashlib
import json
from pathlib import Path

from josrc_keras import _files
from josrc_keras.runs import configuration

DATA = "data.json"  # Which files a run was trained on.


def open_folder(workdir, config, *, write=True):
    """Makes a run folder, or opens the one with the same configuration.

    Args:
        workdir: Path of the folder.
        config: The configuration as a dict.
        write: Whether to write the configuration: one process of many does.

    Returns:
        The `pathlib.Path`.

    Raises:
        ValueError: If the folder holds a run of another configuration, or one whose
            checkpoints are gone.
        OSError: If the folder can't be written.
    """
    workdir = Path(workdir)
    path = workdir / "config.json"
    text = json.dumps(config, indent=2)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if path.exists():
            before = configuration.upgrade(_config_in(path))
            if has_begun(workdir):
                configuration.check_same(before, json.loads(text), workdir)
                _check_resumable(workdir)
        if write:
            _files.write_text(path, text + "\n")
    except OSError as error:
        raise unwritable(workdir, error) from error
    return workdir


def has_begun(workdir):
    """Whether a run folder holds what was trained."""
    workdir = Path(workdir)
    return bool(_checkpoints(workdir)) or any(
        (workdir / name).exists() for name in ("model.keras", "summary.json")
    )


def _checkpoints(workdir):
    return list((workdir / "checkpoint").glob("epoch-*"))


def _check_resumable(workdir):
    if not _checkpoints(workdir):
        raise ValueError(
            "Expected a run to resume, or an empty folder. Received: "
            f"--workdir={workdir}, which holds a trained model whose checkpoints are "
            "gone: to train there would overwrite it. Choose another --workdir, or "
            "remove model.keras and summary.json."
        )


def write_data(workdir, benchmark):
    """Notes which files a run is trained on, for `check_data`.

    Raises:
        OSError: If the folder can't be written.
    """
    try:
        _files.write_json(Path(workdir) / DATA, _described(benchmark))
    except OSError as error:
        raise unwritable(workdir, error) from error


def check_data(workdir, benchmark):
    """Refuses files that are not those that a run was begun with.

    Raises:
        ValueError: If their names or labels differ, or which of them are set aside.
    """
    workdir = Path(workdir)
    if not has_begun(workdir) or not (workdir / DATA).exists():
        return
    before = json.loads((workdir / DATA).read_text(encoding="utf-8"))
    now = _described(benchmark)
    if before != now:
        raise ValueError(
            f"Expected the images that {workdir} was trained on, "
            f"{before['train_images']} and {before['test_images']} to report on. "
            f"Received: {now['train_images']} and {now['test_images']}, of other names "
            "or labels. Put them back as they were (`josrc-audit --apply=undo`, if it "
            "moved them), or train on what there is now in another --workdir."
        )


def _described(benchmark):
    parts = [list(benchmark.class_names)]
    for split in (benchmark.train, benchmark.test):
        parts.append([split.ids.tolist(), split.labels.tolist()])
    return {
        "train_images": len(benchmark.train),
        "test_images": len(benchmark.test),
        "sha256": hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
    }


def unwritable(workdir, error):
    """The error for a run folder that can't be written."""
    return OSError(
        f"The run folder can't be written. Received: --workdir={workdir} "
        f"({error.strerror or error}). Expected a folder with write permission "
        "and free space. Choose another one, or make room and run again to resume."
    )


def _config_in(path):
    try:
        config = json.loads(path.read_text())
    except json.JSONDecodeError:
        config = None
    if not isinstance(config, dict):
        raise ValueError(
            f"Expected a configuration in JSON. Received: {path}, which is none. "
            "Choose another --workdir, or delete the file if it is not needed."
        )
    return config


def read_config(workdir):
    """The configuration in a run folder, as a dict with today's fields.

    Raises:
        OSError: If the folder is not a run folder.
    """
    path = Path(workdir) / "config.json"
    try:
        return configuration.upgrade(_config_in(path))
    except (OSError, ValueError) as error:
        raise OSError(
            f"Expected a run folder that `josrc-train` made. Received: {workdir}, "
            "whose config.json can't be read. Pass the --workdir of a training run."
        ) from error


def read_summary(workdir):
    """The `summary.json` of a complete run, as a dict.

    Raises:
        OSError: If the run is not complete.
    """
    return json.loads((Path(workdir) / "summary.json").read_text(encoding="utf-8"))


def read_history(workdir):
    """The `history.csv` of a run: a dict of numbers an epoch.

    Raises:
        OSError: If there is none.
    """
    with open(Path(workdir) / "history.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {name: float(value) for name, value in row.items() if value} for row in rows
    ]


def network_columns(names):
    """Which columns of a history are the student's and the teacher's test accuracy.

    `val_accuracy` is that of the network that answers: the only one, the student of
    Jo-SRC, the teacher of the adaptive method. The other one's has its name in it.

    Args:
        names: The names of the columns.

    Returns:
        A dict from `"student"` and `"teacher"`, or one of them, to a name.
    """
    if "val_student_accuracy" in names:
        return {"student": "val_student_accuracy", "teacher": "val_accuracy"}
    columns = {"student": "val_accuracy", "teacher": "val_teacher_accuracy"}
    return {network: name for network, name in columns.items() if name in names}
