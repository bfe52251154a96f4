"""Measures whether the input keeps up with the step, and its cost by dataset size.

    python benchmarks/pipeline.py --output=results/scale/pipeline.json

The first table has samples a second for each way to feed the model: of the input alone,
of `fit` on one batch in memory, of `fit` on the input, and the ratio of the last two,
measured in turns. The second table has the input alone by the number of images N, and
the memory that it takes beside the images. Images are random, 32x32, in batches of 128.
The model is `cnn7` with the MLP head in its joint phase, on TensorFlow.
"""

import argparse
import itertools
import json
import pathlib
import statistics
import sys
import tempfile
import time

import josrc_step
import keras
import numpy as np
import tensorflow as tf

from josrc_keras import data, views
from josrc_keras.callbacks import CleanThreshold, MeanTeacher
from josrc_keras.data import batches, records
from josrc_keras.runs import summary

BATCH = 128


def random_split(count):
    """Images that compress to about half, as photographs of this size do."""
    random = np.random.default_rng(0)
    images = random.integers(0, 16, (count, 32, 32, 3), dtype="uint8") * 16
    labels = random.integers(0, josrc_step.NUM_CLASSES, count)
    return data.Split(images, labels, labels, np.arange(count))


def streamed(split, folder):
    names = tuple(map(str, range(josrc_step.NUM_CLASSES)))
    benchmark = data.Benchmark(split, split.head(1), names, "")
    records.write(benchmark, folder / str(len(split)), images_per_file=1000)
    return records.read(folder / str(len(split))).train


def inputs(split, folder):
    """The ways to feed the model, by name."""
    arrays = batches.train_batches(split, batch_size=BATCH, seed=0)
    crop = views.two_views(views.crop_and_flip(padding=4))
    return {
        "arrays in memory": arrays,
        "TFRecord files": batches.train_batches(
            streamed(split, folder), batch_size=BATCH, seed=0
        ),
        "arrays, two views in tf.data": arrays.map(
            crop, num_parallel_calls=tf.data.AUTOTUNE
        ).prefetch(2),
    }


def alone(dataset, steps):
    """Samples a second of an input that no model uses."""
    iterator = iter(dataset)
    next(iterator)
    start = time.perf_counter()
    for _ in itertools.islice(iterator, steps):
        pass
    return steps * BATCH / (time.perf_counter() - start)


class Clock(keras.callbacks.Callback):
    """Times the steps of an epoch after the first, when the input has started."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self.start = time.perf_counter()
        self.seconds = time.perf_counter() - self.start


def fitted(model, dataset, steps):
    """Samples a second of `fit`."""
    clock = Clock()
    callbacks = [CleanThreshold(0.75, 0.95, 1), MeanTeacher(), clock]
    model.fit(dataset, steps_per_epoch=steps + 1, verbose=0, callbacks=callbacks)
    return steps * BATCH / clock.seconds


def keeps_up(split, folder, flags):
    """Rows of the first table."""
    rows = []
    for name, dataset in inputs(split, folder).items():
        model = josrc_step.compiled_model("auto")
        constant = dataset.take(1).cache().repeat()
        fitted(model, constant, 1)
        fitted(model, dataset, 1)  # Now both are traced.
        rounds = [
            (fitted(model, constant, flags.steps), fitted(model, dataset, flags.steps))
            for _ in range(flags.rounds)
        ]
        step, both = (statistics.median(part) for part in zip(*rounds, strict=True))
        rows.append(
            {
                "input": name,
                "alone": alone(dataset, 40 * flags.steps),
                "step": step,
                "both": both,
                "ratio": statistics.median(b / a for a, b in rounds),
            }
        )
        cells = [f"{rows[-1][part]:.0f}" for part in ("alone", "step", "both")]
        print(f"| {name} | {' | '.join(cells)} | {rows[-1]['ratio']:.3f} |", flush=True)
    return rows


def resident():
    """This process's memory in MiB."""
    status = pathlib.Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def by_size(folder, sizes):
    """Rows of the second table."""
    rows = []
    for count, name in itertools.product(sizes, ("arrays in memory", "TFRecord files")):
        split = random_split(count)
        if name == "TFRecord files":
            split = streamed(split, folder)
        before = resident()
        dataset = batches.train_batches(split, batch_size=BATCH, seed=0)
        rate = alone(dataset, max(100, count // BATCH))
        rows.append(
            {"images": count, "input": name, "alone": rate, "MiB": resident() - before}
        )
        print(f"| {count} | {name} | {rate:.0f} | {rows[-1]['MiB']:.0f} |", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="in a round")
    parser.add_argument("--sizes", default="10000,50000,200000", help="of N")
    parser.add_argument("--output", help="JSON file")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("| input | alone | step alone | both | both / step alone |")
        print("|---|---|---|---|---|")
        first = keeps_up(random_split(10_000), pathlib.Path(folder), flags)
        print("\n| N | input | samples/s | MiB beside the images |\n|---|---|---|---|")
        sizes = map(int, flags.sizes.split(","))
        second = by_size(pathlib.Path(folder) / "sizes", list(sizes))
    found = {
        "device": summary.device(),
        "versions": summary.versions(),
        "command": " ".join(["python", *sys.argv]),
        "keeps_up": first,
        "by_size": second,
    }
    if flags.output:
        pathlib.Path(flags.output).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
