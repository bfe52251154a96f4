"""A run folder: how it is opened, and how its files are read."""

import csv
import hashlib
import json
import os
from collections.abc import Container
from pathlib import Path

from josrc_keras import _files
from josrc_keras.data.benchmark import Benchmark
from josrc_keras.runs import configuration

DATA = "data.json"  # The file that says which images a run was trained on.


def open_folder(
    workdir: str | os.PathLike, config: dict, *, write: bool = True
) -> Path:
    """Makes a run folder, or opens the one with the same configuration.

    Args:
        workdir: Path of the folder.
        config: The configuration as a dict.
        write: Whether this process writes the configuration. One of many does.

    Returns:
        The `pathlib.Path` of the folder.

    Raises:
        ValueError: If the folder holds a run of a different configuration, or a run
            whose checkpoints are gone.
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


def has_begun(workdir: str | os.PathLike) -> bool:
    """Whether a run folder holds a checkpoint, a model or a summary."""
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


def write_data(workdir: str | os.PathLike, benchmark: Benchmark) -> None:
    """Writes down which images a run is trained on, for `check_data`.

    Raises:
        OSError: If the folder can't be written.
    """
    try:
        _files.write_json(Path(workdir) / DATA, _described(benchmark))
    except OSError as error:
        raise unwritable(workdir, error) from error


def check_data(workdir: str | os.PathLike, benchmark: Benchmark) -> None:
    """Refuses images that are not those that a run was begun with.

    Raises:
        ValueError: If ids, labels or class names differ, or which images are set aside.
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


def unwritable(workdir: str | os.PathLike, error: OSError) -> OSError:
    """The error for a run folder that can't be written."""
    return OSError(
        f"The run folder can't be written. Received: --workdir={workdir} "
        f"({error.strerror or error}). Expected a folder with write permission "
        "and free space. Choose another one, or make room and run again to resume."
    )


def check_there(workdir: str | os.PathLike) -> None:
    """Checks that a run folder is still the one that training began in.

    Raises:
        OSError: If it was removed or emptied. What training writes from then on would
            make a folder that no other command can read.
    """
    if not (Path(workdir) / "config.json").exists():
        raise FileNotFoundError(
            f"The run folder was removed while it trained. Received: {workdir}, "
            "without its config.json. Expected a folder that no one else moves or "
            "deletes. Put it back and run again to resume, or train in a new --workdir."
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


def read_config(workdir: str | os.PathLike) -> dict:
    """The configuration in a run folder, as a dict with today's fields.

    Raises:
        OSError: If the folder has no readable configuration.
    """
    path = Path(workdir) / "config.json"
    try:
        return configuration.upgrade(_config_in(path))
    except (OSError, ValueError) as error:
        raise OSError(
            f"Expected a run folder that `josrc-train` made. Received: {workdir}, "
            "whose config.json can't be read. Pass the --workdir of a training run."
        ) from error


def read_summary(workdir: str | os.PathLike) -> dict:
    """The `summary.json` of a finished run, as a dict.

    Raises:
        OSError: If there is no summary.
    """
    return json.loads((Path(workdir) / "summary.json").read_text(encoding="utf-8"))


def read_history(workdir: str | os.PathLike) -> list[dict[str, float]]:
    """The `history.csv` of a run: a list of a dict of numbers for each epoch.

    Raises:
        OSError: If there is no history.
    """
    with open(Path(workdir) / "history.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {_files.value_of(name): float(value) for name, value in row.items() if value}
        for row in rows
    ]


def network_columns(names: Container[str]) -> dict[str, str]:
    """Which columns of a history are the student's and the teacher's test accuracy.

    `val_accuracy` is the accuracy of the network that answers in `predict`: the only
    network, the student of `JoSRC`, or the teacher of `AdaptiveJoSRC`. The column of
    the other network has that network's name in it.

    Args:
        names: The names of the columns.

    Returns:
        A dict from `"student"` and `"teacher"`, or one of them, to a column's name.
    """
    if "val_student_accuracy" in names:
        return {"student": "val_student_accuracy", "teacher": "val_accuracy"}
    columns = {"student": "val_accuracy", "teacher": "val_teacher_accuracy"}
    return {network: name for network, name in columns.items() if name in names}
