"""A run folder: what is in it, and how it is opened, summarised and drawn."""

import csv
import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import sys
from pathlib import Path

import keras

from josrc_keras import _files
from josrc_keras.runs import plots
from josrc_keras._version import __version__
from josrc_keras.data.benchmarks import encoded
from josrc_keras.devices import replicas

DATA = "data.json"  # Which files a run was trained on.
LAST = 10  # The paper's figure of merit is the mean over the last ten epochs.


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
            before = _config_in(path)
            if has_begun(workdir):
                _check_same(before, json.loads(text), workdir)
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


def differences(before, now, *, of_new_fields=True):
    """How two configurations differ, a text for each field.

    Args:
        before: A configuration as a dict.
        now: Another one.
        of_new_fields: Whether fields that only `now` has count.

    Returns:
        A list of texts.
    """
    before, now = _without_places(before), _without_places(now)
    if not of_new_fields:
        now = {key: value for key, value in now.items() if key in before}
    return [
        f"{key}: {before.get(key)!r} there, {now.get(key)!r} now"
        for key in sorted(before | now)
        if before.get(key) != now.get(key)
    ]


def _without_places(config):
    """The fields but for those that say where data are, not what they are.

    Of records, and of a large set, `data.json` and their own index say what they are.
    """
    fields = _flat(config)
    fields.pop("data.manual_dir", None)
    if fields.get("data.name") in (*encoded.NAMES, "records"):
        fields.pop("data.dir", None)
    return fields


def _check_same(before, now, workdir):
    differing = differences(before, now)
    if differing:
        changes = ", ".join(differing[:5])
        raise ValueError(
            f"The folder {workdir} holds a run of another configuration. Received: "
            f"{changes}. Resume it with its own configuration (config.json), or choose "
            "another --workdir."
        )


def _flat(config, prefix=""):
    """A nested dict with dotted keys instead."""
    flat: dict = {}
    for key, value in config.items():
        inner = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


def read_config(workdir):
    """The configuration in a run folder, as a dict.

    Raises:
        OSError: If the folder is not a run folder.
    """
    path = Path(workdir) / "config.json"
    try:
        return _config_in(path)
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


def summarise(config, benchmark, checkpoint):
    """The final numbers of a run and all that is needed to repeat it.

    Accuracies are on the clean test set, or on validation images with the labels as
    they are (`test_labels`): mean and deviation over the last ten epochs
    first, then the best epoch, which is chosen on test data and therefore optimistic.

    Args:
        config: The configuration.
        benchmark: The `data.Benchmark`.
        checkpoint: The run's `RunCheckpoint`.

    Returns:
        A dict that JSON can hold.
    """
    history = checkpoint.history
    columns: dict = {"student": "val_accuracy", "teacher": "val_teacher_accuracy"}
    if config.method == "josrc" and config.teacher.evaluate == "teacher":
        columns = {"student": None, "teacher": "val_accuracy"}
    best = max(history, key=lambda row: row["val_accuracy"])  # The first of equals.
    return {
        "method": config.method,
        "epochs": len(history),
        "student": accuracy(history, columns["student"]),
        "teacher": accuracy(history, columns["teacher"]),
        "best_epoch": best["epoch"],
        "verdicts_best_epoch": _verdicts(best),
        "verdicts_last_epoch": _verdicts(history[-1]),
        "seed": config.seed,
        "noise_seed": config.data.seed,
        "noise_checksum": benchmark.noise_checksum,
        "train_images": len(benchmark.train),
        "test_images": len(benchmark.test),
        "skipped_images": len(benchmark.skipped),
        "test_labels": "as given" if benchmark.test.true_labels is None else "right",
        "wall_seconds": round(checkpoint.seconds, 1),
        "device": device(),
        "devices": replicas.part_count(),
        "processes": replicas.process_count(),
        "versions": versions(),
        "command": command(),
    }


def _verdicts(row):
    """What an epoch's row says of the verdicts."""
    kinds = ("clean_", "id_", "ood_")
    return {name: value for name, value in row.items() if name.startswith(kinds)}


def accuracy(history, key):
    """Mean and deviation of the last ten epochs, and the best and the last epoch.

    Args:
        history: A dict an epoch.
        key: Name of the accuracy, or None.

    Returns:
        A dict; None if no epoch has such a number.
    """
    values = [row[key] for row in history if key in row]
    if not values:
        return None
    last = values[-LAST:]
    return {
        "last10_mean": statistics.fmean(last),
        "last10_deviation": statistics.stdev(last) if len(last) > 1 else None,
        "best": max(values),
        "last": values[-1],
    }


def command():
    """The command line of this process, for a shell in the same folder."""
    program = Path(sys.argv[0])
    start = [program.name]
    if program.suffix == ".py" and program.parent.name == "josrc_keras":
        start = ["python", "-m", f"josrc_keras.{program.stem}"]
    settings = ""
    if "XLA_FLAGS" in os.environ:
        settings += f"XLA_FLAGS={shlex.quote(os.environ['XLA_FLAGS'])} "
    if keras.backend.backend() != "tensorflow":
        settings += f"KERAS_BACKEND={keras.backend.backend()} "
    return settings + shlex.join([*start, *sys.argv[1:]])


def device():
    """The hardware that Keras trains on, in words."""
    if keras.backend.backend() == "jax":
        import jax

        if jax.default_backend() != "cpu":
            return ", ".join(device.device_kind for device in jax.devices())
        return f"CPU ({platform.machine()})"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [
            tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
            for gpu in gpus
        ]
        return ", ".join(names)
    return f"CPU ({platform.machine()})"


def versions():
    """Versions of Python, this package and what it computes with."""
    found = {"python": platform.python_version(), "josrc_keras": __version__}
    backend = keras.backend.backend()
    for name in ("keras", backend, "numpy"):
        found[name] = importlib.metadata.version(name)
    return found | {"backend": backend}


def draw(workdir, history):
    """Draws the plots of a run into `plots/`; returns their paths.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    path = Path(workdir) / "clean_likelihood.json"
    histogram = json.loads(path.read_text()) if path.exists() else None
    _files.remove_unfinished(Path(workdir) / "plots")
    return plots.draw_all(Path(workdir) / "plots", history, histogram)
