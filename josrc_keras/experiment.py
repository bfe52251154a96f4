"""From a configuration to data, model, callbacks and a trained run folder."""

import importlib.util

import keras
from absl import logging

from josrc_keras import data, files, guards, networks, run_folder, views
from josrc_keras.baselines import Standard
from josrc_keras.callbacks import (
    CleanThreshold,
    LinearDecay,
    MeanTeacher,
    RunCheckpoint,
    SelectionMonitor,
)
from josrc_keras.data import pipeline
from josrc_keras.model import JoSRC
from josrc_keras.progress import Progress

METHODS = {"josrc": JoSRC, "standard": Standard}


def make_benchmark(config):
    """The dataset that `config.data` names, a `data.Benchmark`."""
    names = tuple(data.BENCHMARKS)
    name = guards.check_choice("config.data.name", config.data.name, names)
    return data.BENCHMARKS[name](
        noise=config.data.noise,
        rate=config.data.rate,
        seed=config.data.seed,
        train_size=config.data.train_size,
    )


def make_model(config, num_classes):
    """The compiled model of `config.method`."""
    guards.check_choice("config.method", config.method, tuple(METHODS))
    names = tuple(networks.NETWORKS)
    make_network = networks.NETWORKS[
        guards.check_choice("config.network.name", config.network.name, names)
    ]
    network = make_network(num_classes, head=config.network.head)
    augmentation = views.crop_and_flip(**config.augmentation)
    arguments = config.model if config.method == "josrc" else {}
    model = METHODS[config.method](
        network, num_classes, augmentation=augmentation, **arguments
    )
    optimizer = keras.optimizers.get(
        {
            "class_name": config.optimizer.name,
            "config": config.optimizer.arguments.to_dict(),
        }
    )
    model.compile(
        optimizer,
        metrics=["accuracy"],
        steps_per_execution=config.steps_per_execution,
    )
    return model


def make_callbacks(config, workdir):
    """The callbacks of the method and of the run folder."""
    decay = LinearDecay(
        learning_rate=config.optimizer.arguments.learning_rate, **config.decay
    )
    callbacks = [decay, *_tensorboard(workdir)]
    if config.method == "josrc":
        callbacks += [
            CleanThreshold(**config.threshold),
            MeanTeacher(**config.teacher),
            SelectionMonitor(workdir / "clean_likelihood.json"),
        ]
    return callbacks


def _tensorboard(workdir):
    if importlib.util.find_spec("tensorboard") is None:
        logging.info(
            "No TensorBoard log: `pip install josrc-keras[tensorboard]` adds it."
        )
        return []
    return [
        keras.callbacks.TensorBoard(str(workdir / "tensorboard"), write_graph=False)
    ]


def seed_everything(config):
    """Seeds Python, NumPy and Keras; where asked, makes TensorFlow's ops deterministic.

    `config.deterministic` is `"always"`, `"never"`, or `"cpu"`: unless there is a GPU,
    where determinism costs speed, XLA not least, which Keras then turns off.
    """
    import tensorflow as tf

    choices = ("cpu", "always", "never")
    when = guards.check_choice("config.deterministic", config.deterministic, choices)
    keras.utils.set_random_seed(config.seed)
    on_cpu = not tf.config.list_physical_devices("GPU")
    if when == "always" or (when == "cpu" and on_cpu):
        tf.config.experimental.enable_op_determinism()


def train(config, workdir, *, verbose=1):
    """Trains by a configuration into a run folder, or resumes the run in it.

    Args:
        config: A configuration of `josrc_keras.configs`.
        workdir: The run folder; see the README for what it will hold.
        verbose: 0 silent, 1 a progress bar, 2 a line an epoch.

    Returns:
        The summary, a dict.

    Raises:
        ValueError: If a field of the configuration is out of range, or the folder
            holds a run of another configuration.
        OSError: If the folder can't be written or the data can't be read.
        FloatingPointError: If training breaks down.
    """
    if config.epochs < 1:
        raise ValueError(
            f"Expected config.epochs of at least 1. Received: epochs={config.epochs}."
        )
    workdir = run_folder.open_folder(workdir, config.to_dict())
    seed_everything(config)
    benchmark = make_benchmark(config)
    model = make_model(config, benchmark.num_classes)
    checkpoint = RunCheckpoint(
        workdir / "checkpoint", history_path=workdir / "history.csv"
    )
    try:
        return _train(model, benchmark, config, checkpoint, workdir, verbose)
    except OSError as error:
        raise run_folder.unwritable(workdir, error) from error


def _train(model, benchmark, config, checkpoint, workdir, verbose):
    files.remove_unfinished(workdir)
    initial_epoch = checkpoint.restore(model)
    if initial_epoch:
        logging.info("Resuming after epoch %d of %d.", initial_epoch, config.epochs)
    if initial_epoch < config.epochs:
        callbacks = [*make_callbacks(config, workdir), checkpoint, Progress(verbose)]
        _fit(model, benchmark, config, callbacks, initial_epoch)
    with files.replacing(workdir / "model.keras") as beside:
        model.save(beside)
    summary = run_folder.summarise(config, benchmark, checkpoint)
    files.write_json(workdir / "summary.json", summary)
    if importlib.util.find_spec("matplotlib") is None:
        logging.info("No plots: `pip install josrc-keras[report]` adds them.")
    else:
        run_folder.draw(workdir, checkpoint.history)
    return summary


def _fit(model, benchmark, config, callbacks, initial_epoch):
    batches = pipeline.train_batches(
        benchmark.train,
        batch_size=config.batch_size,
        seed=config.seed,
        initial_epoch=initial_epoch,
    )
    model.fit(
        batches,
        epochs=config.epochs,
        initial_epoch=initial_epoch,
        steps_per_epoch=pipeline.steps_per_epoch(benchmark.train, config.batch_size),
        validation_data=pipeline.evaluation_batches(benchmark.test, batch_size=500),
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )
