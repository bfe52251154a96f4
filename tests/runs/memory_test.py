"""Memory does not grow with the number of epochs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EPOCHS = 60
FROM = 10  # By then all is traced, decay has begun, and the allocators have settled.
BATCH = 512
SIDE = 64
# An epoch that left behind one batch of its images, as they came, would keep 2 MiB, and
# 50 of them 100 MiB. The limit is a quarter of that; allocators alone come to 5 MiB.
LIMIT = (EPOCHS - FROM) * BATCH * SIDE * SIDE / 4

# A whole run of the digits' configuration: all callbacks, checkpoints, TensorBoard. The
# images are random and larger than digits, so that a batch weighs something; the
# network is small, and an epoch one step.
PROGRAM = f"""
import json, pathlib, sys
import keras
import numpy as np
from josrc_keras import data, networks
from josrc_keras.configs import digits8n_o
from josrc_keras.runs import train

LEAK = sys.argv[2] == "leak"
random = np.random.default_rng(0)


def split(count):
    images = random.integers(0, 256, (count, {SIDE}, {SIDE}, 1), dtype="uint8")
    labels = random.integers(0, 8, count)
    return data.Split(images, labels, labels, np.arange(count))


def network(classes, **options):
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.AveragePooling2D(8)]
    layers += [keras.layers.Flatten(), keras.layers.Dense(classes)]
    return keras.Sequential([keras.Input(({SIDE}, {SIDE}, 1)), *layers])


class Memory(keras.callbacks.Callback):
    resident, kept = [], []

    def on_epoch_end(self, epoch, logs=None):
        status = pathlib.Path("/proc/self/status").read_text()
        kibibytes = status.partition("VmRSS:")[2].split()[0]
        self.resident.append(1024 * int(kibibytes))
        if LEAK:
            self.kept.append(split({BATCH}).images)


names = tuple(str(name) for name in range(8))
benchmark = data.Benchmark(split({BATCH}), split(64), names, "")
train.make_benchmark = lambda config, workdir: benchmark
networks.NETWORKS["digits_cnn"] = network
config = digits8n_o.get_config()
config.epochs, config.batch_size = {EPOCHS}, {BATCH}
config.checkpoint_every = 1
config.learning_rate_decay.start_epoch = {FROM} // 2
train.train(config, sys.argv[1], verbose=0, callbacks=[Memory()])
print(json.dumps(Memory.resident))
"""


def resident(folder, leak=False):
    """Resident bytes at the end of each epoch of a run in a fresh process."""
    arguments = [str(folder / "run"), "leak" if leak else "none"]
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs Linux's /proc/self/status"
)
@pytest.mark.slow
def test_memory_does_not_grow_with_epochs(tmp_path):
    """By less than a quarter of a batch of images an epoch."""
    after = resident(tmp_path)
    assert len(after) == EPOCHS
    grown = after[-1] - after[FROM - 1]
    assert grown < LIMIT, f"{grown / 2**20:.1f} MiB in {EPOCHS - FROM} epochs"
