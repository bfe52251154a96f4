"""The summary of a run: its final numbers, and what is needed to repeat it."""

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
from josrc_keras._version import __version__
from josrc_keras.devices import accelerator, replicas
from josrc_keras.runs import folder, plots
from josrc_keras.runs.methods import JOSRC

LAST = 10  # The paper's figure of merit is the mean over the last ten epochs.


def summarise(config, benchmark, checkpoint, petaflop=None):
    """The final numbers of a run, and what is needed to repeat it.

    Accuracies are on the test images, whose labels are right or as given
    (`test_labels`). Mean and deviation over the last ten epochs come first, then the
    best epoch, which is picked on the test images and therefore optimistic.

    Args:
        config: The configuration.
        benchmark: The `data.Benchmark`.
        checkpoint: The run's `RunCheckpoint`.
        petaflop: Arithmetic of the training, or None where it is not known.

    Returns:
        A dict that JSON can hold.
    """
    history = checkpoint.history
    columns = folder.network_columns(history[-1])
    if config.method in JOSRC and config.teacher.evaluate == "teacher":
        columns = {"teacher": "val_accuracy"}
    elif config.method in JOSRC and config.teacher.evaluate == "student":
        columns = {"student": "val_accuracy"}
    # The first of equally good epochs is the best.
    best = max(history, key=lambda row: row["val_accuracy"])
    return {
        "method": config.method,
        "epochs": len(history),
        "student": accuracy(history, columns.get("student")),
        "teacher": accuracy(history, columns.get("teacher")),
        "best_epoch": best["epoch"],
        "verdicts_best_epoch": _verdicts(best),
        "verdicts_last_epoch": _verdicts(history[-1]),
        "seed": config.seed,
        "noise_seed": config.data.seed,
        "noise_checksum": benchmark.noise_checksum,
        "train_images": len(benchmark.train),
        "test_images": len(benchmark.test),
        "class_names": list(map(str, benchmark.class_names)),
        "skipped_images": len(benchmark.skipped),
        "test_labels": "as given" if benchmark.test.true_labels is None else "right",
        "petaflop": petaflop,
        "wall_seconds": round(checkpoint.seconds, 1),
        "cpu_seconds": round(checkpoint.cpu_seconds, 1),
        "cores": accelerator.core_count(),
        "device": device(),
        "devices": replicas.part_count(),
        "processes": replicas.process_count(),
        "versions": versions(),
        "command": command(),
    }


def _verdicts(row):
    """The numbers about verdicts in an epoch's row."""
    kinds = ("clean_", "id_", "ood_")
    return {name: value for name, value in row.items() if name.startswith(kinds)}


def accuracy(history, key):
    """Mean and deviation of the last ten epochs, and the best and the last epoch.

    Args:
        history: A list of a dict for each epoch.
        key: Name of the accuracy in it, or None.

    Returns:
        A dict of `last10_mean`, `last10_deviation` (None with one epoch), `best` and
        `last`, each in [0, 1]; None if no epoch has that accuracy.
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
    """The command line of this process, to be run in the same folder."""
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
    """Versions of Python, this package, Keras, its backend and NumPy, as a dict."""
    installed = {"python": platform.python_version(), "josrc_keras": __version__}
    backend = keras.backend.backend()
    for name in ("keras", backend, "numpy"):
        installed[name] = importlib.metadata.version(name)
    return installed | {"backend": backend}


def draw(workdir, history):
    """Draws the plots of a run into `plots/`, and returns their paths.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    path = Path(workdir) / "clean_likelihood.json"
    histogram = json.loads(path.read_text()) if path.exists() else None
    _files.remove_unfinished(Path(workdir) / "plots")
    return plots.draw_all(Path(workdir) / "plots", history, histogram)
