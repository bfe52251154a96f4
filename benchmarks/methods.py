"""Measures what a training step of each method costs, relative to ordinary training.

    python benchmarks/methods.py --output=results/method_cost.json

A step is on a batch of 128 random 32x32 images with 80 classes and `cnn7` with the MLP
head, as in CIFAR80N-O, with Jo-SRC in its joint phase. All methods take turns in one
process within each round, so that other load on the machine affects them alike. Ratios
are taken within a round.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

import numpy as np

from josrc_keras.configs import cifar80n_o
from josrc_keras.runs import build_model, summary
from josrc_keras.runs.methods import METHODS

CLASSES = 80


def make_step(name, batch):
    """A function that takes one training step of a method on random images."""
    config = cifar80n_o.get_config("paper")
    config.method = name
    model = build_model.make_model(config, CLASSES)
    for variable, value in (
        ("tau_clean", 0.75),
        ("joint", 1.0),
        ("teacher_decay", 0.99),
        ("forget_rate", 0.36),
        ("disagreement_only", 1.0),
    ):
        if hasattr(model, variable):
            getattr(model, variable).assign(value)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, 32, 32, 3), dtype="uint8")
    labels = random.integers(0, CLASSES, batch)
    return lambda: model.train_on_batch(images, labels)


def seconds(step):
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--output", help="JSON file")
    flags = parser.parse_args()
    if flags.rounds < 2:
        parser.error(f"Expected --rounds of at least 2. Received: {flags.rounds}.")
    steps = {name: make_step(name, flags.batch) for name in METHODS}
    for step in 2 * list(steps.values()):
        step()  # The first step compiles and fills the caches.
    rounds = [
        {name: seconds(step) for name, step in steps.items()}
        for _ in range(flags.rounds)
    ]
    found: dict = {
        "device": summary.device(),
        "versions": summary.versions(),
        "command": " ".join(["python", *sys.argv]),
        "batch": flags.batch,
        "rounds": flags.rounds,
        "methods": {},
    }
    for name in METHODS:
        ratios = [each[name] / each["standard"] for each in rounds]
        quartiles = statistics.quantiles(ratios, n=4)
        found["methods"][name] = {
            "seconds": statistics.median(each[name] for each in rounds),
            "times_standard": statistics.median(ratios),
            "quartiles": [quartiles[0], quartiles[2]],
        }
    text = json.dumps(found, indent=2)
    if flags.output:
        pathlib.Path(flags.output).write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
