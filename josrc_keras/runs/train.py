"""From a configuration to data, model, callbacks and a trained run folder."""

import importlib.util
import os
import tempfile
from pathlib import Path

import keras
from absl import logging

from josrc_keras import _checks, _files
from josrc_keras.runs import folder as run_folder
from josrc_keras.runs.build_model import make_model, make_optimizer, on_accelerator
from josrc_keras.callbacks import (
    CosineDecay,
    HeldOut,
    LinearDecay,
    RunCheckpoint,
    SelectionMonitor,
)
from josrc_keras.data import batches
from josrc_keras.data.batches import balance
from josrc_keras.runs.build_data import PATHS, make_benchmark, with_absolute_paths
from josrc_keras.devices import replicas
from josrc_keras.runs.methods import METHODS
from josrc_keras.runs.progress import Progress

SMALL = 64  # Pixels a side of images that are evaluated many at a time.


def make_callbacks(config, workdir, train_split):
    """The callbacks of the method and of the run folder.

    Args:
        config: A configuration.
        workdir: The run folder.
        train_split: The training `data.Split`.

    Returns:
        A list of Keras callbacks.
    """
    monitors = []
    if train_split.true_labels is not None:
        monitors.append(SelectionMonitor(workdir / "clean_likelihood.json"))
    decay = _make_decay(config)
    path = workdir / "sample_history.npz"
    required = METHODS[config.method].callbacks(config, train_split, path)
    return [decay, *monitors, *required, *_tensorboard(workdir)]


def _make_decay(config):
    plan = config.decay.to_dict()
    # A run of before this field has none.
    name = plan.pop("name", "linear")
    _checks.check_choice("config.decay.name", name, ("linear", "cosine"))
    learning_rate = config.optimizer.arguments.learning_rate
    if name == "cosine":
        return CosineDecay(learning_rate)
    if not hasattr(make_optimizer(config), "beta_1"):
        plan["beta_1"] = None  # It is Adam's.
    return LinearDecay(learning_rate=learning_rate, **plan)


def _tensorboard(workdir):
    if keras.backend.backend() == "jax" or not replicas.is_chief():
        return []  # On JAX since Keras writes its log with TensorFlow.
    if importlib.util.find_spec("tensorboard") is None:
        logging.info(
            "No TensorBoard log: `pip install josrc-keras[tensorboard]` adds it."
        )
        return []
    return [
        keras.callbacks.TensorBoard(str(workdir / "tensorboard"), write_graph=False)
    ]


def seed_everything(config):
    """Seeds Python, NumPy and Keras; where asked, makes every operation deterministic.

    `config.deterministic` is `"always"`, `"never"`, or `"cpu"`: unless there is an
    accelerator, where determinism costs speed. On JAX the CPU always is, and an
    accelerator only if the environment says so before the start.

    Raises:
        ValueError: If the field is unknown, or JAX was started without determinism.
    """
    choices = ("cpu", "always", "never")
    when = _checks.check_choice("config.deterministic", config.deterministic, choices)
    keras.utils.set_random_seed(config.seed)
    if keras.backend.backend() == "jax":
        flag = "--xla_gpu_deterministic_ops=true"
        flags = os.environ.get("XLA_FLAGS", "")
        if when == "always" and on_accelerator() and flag not in flags:
            raise ValueError(
                "config.deterministic=always on JAX needs a setting that XLA reads at "
                f"its start. Received: XLA_FLAGS={flags!r}. Set XLA_FLAGS={flag} in "
                "the environment."
            )
        return
    import tensorflow as tf

    on_cpu = not tf.config.list_physical_devices("GPU")
    if when == "always" or (when == "cpu" and on_cpu):
        tf.config.experimental.enable_op_determinism()


def train(config, workdir, *, verbose=1, callbacks=()):
    """Trains by a configuration into a run folder, or resumes the run in it.

    Args:
        config: A configuration of `josrc_keras.configs`.
        workdir: The run folder; see the README for what it will hold.
        verbose: 0 silent, 1 a progress bar, 2 a line an epoch.
        callbacks: Further Keras callbacks, called after the run's own.

    Returns:
        The summary, a dict; None if a callback stopped the run before its last epoch.

    Raises:
        ValueError: If a field of the configuration is out of range, or the folder
            holds a run of another configuration or on other photos.
        OSError: If the folder can't be written or the data can't be read.
        FloatingPointError: If training breaks down.
    """
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
    seed_everything(config)
    benchmark = make_benchmark(config, workdir)
    if config.data.name in PATHS and replicas.is_chief():
        run_folder.write_data(workdir, benchmark)
    steps = _steps_per_epoch(benchmark.train, config)
    shape = benchmark.train.images.shape[1:]
    samples = len(benchmark.train)
    model = make_model(config, benchmark.num_classes, steps, shape, samples)
    own = make_callbacks(config, workdir, benchmark.train)
    checkpoint = RunCheckpoint(
        workdir / "checkpoint",
        history_path=workdir / "history.csv",
        every=config.checkpoint_every,
        carried=[callback for callback in own if hasattr(callback, "set_state")],
    )
    if benchmark.validation is not None:
        own.append(HeldOut(lambda: _evaluation_batches(benchmark.validation)))
    own += [checkpoint, Progress(verbose if replicas.is_chief() else 0)]
    try:
        return _train(model, benchmark, config, [*own, *callbacks], checkpoint, workdir)
    except OSError as error:
        raise run_folder.unwritable(workdir, error) from error


def _train(model, benchmark, config, callbacks, checkpoint, workdir):
    if replicas.is_chief():
        _files.remove_unfinished(workdir)
    initial_epoch = checkpoint.restore(model)
    if initial_epoch:
        logging.info("Resuming after epoch %d of %d.", initial_epoch, config.epochs)
    if initial_epoch < config.epochs:
        _fit(model, benchmark, config, callbacks, initial_epoch)
        if len(checkpoint.history) < config.epochs:
            return None
    summary = run_folder.summarise(config, benchmark, checkpoint)
    _save(model, workdir / "model.keras")
    if not replicas.is_chief():
        return summary
    _files.write_json(workdir / "summary.json", summary)
    if importlib.util.find_spec("matplotlib") is None:
        logging.info("No plots: `pip install josrc-keras[report]` adds them.")
    else:
        run_folder.draw(workdir, checkpoint.history)
    return summary


def _save(model, path):
    """Saves the model; all processes must, for some of its values are spread."""
    if replicas.is_chief():
        with _files.replacing(path) as beside:
            model.save(beside)
    else:
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / path.name)


def _steps_per_epoch(split, config):
    return batches.steps_per_epoch(
        split, config.batch_size, balanced=balance.of(config)
    )


def _train_batches(config, train, initial_epoch):
    """The training batches; of strong views, where they are asked for."""
    data = batches.train_batches(
        train,
        batch_size=config.batch_size,
        seed=config.seed,
        initial_epoch=initial_epoch,
        balanced=balance.of(config),
    )
    # A run of before this field has none.
    fields = config.get("strong_views", {"enabled": False})
    if not fields["enabled"]:
        return data
    if not hasattr(data, "element_spec"):
        raise ValueError(
            "Strong views are drawn in tf.data. Received: config.strong_views.enabled="
            f"True and images that stay on the device, on {keras.backend.backend()}. "
            "Set KERAS_BACKEND=tensorflow, or stream the images: `josrc-records` "
            "writes them for config.data.name=records."
        )
    from josrc_keras.views import strong

    options = {name: fields[name] for name in ("num_ops", "magnitude", "library")}
    return strong.views_of(
        data,
        strong.rand_augment(**options, **config.augmentation),
        seed=config.seed,
        start=initial_epoch * _steps_per_epoch(train, config),
        two=METHODS[config.method].model.needs_two_views,
    )


def _evaluation_batches(split):
    size = 500 if split.images.shape[1] <= SMALL else 100
    return batches.evaluation_batches(split, batch_size=size)


def _fit(model, benchmark, config, callbacks, initial_epoch):
    train = benchmark.train
    model.fit(
        _train_batches(config, train, initial_epoch),
        epochs=config.epochs,
        initial_epoch=initial_epoch,
        steps_per_epoch=_steps_per_epoch(train, config),
        validation_data=_evaluation_batches(benchmark.test),
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )
