"""From a configuration to data, model, callbacks and a trained run folder."""

import contextlib
import importlib.util
import os
import tempfile
from pathlib import Path

import keras
from absl import logging

from josrc_keras import (
    data,
    files,
    guards,
    networks,
    replicas,
    run_folder,
    schedules,
    views,
)
from josrc_keras.callbacks import (
    LinearDecay,
    RunCheckpoint,
    SelectionMonitor,
    VerdictHistory,
)
from josrc_keras.data import batches
from josrc_keras.methods import METHODS
from josrc_keras.progress import Progress

ON_DEVICE = 50  # Steps an execution on JAX with an accelerator, at most.


def make_benchmark(config, workdir=None):
    """The dataset that `config.data` names, a `data.Benchmark`.

    Args:
        config: A configuration.
        workdir: The run folder, which keeps the decoded images of a folder of photos.

    Raises:
        ValueError: If a field is out of range.
        OSError: If the data can't be read.
    """
    names = (*data.BENCHMARKS, "records", "image_folder")
    name = guards.check_choice("config.data.name", config.data.name, names)
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


def _with_absolute_paths(config):
    """Names the photos so that the run finds them from any working directory."""
    if config.data.name != "image_folder":
        return config
    config = config.copy_and_resolve_references()
    for name in ("dir", "validation_dir"):
        if config.data[name] is not None:
            path = os.path.expanduser(config.data[name])
            config.data[name] = os.path.abspath(path)
    return config


def make_model(config, num_classes, steps_per_epoch=1, image_shape=None):
    """The compiled model of `config.method`.

    `config.jit_compile` says whether XLA compiles the whole step, selection included:
    `"always"`, `"never"`, or `"auto"` as Keras decides: on JAX, and with TensorFlow on
    one GPU unless every operation is to be deterministic.

    Args:
        config: A configuration.
        num_classes: Number of in-distribution classes.
        steps_per_epoch: Of which `config.steps_per_execution` must be a divisor.
        image_shape: `(H, W, channels)` of the images; None leaves it to the network.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If a field is out of range.
    """
    guards.check_choice("config.method", config.method, tuple(METHODS))
    names = tuple(networks.NETWORKS)
    make_network = networks.NETWORKS[
        guards.check_choice("config.network.name", config.network.name, names)
    ]
    arguments = {} if image_shape is None else {"input_shape": tuple(image_shape)}
    with _precision(config.precision):
        network = make_network(
            num_classes,
            head=config.network.head,
            width=config.network.width,
            **arguments,
        )
    augmentation = views.crop_and_flip(**config.augmentation)
    method = METHODS[config.method]
    arguments = method.arguments(config)
    if arguments.get("smoothing", 0) is None:
        arguments["smoothing"] = schedules.smoothing_for(
            num_classes, config.threshold.tau_c
        )
    model = method.model(network, num_classes, augmentation=augmentation, **arguments)
    model.compile(
        _make_optimizer(config),
        weighted_metrics=["accuracy"],  # So that padding does not count.
        steps_per_execution=_steps_per_execution(config, steps_per_epoch),
        jit_compile=_jit_compile(config),
    )
    return model


def _make_optimizer(config):
    arguments = config.optimizer.arguments.to_dict()
    name = config.optimizer.name
    return keras.optimizers.get({"class_name": name, "config": arguments})


@contextlib.contextmanager
def _precision(name):
    """Builds what is inside with this dtype policy."""
    names = ("float32", "mixed_bfloat16", "mixed_float16")
    guards.check_choice("config.precision", name, names)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _jit_compile(config):
    """What `compile` is to be told of XLA."""
    choices = {"auto": "auto", "always": True, "never": False}
    # A run of before this field has none.
    name = config.get("jit_compile", "auto")
    wanted = choices[guards.check_choice("config.jit_compile", name, tuple(choices))]
    if wanted is True and keras.backend.backend() == "tensorflow":
        from tensorflow.python.framework.config import is_op_determinism_enabled

        if is_op_determinism_enabled():
            raise ValueError(
                "TensorFlow has no XLA while every operation is deterministic. "
                f"Received: config.jit_compile={name}, config.deterministic="
                f"{config.deterministic}. Set config.deterministic=never, or leave "
                "config.jit_compile=auto."
            )
    return wanted


def _steps_per_execution(config, steps_per_epoch):
    """As configured; by default many on JAX with an accelerator, else 1."""
    steps = config.steps_per_execution
    divisors = [n for n in range(1, steps_per_epoch + 1) if steps_per_epoch % n == 0]
    if steps is None:
        return max(n for n in divisors if n <= ON_DEVICE) if _on_accelerator() else 1
    if steps not in divisors:
        raise ValueError(
            f"Expected config.steps_per_execution as a divisor of the {steps_per_epoch}"
            f" steps of an epoch. Received: {steps}. Use one of {divisors}."
        )
    return steps


def _on_accelerator():
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() != "cpu"


def make_callbacks(config, workdir, train_split):
    """The callbacks of the method and of the run folder.

    Args:
        config: A configuration.
        workdir: The run folder.
        train_split: The training `data.Split`, whose true share of wrong labels, if
            it is known, is told to the methods that need it.

    Returns:
        A list of Keras callbacks.
    """
    known = train_split.true_labels is not None
    wrong_share, monitors = None, []
    if known:
        wrong_share = float((train_split.labels != train_split.true_labels).mean())
        monitors.append(SelectionMonitor(workdir / "clean_likelihood.json"))
    if METHODS[config.method].sorts:
        path = workdir / "sample_history.npz"
        monitors.append(VerdictHistory(len(train_split), path))
    plan = config.decay.to_dict()
    if not hasattr(_make_optimizer(config), "beta_1"):
        plan["beta_1"] = None  # It is Adam's.
    learning_rate = config.optimizer.arguments.learning_rate
    decay = LinearDecay(learning_rate=learning_rate, **plan)
    required = METHODS[config.method].callbacks(config, wrong_share)
    return [decay, *monitors, *required, *_tensorboard(workdir)]


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
    when = guards.check_choice("config.deterministic", config.deterministic, choices)
    keras.utils.set_random_seed(config.seed)
    if keras.backend.backend() == "jax":
        flag = "--xla_gpu_deterministic_ops=true"
        flags = os.environ.get("XLA_FLAGS", "")
        if when == "always" and _on_accelerator() and flag not in flags:
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
    config = _with_absolute_paths(config)
    workdir = run_folder.open_folder(
        workdir, config.to_dict(), write=replicas.is_chief()
    )
    seed_everything(config)
    benchmark = make_benchmark(config, workdir)
    if config.data.name == "image_folder" and replicas.is_chief():
        run_folder.write_data(workdir, benchmark)
    steps = batches.steps_per_epoch(benchmark.train, config.batch_size)
    shape = benchmark.train.images.shape[1:]
    model = make_model(config, benchmark.num_classes, steps, shape)
    own = make_callbacks(config, workdir, benchmark.train)
    checkpoint = RunCheckpoint(
        workdir / "checkpoint",
        history_path=workdir / "history.csv",
        every=config.checkpoint_every,
        carried=[callback for callback in own if hasattr(callback, "set_state")],
    )
    own += [checkpoint, Progress(verbose if replicas.is_chief() else 0)]
    try:
        return _train(model, benchmark, config, [*own, *callbacks], checkpoint, workdir)
    except OSError as error:
        raise run_folder.unwritable(workdir, error) from error


def _train(model, benchmark, config, callbacks, checkpoint, workdir):
    if replicas.is_chief():
        files.remove_unfinished(workdir)
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
    files.write_json(workdir / "summary.json", summary)
    if importlib.util.find_spec("matplotlib") is None:
        logging.info("No plots: `pip install josrc-keras[report]` adds them.")
    else:
        run_folder.draw(workdir, checkpoint.history)
    return summary


def _save(model, path):
    """Saves the model; all processes must, for some of its values are spread."""
    if replicas.is_chief():
        with files.replacing(path) as beside:
            model.save(beside)
    else:
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / path.name)


def _fit(model, benchmark, config, callbacks, initial_epoch):
    train = benchmark.train
    model.fit(
        batches.train_batches(
            train,
            batch_size=config.batch_size,
            seed=config.seed,
            initial_epoch=initial_epoch,
        ),
        epochs=config.epochs,
        initial_epoch=initial_epoch,
        steps_per_epoch=batches.steps_per_epoch(train, config.batch_size),
        validation_data=batches.evaluation_batches(benchmark.test, batch_size=500),
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )
