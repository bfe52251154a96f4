"""From a configuration to data, model, callbacks and a trained run folder."""

import importlib.util
import os
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import keras
import ml_collections
from absl import logging

from josrc_keras import _files
from josrc_keras.callbacks import (
    HeldOut,
    RunCheckpoint,
)
from josrc_keras.devices import replicas
from josrc_keras.runs import arithmetic, duration, start
from josrc_keras.runs import folder as run_folder
from josrc_keras.runs import summary as runs_summary
from josrc_keras.runs.build_callbacks import make_callbacks
from josrc_keras.runs.build_data import (
    evaluation_batches,
    make_benchmark,
    steps_per_epoch,
    train_batches,
    with_batch_that_fits,
)
from josrc_keras.runs.build_model import fit_first_layers, make_model
from josrc_keras.runs.configuration import PATHS, with_absolute_paths
from josrc_keras.runs.progress import Progress, WholeRun
from josrc_keras.runs.seeding import seed_everything


def train(
    config: ml_collections.ConfigDict,
    workdir: str | os.PathLike,
    *,
    verbose: int | str = 1,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict | None:
    """Trains by a configuration into a run folder, or resumes the run in it.

    Args:
        config: A configuration of `josrc_keras.configs`.
        workdir: The run folder. docs/reference/run_folder.md says what it will hold.
        verbose: 0 is silent, 1 a progress bar of each epoch, 2 a line an epoch, and
            `"whole"` says how far the whole run is and how long it still takes.
        callbacks: Further Keras callbacks, called after the run's own.

    Returns:
        The summary, a dict; None if a callback stopped the run before its last epoch.

    Raises:
        ValueError: If a field of the configuration is out of range, or the folder
            holds a run of a different configuration or on different images.
        OSError: If the folder can't be written or the data can't be read.
        FloatingPointError: If training breaks down.
    """
    config = start.settled(config)
    if config.epochs < 1:
        raise ValueError(
            f"Expected config.epochs of at least 1. Received: epochs={config.epochs}."
        )
    parts = replicas.part_count()
    if config.batch_size % parts:
        raise ValueError(
            f"Expected config.batch_size as a multiple of the {parts} devices that "
            f"share a batch. Received: batch_size={config.batch_size}."
        )
    config = with_absolute_paths(config)
    workdir = run_folder.open_folder(
        workdir, config.to_dict(), write=replicas.is_chief()
    )
    only_one = _files.locked(workdir) if replicas.is_chief() else nullcontext()
    with only_one:
        return _train_in(workdir, config, verbose, callbacks)


def _train_in(workdir, config, verbose, callbacks):
    """Trains in a run folder that no other process works in."""
    seed_everything(config)
    benchmark = make_benchmark(config, workdir)
    if config.data.name in PATHS and replicas.is_chief():
        run_folder.write_data(workdir, benchmark)
    config = with_batch_that_fits(config, benchmark.train)
    steps = steps_per_epoch(benchmark.train, config)
    shape = benchmark.train.images.shape[1:]
    samples = len(benchmark.train)
    model = make_model(config, benchmark.num_classes, steps, shape, samples)
    fit_first_layers(model, benchmark.train.images)
    held_out_batches = None
    if (held_out := benchmark.validation) is not None:

        def held_out_batches():
            return evaluation_batches(held_out)

    own = make_callbacks(config, workdir, benchmark.train, held_out_batches)
    checkpoint = RunCheckpoint(
        workdir / "checkpoint",
        history_path=workdir / "history.csv",
        every=config.checkpoint_every,
        carried=[callback for callback in own if hasattr(callback, "set_state")],
    )
    if held_out_batches is not None:
        own.append(HeldOut(held_out_batches))
    if replicas.is_chief():  # It looks before the others write.
        own.insert(0, _Watch(workdir))
    own.append(checkpoint)
    if replicas.is_chief() and verbose:
        own.append(WholeRun() if verbose == "whole" else Progress(verbose))
    try:
        return _train(model, benchmark, config, [*own, *callbacks], checkpoint, workdir)
    except OSError as error:
        run_folder.check_there(workdir)
        raise run_folder.unwritable(workdir, error) from error


def _train(model, benchmark, config, callbacks, checkpoint, workdir):
    if replicas.is_chief():
        _files.remove_unfinished(workdir)
    initial_epoch = checkpoint.restore(model)
    if initial_epoch:
        logging.info("Resuming after epoch %d of %d.", initial_epoch, config.epochs)
    if initial_epoch < config.epochs:
        duration.announce(model, benchmark.train, config, initial_epoch)
        _fit(model, benchmark, config, callbacks, initial_epoch)
        if len(checkpoint.history) < config.epochs:
            return None
    samples = steps_per_epoch(benchmark.train, config) * config.batch_size
    petaflop = arithmetic.petaflop(model, samples * len(checkpoint.history))
    summary = runs_summary.summarise(config, benchmark, checkpoint, petaflop)
    _save(model, workdir / "model.keras")
    if not replicas.is_chief():
        return summary
    _files.write_json(workdir / "summary.json", summary)
    if importlib.util.find_spec("matplotlib") is None:
        logging.info("No plots: `pip install josrc-keras[report]` adds them.")
    else:
        runs_summary.draw(workdir, checkpoint.history)
    return summary


class _Watch(keras.callbacks.Callback):
    """Stops a training whose run folder was removed, before anything is written."""

    def __init__(self, workdir):
        super().__init__()
        self.workdir = workdir

    def on_epoch_end(self, epoch, logs=None):
        run_folder.check_there(self.workdir)


def _save(model, path):
    """Saves the model. Every process must call this, as some values are distributed."""
    if replicas.is_chief():
        with _files.replacing(path) as beside:
            model.save(beside)
    else:
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / path.name)


def _fit(model, benchmark, config, callbacks, initial_epoch):
    train = benchmark.train
    model.fit(
        train_batches(config, train, initial_epoch),
        epochs=config.epochs,
        initial_epoch=initial_epoch,
        steps_per_epoch=steps_per_epoch(train, config),
        validation_data=evaluation_batches(benchmark.test),
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )
