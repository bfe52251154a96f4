"""From a configuration to a compiled model."""

import contextlib
from typing import Any

import keras
import ml_collections

from josrc_keras import _checks, networks, schedules, views
from josrc_keras.adaptive import AdaptiveJoSRC, values
from josrc_keras.baselines.two_networks import TwoNetworks
from josrc_keras.devices.accelerator import on_accelerator
from josrc_keras.networks import freezing, resnet9
from josrc_keras.runs import corrections, head_rate
from josrc_keras.runs.methods import METHODS, balance_of

ON_DEVICE = 50  # The most steps that are run at a time on JAX with an accelerator.


def make_model(
    config: ml_collections.ConfigDict,
    num_classes: int,
    steps_per_epoch: int = 1,
    image_shape: tuple[int, int, int] | None = None,
    num_samples: int | None = None,
) -> keras.Model:
    """The compiled model of `config.method`.

    `config.jit_compile` says whether XLA compiles the whole step, selection included:
    `"always"`, `"never"`, or `"auto"`. With `"auto"` Keras decides: it compiles on JAX,
    and with TensorFlow on one GPU unless every operation is to be deterministic.

    Args:
        config: A configuration.
        num_classes: Number of in-distribution classes.
        steps_per_epoch: Number of steps of an epoch, which `config.steps_per_execution`
            must divide.
        image_shape: `(H, W, channels)` of the images; None leaves it to the network.
        num_samples: Number of training images, which the adaptive method needs.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If a field is out of range.
    """
    _checks.check_choice("config.method", config.method, tuple(METHODS))
    # The order of what is made below decides the random numbers that each part gets.
    with _precision(config.precision):
        network = _make_network(config, num_classes, image_shape)
    augmentation = views.crop_and_flip(**config.augmentation)
    method = METHODS[config.method]
    arguments = method.arguments(config)
    if issubclass(method.model, AdaptiveJoSRC):
        arguments |= _from_data(config, num_classes, steps_per_epoch, num_samples)
    if method.remembers:
        if num_samples is None:
            raise ValueError(
                f"config.method={config.method} needs the number of training images. "
                "Received: num_samples=None. Pass it."
            )
        arguments["num_samples"] = num_samples
    if "ramp" in arguments:
        steps = steps_per_epoch * config.epochs
        arguments["ramp"] = corrections.shortened_ramp(arguments["ramp"], steps)
    if arguments.get("smoothing", 0) is None:
        arguments["smoothing"] = schedules.smoothing_for(
            num_classes, config.threshold.tau_c
        )
    pretrained = config.network.get("weights", "random") != "random"
    if pretrained and issubclass(method.model, TwoNetworks):
        with _precision(config.precision):
            arguments["peer"] = _make_network(config, num_classes, image_shape)
    model = method.model(network, num_classes, augmentation=augmentation, **arguments)
    optimizer = make_optimizer(config, config.epochs * steps_per_epoch)
    if config.optimizer.head_factor is not None:
        heads = [v for net in model.trained_networks() for v in head_rate.head_of(net)]
        head_rate.scale(optimizer, heads, config.optimizer.head_factor)
    model.compile(
        optimizer,
        weighted_metrics=["accuracy"],  # Padding has weights of 0 and does not count.
        steps_per_execution=steps_per_execution(config, steps_per_epoch),
        jit_compile=_jit_compile(config),
    )
    return model


def fit_first_layers(model: keras.Model, images: Any) -> None:
    """Fits what a network takes from the training images before it is trained.

    That is the first layer of `networks.fast`, in each of the model's networks.

    Args:
        model: A model of this package.
        images: `(N, H, W, 3)` training images, pixels in [0, 255].
    """
    made = [getattr(model, name, None) for name in ("student", "teacher", "peer")]
    for network in made:
        if network is not None and resnet9.needs_whitening(network):
            resnet9.whiten(network, images)


def _from_data(config, num_classes, steps_per_epoch, num_samples):
    """The model's arguments that the adaptive method takes from the data."""
    if num_samples is None:
        raise ValueError(
            "config.method=josrc_adaptive needs the number of training images. "
            "Received: num_samples=None. Pass it, or take the paper's method: "
            "--config=NAME:paper."
        )
    mixup = config.adaptive.mixup
    if mixup is None:
        seen = num_samples
        if balance_of(config):
            seen = min(seen, steps_per_epoch * config.batch_size)
        mixup = values.mixup(num_classes, seen, config.epochs)
    return {"num_samples": num_samples, "mixup": mixup}


def _make_network(config, num_classes, image_shape):
    fields = config.network
    make = networks.by_name(fields.name)
    arguments = {}
    size = config.augmentation.get("size")
    if size is not None:
        arguments["input_shape"] = (size, size, 3)
    elif image_shape is not None:
        arguments["input_shape"] = tuple(image_shape)
    if fields.get("weights", "random") != "random":
        if not has_weights(fields.name):
            raise ValueError(
                f"There are no weights for {fields.name}. Received: "
                f"config.network.weights={fields.weights}. Leave it out, or use "
                "resnet18 or resnet50."
            )
        arguments["weights"] = fields.weights
    network = make(num_classes, head=fields.head, width=fields.width, **arguments)
    frozen = fields.get("frozen", "nothing")
    if frozen != "nothing" and "weights" not in arguments:
        raise ValueError(
            "Only pretrained weights can be kept. Received: config.network.frozen="
            f"{frozen} with config.network.weights=random. Leave it out."
        )
    return freezing.freeze(network, frozen)


def has_weights(name: str) -> bool:
    """Whether there are pretrained weights for a network of this name."""
    return name not in networks.WITHOUT_WEIGHTS


def make_optimizer(
    config: ml_collections.ConfigDict, steps: int
) -> keras.optimizers.Optimizer:
    """The Keras optimizer that `config.optimizer` names.

    Args:
        config: A configuration.
        steps: Number of steps of the whole training, for `"warmup_linear"`.
    """
    arguments = config.optimizer.arguments.to_dict()
    plan = config.learning_rate_decay
    if plan.name == "warmup_linear":
        arguments["learning_rate"] = schedules.WarmupLinear(
            arguments["learning_rate"], steps, plan.warmup_share
        )
    name = config.optimizer.name
    try:
        if name == "convolutional_muon":
            from josrc_keras.training import muon

            arguments.setdefault("exclude_layers", ["logits"])
            optimizer = muon.ConvolutionalMuon(**arguments)
        else:
            optimizer = keras.optimizers.get({"class_name": name, "config": arguments})
    except (TypeError, ValueError) as error:
        raise ValueError(
            "Expected an optimizer of Keras and arguments that it takes. Received: "
            f"config.optimizer.name={name}, arguments {arguments} ({error}). Set "
            "config.optimizer.name to adam, sgd, another name of Keras, or "
            "convolutional_muon."
        ) from error
    if not config.optimizer.decay_all:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


@contextlib.contextmanager
def _precision(name):
    """Sets Keras's dtype policy for what is built inside the context."""
    names = ("float32", "mixed_bfloat16", "mixed_float16")
    _checks.check_choice("config.precision", name, names)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _jit_compile(config):
    """The argument `jit_compile` of `compile`."""
    choices = {"auto": "auto", "always": True, "never": False}
    name = config.jit_compile
    wanted = choices[_checks.check_choice("config.jit_compile", name, tuple(choices))]
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


def steps_per_execution(config: ml_collections.ConfigDict, steps_per_epoch: int) -> int:
    """Steps that are run at a time. By default up to 50 on a JAX accelerator, else 1.

    Raises:
        ValueError: If `config.steps_per_execution` does not divide `steps_per_epoch`.
    """
    steps = config.steps_per_execution
    divisors = [n for n in range(1, steps_per_epoch + 1) if steps_per_epoch % n == 0]
    if steps is None:
        return max(n for n in divisors if n <= ON_DEVICE) if on_accelerator() else 1
    if steps not in divisors:
        raise ValueError(
            f"Expected config.steps_per_execution as a divisor of the {steps_per_epoch}"
            f" steps of an epoch. Received: {steps}. Use one of {divisors}."
        )
    return steps
