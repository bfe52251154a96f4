"""Measures what the adaptive method costs, relative to the paper's method.

    python benchmarks/recipes.py --output=results/recipe_cost.json

A step is on a batch of 128 random 32x32 images with 80 classes and `cnn7` with the MLP
head, as in CIFAR80N-O, after the warm-up. Both methods keep the history of 50,000
samples, as in the commands. They take turns in one process within each round, so that
other load on the machine affects both alike. Ratios are taken within a round. The
script also measures what `LabelTrust` does between two epochs of 50,000 samples, as a
share of the epoch.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

import numpy as np

from josrc_keras.callbacks import LabelTrust
from josrc_keras.configs import cifar80n_o
from josrc_keras.runs import build_model, summary
from josrc_keras.samples import findings

CLASSES = 80
SAMPLES = 50_000
RECIPES = ("paper", "adaptive")


def make_model(recipe):
    """The compiled model of a recipe, after its warm-up, with a history of samples."""
    config = cifar80n_o.get_config(recipe)
    model = build_model.make_model(config, CLASSES, num_samples=SAMPLES)
    for variable, value in (("tau_clean", 0.75), ("joint", 1.0)):
        getattr(model, variable).assign(value)
    model.teacher_decay.assign(0.99)
    model.record_epochs_of(SAMPLES)
    return model


def make_step(model, batch):
    """A function that takes one training step on random images."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, 32, 32, 3), dtype="uint8")
    labels = {
        "label": random.integers(0, CLASSES, batch),
        "index": random.permutation(SAMPLES)[:batch].astype("int32"),
    }
    return lambda: model.train_on_batch(images, labels)


def make_update(model):
    """A function that does what `LabelTrust` does at the end of an epoch."""
    random = np.random.default_rng(0)
    callback = LabelTrust(SAMPLES)
    callback.set_params({"epochs": 200})
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    columns = {name: random.random(SAMPLES) for name in findings.FIELDS}
    columns |= {"seen": np.ones(SAMPLES)}
    columns |= {"label": random.integers(0, CLASSES, SAMPLES)}
    columns |= {"other_class": random.integers(0, CLASSES, SAMPLES)}
    table = np.stack([columns[name] for name in findings.FIELDS], axis=1)

    def update():
        callback._taken = False
        model.epoch_findings.table.assign(table)
        callback.on_epoch_end(100, {})
        callback.on_epoch_begin(101)

    return update


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--output", help="JSON file")
    flags = parser.parse_args()
    if flags.rounds < 2:
        parser.error(f"Expected --rounds of at least 2. Received: {flags.rounds}.")
    models = {recipe: make_model(recipe) for recipe in RECIPES}
    steps = {recipe: make_step(model, flags.batch) for recipe, model in models.items()}
    for step in 2 * list(steps.values()):
        step()  # The first step compiles and fills the caches.
    rounds = [
        {recipe: seconds(steps[recipe]) for recipe in order}
        for order in (flags.rounds // 2 + 1) * [RECIPES, RECIPES[::-1]]
    ][: flags.rounds]
    ratios = [each["adaptive"] / each["paper"] for each in rounds]
    medians = {name: statistics.median(each[name] for each in rounds) for name in steps}
    update = make_update(models["adaptive"])
    update()
    between = statistics.median(seconds(update) for _ in range(5))
    epoch = SAMPLES // flags.batch * medians["adaptive"]
    quartiles = statistics.quantiles(ratios, n=4)
    found = {
        "device": summary.device(),
        "versions": summary.versions(),
        "command": " ".join(["python", *sys.argv]),
        "batch": flags.batch,
        "rounds": flags.rounds,
        "seconds_a_step": medians,
        "adaptive_times_paper": statistics.median(ratios),
        "quartiles": [quartiles[0], quartiles[2]],
        "seconds_between_epochs": between,
        "share_of_an_epoch": between / epoch,
    }
    text = json.dumps(found, indent=2)
    if flags.output:
        pathlib.Path(flags.output).write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
