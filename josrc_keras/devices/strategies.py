"""The devices that a command trains on: `--strategy`."""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from typing import Literal

import keras

from josrc_keras import _checks

STRATEGIES = ("none", "mirrored", "multi_worker", "tpu")
_ADDRESS = re.compile(r".+:\d+")


@contextlib.contextmanager
def scope(
    name: Literal["none", "mirrored", "multi_worker", "tpu"],
    logical_devices: int | None = None,
) -> Iterator[None]:
    """A context in which everything is built and trained on these devices.

    With TensorFlow this is a `tf.distribute` strategy, with JAX
    `keras.distribution.DataParallel`. It must be the first thing that uses a device.

    Args:
        name: `"none"` for one device; `"mirrored"` for all devices of this machine;
            `"multi_worker"` for those of all machines in the environment variable
            `TF_CONFIG`, with either backend; `"tpu"` for a TPU.
        logical_devices: Number of devices that the CPU is split into, so that
            `"mirrored"` can be tried on a CPU; None leaves it whole.

    Raises:
        ValueError: If the name is unknown, there is no such device, or `TF_CONFIG` is
            missing or wrong.
    """
    _checks.check_choice("--strategy", name, STRATEGIES)
    on_jax = keras.backend.backend() == "jax"
    if logical_devices is not None:
        if name != "mirrored" or logical_devices < 1:
            raise ValueError(
                "Expected --logical_devices of at least 1, with --strategy=mirrored. "
                f"Received: --logical_devices={logical_devices}, --strategy={name}."
            )
        (_split_cpu_in_jax if on_jax else _split_cpu)(logical_devices)
    if name == "none":
        yield
    elif on_jax:
        with _data_parallel(name, logical_devices).scope():
            yield
    else:
        with _strategy(name, logical_devices).scope():
            yield


def _split_cpu(count):
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    if len(tf.config.get_logical_device_configuration(cpu) or ()) == count:
        return  # An earlier scope has split it.
    try:
        tf.config.set_logical_device_configuration(cpu, devices)
    except RuntimeError as error:
        raise _too_late(count) from error


def _split_cpu_in_jax(count):
    import jax

    if jax.config.jax_num_cpu_devices == count:
        return
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError as error:
        raise _too_late(count) from error


def _too_late(count):
    return ValueError(
        "The CPU can be split only before it is used. Received: "
        f"--logical_devices={count} in a process that has used it. Open the strategy "
        "before anything else."
    )


def _strategy(name, logical_devices):
    import tensorflow as tf

    tf.get_logger().setLevel("WARNING")  # At a lower level it logs every reduction.
    if name == "mirrored":
        devices = None
        if logical_devices is not None:
            devices = tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy(devices)
    if name == "multi_worker":
        read_tf_config()
        return tf.distribute.MultiWorkerMirroredStrategy()
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
    except (ValueError, tf.errors.OpError) as error:
        raise _no_tpu(error) from error
    return tf.distribute.TPUStrategy(resolver)


def _data_parallel(name, logical_devices):
    if name == "multi_worker":
        workers, index = read_tf_config()
        keras.distribution.initialize(",".join(workers), len(workers), index)
    platform = "cpu" if logical_devices else None
    try:
        devices = keras.distribution.list_devices("tpu" if name == "tpu" else platform)
    except RuntimeError as error:
        raise _no_tpu(error) from error
    return keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)


def _no_tpu(error):
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ValueError(
        "Expected a TPU that this process can reach. Received: --strategy=tpu, and "
        f"{reason}. Use --strategy=mirrored for the GPUs of this machine, or none."
    )


def read_tf_config() -> tuple[list[str], int]:
    """The addresses of all workers and the index of this one.

    Returns:
        A list of `"host:port"`, the chief's first, and an index into it.

    Raises:
        ValueError: If the environment's `TF_CONFIG` is missing or wrong.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        chiefs, workers = cluster.get("chief", []), cluster["worker"]
        addresses, index = [*chiefs, *workers], int(task["index"])
        ours = {"chief": chiefs, "worker": workers}[task["type"]]
        if not (0 <= index < len(ours) and all(map(_ADDRESS.fullmatch, addresses))):
            raise ValueError(task)
        if task["type"] == "worker":
            index += len(chiefs)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        example = {
            "cluster": {"worker": ["host0:2222", "host1:2222"]},
            "task": {"type": "worker", "index": 0},
        }
        raise ValueError(
            "--strategy=multi_worker needs the environment variable TF_CONFIG with the "
            f"address of every worker and the index of this one. Received: {text!r}. "
            f"Expected for example TF_CONFIG='{json.dumps(example)}'."
        ) from error
    return addresses, index
