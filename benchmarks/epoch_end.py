r"""What the end of an epoch costs by the number of samples, with generated findings.

    python benchmarks/epoch_end.py --output=results/scale/epoch_end.json
    python benchmarks/epoch_end.py --features=512 --samples=50000 --samples=100000 \
        --samples=200000 --output=results/scale/epoch_end_others.json

After each epoch `LabelTrust` adds what training found of each sample to its history and
memory, and computes the trust in each label. The script times this with findings drawn
at random, of 100 classes, in CPU seconds (the time of all cores in this process), and
the median of three epochs. Writing the history to a file is left out, since it follows
the disk. With --features, the labels of the other samples are asked, too
(`TrustRule.leave_one_out`), by that many features of each sample.
"""

import argparse
import pathlib
import statistics
import sys
import time

import keras
import numpy as np

from josrc_keras import AdaptiveJoSRC, TrustRule, _files
from josrc_keras.callbacks import LabelTrust
from josrc_keras.runs import summary
from josrc_keras.samples import findings

CLASSES = 100
SIZES = (50_000, 100_000, 200_000, 500_000, 1_000_000)
EPOCHS = 6


def table_of(count, labels, rng):
    """An epoch's findings, as the step would leave them in the table."""
    predicted = np.where(
        rng.random(count) < 0.6, labels, rng.integers(0, CLASSES, count)
    )
    given, other = rng.random((2, count)) / 2
    verdict = rng.integers(0, 3, count)
    columns = {
        "seen": np.ones(count),
        "label": labels,
        "given_prob": given,
        "other_prob": other,
        "predicted": predicted,
        "other_class": (labels + 1 + rng.integers(0, CLASSES - 1, count)) % CLASSES,
        "consistent": rng.random(count) < 0.7,
    }
    for number, name in enumerate(findings.VERDICTS):
        columns[name] = verdict == number
    rows = [columns.get(name, rng.normal(size=count)) for name in findings.FIELDS]
    return np.stack([np.asarray(row, "float32") for row in rows], axis=1)


def model_of(count, features):
    network = keras.Sequential(
        [keras.Input((features or 1,)), keras.layers.Dense(CLASSES)]
    )
    rule = TrustRule(leave_one_out=bool(features))
    model = AdaptiveJoSRC(network, CLASSES, count, rule=rule)
    model.compile("sgd")
    return model


def seconds_of(count, features=0):
    """CPU seconds of the end of an epoch: the median of the epochs after a warm-up."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, count)
    callback = LabelTrust(count)
    callback.set_params({"epochs": EPOCHS})
    callback.set_model(model_of(count, features))
    callback.on_train_begin()
    found = []
    for epoch in range(EPOCHS):
        callback.on_epoch_begin(epoch)
        recorded = callback.model.epoch_findings
        recorded.table.assign(table_of(count, labels, rng))
        recorded.recorded.assign(count)
        if features:
            drawn = rng.normal(size=(count, features)).astype("float32")
            recorded.features.assign(keras.ops.cast(drawn, "float16"))
        start = time.process_time()
        callback.on_epoch_end(epoch, {})
        found.append(time.process_time() - start)
    return statistics.median(found[EPOCHS // 2 :])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file")
    parser.add_argument("--samples", type=int, action="append")
    parser.add_argument("--features", type=int, default=0)
    flags = parser.parse_args()
    rows = []
    for count in flags.samples or SIZES:
        seconds = seconds_of(count, flags.features)
        rows.append({"samples": count, "cpu_seconds": round(seconds, 4)})
        rows[-1]["seconds_a_million"] = round(seconds / count * 1e6, 3)
        sys.stdout.write(f"{count:9}: {seconds:.3f} s\n")
    if flags.output:
        found = {
            "device": summary.device(),
            "versions": summary.versions(),
            "command": " ".join(["python", *sys.argv]),
            "classes": CLASSES,
            "features": flags.features,
            "rows": rows,
        }
        _files.write_json(flags.output, found)


if __name__ == "__main__":
    main()
