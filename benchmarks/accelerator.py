"""How fast a training step runs on JAX's default device, and what limits it.

KERAS_BACKEND=jax python benchmarks/accelerator.py --output=results/accelerator.json

The script measures Jo-SRC's step (batch 128, `cnn7` with the MLP head, two views, the
teacher on both) in float32 and in mixed_bfloat16: alone, many in one execution, and
through `fit` with the callbacks of a run. Beside the times it sets the arithmetic and
the memory traffic that XLA counts, and the device's ceilings, measured by a matrix
product and a copy.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import keras
import numpy as np

from josrc_keras.configs import cifar80n_o
from josrc_keras.data import Split, batches
from josrc_keras.runs import build_callbacks, build_model, summary
from josrc_keras.training import jax_step

CLASSES = 80
ROUNDS = 5


def seconds(function, *arguments):
    """Median seconds of a call that returns device arrays, without the first call."""
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def ceilings(size, megabytes):
    """Operations and bytes a second of a plain matrix product and a plain copy."""
    found = {}
    for dtype in ("float32", "bfloat16"):
        matrix = jax.random.normal(jax.random.key(0), (size, size), dtype)
        product = jax.jit(lambda a: a @ a)
        found[f"{dtype}_flops"] = 2 * size**3 / seconds(product, matrix)
    array = jnp.zeros(megabytes * 2**18, "float32")
    copied = 2 * array.nbytes / seconds(jax.jit(lambda a: a + 1), array)
    return found | {"bytes": copied}


def random_split(images):
    """A split of random images, at most as many as CIFAR80N-O has."""
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, images)
    pixels = random.integers(0, 256, (images, 32, 32, 3), dtype="uint8")
    return Split(pixels, labels, labels, np.arange(images))


def state_of(model):
    """Copies of all variables' values, in the form of Keras's JAX trainer."""
    groups = jax_step.variables(model)
    return tuple([jnp.array(v.value) for v in group] for group in groups)


def measure(precision, split, steps, batch, rates):
    """The cost of one step in a precision, and its share of the device's `ceilings`."""
    config = cifar80n_o.get_config("paper")
    config.precision = precision
    config.batch_size = batch
    model = build_model.make_model(config, CLASSES)
    model.tau_clean.assign(0.7)
    model.joint.assign(1.0)
    model.set_monitored(True)
    stream = batches.train_batches(split, batch_size=config.batch_size, seed=0)
    first = next(stream)
    model.train_on_batch(*first)  # This builds the compiled metrics.
    model.optimizer.build(model.trainable_variables)
    one = jax.jit(model.train_step)
    cost = one.lower(state_of(model), first).compile().cost_analysis()
    alone = seconds(one, state_of(model), first)

    model.steps_per_execution = steps
    many = jax_step.many_steps(model)
    iterator = iter([next(stream) for _ in range(steps)] * (ROUNDS + 2))
    states = [state_of(model)]

    def execution():
        logs, states[0] = many(states[0], iterator)
        return logs, states[0]

    together = seconds(execution) / steps
    dtype = precision.removeprefix("mixed_")
    return {
        "precision": precision,
        "step_seconds": alone,
        "step_seconds_in_one_execution": together,
        "samples_per_second": config.batch_size / together,
        "flops_per_step": cost["flops"],
        "bytes_per_step": cost["bytes accessed"],
        "share_of_arithmetic": cost["flops"] / together / rates[f"{dtype}_flops"],
        "share_of_bandwidth": cost["bytes accessed"] / together / rates["bytes"],
        "epoch": measure_fit(config, split, steps),
    }


def measure_fit(config, split, steps):
    """Samples a second in the third epoch of `fit`, with a run's callbacks."""
    config = config.copy_and_resolve_references()
    per_epoch = batches.steps_per_epoch(split, config.batch_size)
    with config.unlocked():
        config.steps_per_execution = steps
        config.threshold.warmup_epochs = 1
        config.epochs = 3
    model = build_model.make_model(config, CLASSES, per_epoch)
    ends = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: ends.append(time.perf_counter()),
        on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()),
    )
    with tempfile.TemporaryDirectory() as folder:
        callbacks = build_callbacks.make_callbacks(config, pathlib.Path(folder), split)
        model.fit(
            batches.train_batches(split, batch_size=config.batch_size, seed=0),
            epochs=config.epochs,
            steps_per_epoch=per_epoch,
            callbacks=[*callbacks, clock],
            shuffle=False,
            verbose=0,
        )
    took = ends[-1] - ends[-2]
    return {
        "seconds": took,
        "samples_per_second": per_epoch * config.batch_size / took,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=39, help="in one execution")
    parser.add_argument("--matrix", type=int, default=8192)
    parser.add_argument("--megabytes", type=int, default=4096)
    parser.add_argument("--output", help="JSON file")
    flags = parser.parse_args()
    split = random_split(flags.images)
    rates = ceilings(flags.matrix, flags.megabytes)
    found = {
        "device": summary.device(),
        "versions": summary.versions(),
        "command": " ".join(["python", *sys.argv]),
        "ceilings": rates,
        "steps": [
            measure(precision, split, flags.steps, flags.batch, rates)
            for precision in ("float32", "mixed_bfloat16")
        ],
    }
    text = json.dumps(found, indent=2)
    if flags.output:
        pathlib.Path(flags.output).write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
