"""Measures what calibration and new batch-norm statistics do to finished runs.

    for s in 0 1 2; do josrc-train --config=digits8n_o:paper --config.seed=$s \
        --config.data.validation_share=0.2 --workdir=runs/calibration/symmetric-$s; done
    python benchmarks/calibration.py runs/calibration/*

The script measures for the student of each run the test accuracy, with the batch-norm
statistics of training and with new ones, and the expected calibration error on the odd
test images, uncalibrated and with a temperature fitted to

    clean         the labels of the even test images
    known noise   held-out noisy labels, told the true share of wrong ones
    unknown noise held-out noisy labels alone
    judged clean  only those held-out labels that the network agrees with
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import ml_collections
import numpy as np

from josrc_keras import _files
from josrc_keras.export import calibration, sources
from josrc_keras.runs import build_data, folder, summary


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--output")
    arguments = parser.parse_args()
    rows = [examined(Path(run)) for run in arguments.runs]
    columns = list(rows[0])
    print(" | ".join(columns))
    for row in [*rows, mean(rows)]:
        cells = (f"{v:.1%}" if isinstance(v, float) else v for v in row.values())
        print(" | ".join(cells))
    if arguments.output:
        facts = {"device": summary.device(), "versions": summary.versions()}
        _files.write_json(arguments.output, facts | {"runs": rows})


def mean(rows):
    numbers = [name for name, value in rows[0].items() if isinstance(value, float)]
    means = {name: float(np.mean([row[name] for row in rows])) for name in numbers}
    return {name: means.get(name, "mean") for name in rows[0]}


def examined(run):
    config = ml_collections.ConfigDict(folder.read_config(run))
    benchmark = build_data.make_benchmark(config)
    student = keras.saving.load_model(run / "model.keras").student
    renewed = sources.with_new_statistics(student, benchmark.train.images)
    test, held_out = benchmark.test, benchmark.validation
    logits = sources.predict(student, test.images)
    noisy = sources.predict(student, held_out.images)
    share = float(np.mean(held_out.labels != held_out.true_labels))
    agree = noisy.argmax(axis=1) == held_out.labels

    def error(temperature):
        probs = calibration.softmax(logits[1::2] / temperature)
        return calibration.expected_calibration_error(probs, test.labels[1::2])

    def fitted(*data):
        return error(calibration.fit_temperature(*data)[0])

    return {
        "run": run.name,
        "accuracy": float(np.mean(logits.argmax(axis=1) == test.labels)),
        "new statistics": float(
            np.mean(sources.predict(renewed, test.images).argmax(axis=1) == test.labels)
        ),
        "uncalibrated": error(1.0),
        "clean": fitted(logits[::2], test.labels[::2]),
        "known noise": fitted(noisy, held_out.labels, share),
        "unknown noise": fitted(noisy, held_out.labels, None),
        "judged clean": fitted(noisy[agree], held_out.labels[agree]),
    }


if __name__ == "__main__":
    main()
