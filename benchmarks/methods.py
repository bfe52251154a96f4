"""Measures what a training step of each method costs, relative to ordinary training.

    python benchmarks/methods.py --output=results/method_cost.json
    python benchmarks/methods.py --config=digits8n_o --batch=64 --method=dividemix

A step is on a batch of 128 random 32x32 images with 80 classes and `cnn7` with the MLP
head, as in CIFAR80N-O, or of the digits' configuration. Each method is in the phase
that costs most, such as Jo-SRC's joint one. All methods take turns in one
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

from josrc_keras.configs import cifar80n_o, digits8n_o
from josrc_keras.runs import build_model, summary
from josrc_keras.runs.methods import METHODS

# By configuration: the page, the number of classes, and the shape of an image.
CONFIGS = {
    "cifar80n_o": (cifar80n_o, 80, (32, 32, 3)),
    "digits8n_o": (digits8n_o, 8, (8, 8, 1)),
}


def make_step(name, batch, config_name="cifar80n_o"):
    """A function that takes one training step of a method on random images."""
    page, classes, shape = CONFIGS[config_name]
    config = page.get_config("paper")
    config.method = name
    model = build_model.make_model(config, classes, num_samples=batch)
    for variable, value in (
        ("tau_clean", 0.75),
        ("joint", 1.0),
        ("teacher_decay", 0.99),
        ("forget_rate", 0.36),
        ("disagreement_only", 1.0),
        ("divided", 1.0),
        ("bootstrapping", 1.0),
        ("stage", 1.0),
    ):
        if hasattr(model, variable):
            getattr(model, variable).assign(value)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, *shape), dtype="uint8")
    # Sorted, so that groups are of one class.
    label = np.sort(random.integers(0, classes, batch))
    labels = {"label": label, "index": np.arange(batch)}
    return lambda: model.train_on_batch(images, labels)


def seconds(step):
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--config", choices=list(CONFIGS), default="cifar80n_o")
    parser.add_argument("--method", action="append", choices=list(METHODS))
    parser.add_argument("--output", help="JSON file")
    flags = parser.parse_args()
    names = ["standard"]
    names += [name for name in flags.method or METHODS if name != "standard"]
    if flags.rounds < 2:
        parser.error(f"Expected --rounds of at least 2. Received: {flags.rounds}.")
    steps = {name: make_step(name, flags.batch, flags.config) for name in names}
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
        "config": flags.config,
        "rounds": flags.rounds,
        "methods": {},
    }
    for name in names:
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
