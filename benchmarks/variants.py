"""Measures what fused batch normalisation, a resting teacher and XLA are worth.

    python benchmarks/variants.py --output=results/scale/variants.json

A training step on TensorFlow (batch 128 of random 32x32 images, `cnn7` with the MLP
head) has variants that take turns: as it is, with Keras's own batch normalisation, in
the warm-up, when the teacher does not predict, and compiled by XLA.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time
from unittest import mock

import josrc_step
import keras
import tensorflow as tf

from josrc_keras.networks.normalization import BatchNormalization
from josrc_keras.runs import summary

VARIANTS = {  # name: (fused batch norm, joint phase, XLA)
    "as it is": (True, 1.0, False),
    "Keras's batch normalisation": (False, 1.0, False),
    "warm-up": (True, 0.0, False),
    "XLA": (True, 1.0, True),
    "XLA, warm-up": (True, 0.0, True),
}


def make_step(fused, joint, xla, batch):
    """A function that takes a step and waits for it."""
    model = josrc_step.compiled_model(xla)
    model.tau_clean.assign(0.75)
    model.joint.assign(joint)
    model.teacher_decay.assign(0.99)
    images, labels = map(tf.constant, next(iter(josrc_step.random_dataset(batch))))
    step = tf.function(lambda: model.train_step((images, labels)), jit_compile=xla)
    kept = BatchNormalization._can_fuse if fused else lambda *arguments: False
    with mock.patch.object(BatchNormalization, "_can_fuse", kept):
        step()
    return lambda: keras.tree.map_structure(float, step())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--output", help="JSON file")
    flags = parser.parse_args()
    steps = {name: make_step(*v, flags.batch) for name, v in VARIANTS.items()}
    times: dict = {name: [] for name in steps}
    for number in range(flags.rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number:  # The first round fills the caches.
                times[name].append(time.perf_counter() - start)
    found = {
        "device": summary.device(),
        "versions": summary.versions(),
        "command": " ".join(["python", *sys.argv]),
        "rows": {},
    }
    print("| variant | s a step | times as fast as it is |\n|---|---|---|")
    for name, seconds in times.items():
        ratios = [a / b for a, b in zip(times["as it is"], seconds, strict=True)]
        row = {
            "seconds": statistics.median(seconds),
            "ratio": statistics.median(ratios),
        }
        found["rows"][name] = row
        print(f"| {name} | {row['seconds']:.3f} | {row['ratio']:.2f} |")
    if flags.output:
        pathlib.Path(flags.output).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
