r"""Chooses the adaptive method's values, on held-out noisy labels alone.

    python benchmarks/choose.py --work=runs/choose --known=results/choose.json
    python benchmarks/choose.py --work=runs/choose --row=all --candidate="as it was" \
        --candidate=temperature-0.5 --candidate=together --output=results/choose.json

The script runs the method with one of its switches or constants changed, on rows of the
robustness suite's developing half. No test image is looked at. What counts is the
teacher's accuracy on `validation`, a held-out fifth of the training images with their
noisy labels, as the mean of the last ten epochs, then of the rows. Each run is a file
in --work. A run whose file is there, or that is in the file --known, is not run again.
Processes may share the folder, each with rows of its own (--row).

The rule, written before the first candidate was run:

1. Each switch is run alone, on the `FIRST` rows, with seed 0. All switches that are
   ahead of the method as it was by more than one standard error (of the differences,
   row by row) are taken together, and of two values of one field the better. (Seen
   later: with `unclean-zero` the temperature changes nothing, so the better of these
   two was taken, too. `strong-views` are for images in colour, so not for the digits.)
2. This, the method as it was, and the best switch alone are run on all twelve rows.
   `recipes.adaptive` gets the one with the highest mean.

Then the same rule holds for the `CONSTANTS`, about half and double of each, starting
from `CHOSEN`, the method with the chosen switches. This, too, was written before the
first of them was run. How far views are blended depends on how many images of a class
training sees, and with few classes these are many. So its two values are judged on the
rows with 50 classes, too, and the smaller, which changes nothing elsewhere, on those
alone.
"""

import argparse
import json
import math
import pathlib
import statistics
import sys

import keras

from josrc_keras import _files
from josrc_keras.adaptive import values
from josrc_keras.data import batches
from josrc_keras.reproduction import robustness
from josrc_keras.runs import (
    build_callbacks,
    build_data,
    configuration,
    seeding,
    summary,
)
from josrc_keras.runs.build_model import make_model
from josrc_keras.runs.methods import METHODS

ROWS = {f"{r.dataset}/{r.cell}": r for r in robustness.ROWS if r.half == "develop"}
# The rows with few classes and images, which take a third of the time of all rows.
FIRST = tuple(
    name
    for name, row in ROWS.items()
    if row.dataset.startswith("digits") or row.dataset == "cifar8"
)
MANY = tuple(name for name, row in ROWS.items() if row.dataset == "cifar50")
AS_IT_WAS = "as it was"
# The method's values before the choice, which every run sets in full. Names in capitals
# are constants of `adaptive.values`, the others fields of a configuration.
BEFORE = {
    "adaptive.temperature": 1.0,
    "adaptive.hold": True,
    "adaptive.allowance": 0.5,
    "adaptive.transitions": True,
    "adaptive.unclean_weight": "confidence",
    "adaptive.memory_epochs": None,
    "adaptive.sharpness": 2.0,
    "adaptive.judge": "teacher",
    "adaptive.alpha": 0.0,
    "adaptive.mixup": None,
    "learning_rate_decay.name": "linear",
    "strong_views.enabled": False,
    "adaptive.smoothing": 0.0,
    "adaptive.warmup_share": 0.1,
    "adaptive.memory_share": 0.25,
    "adaptive.hold_share": 0.25,
    "adaptive.learnt": 0.5,
    "adaptive.strength": 10.0,
    "values.TEACHER_EPOCHS": 4,
    "values.MIXED_IMAGES": 2500,
}
RECORDED = {
    "adaptive.warmup_share": "trust.WARM_UP",
    "adaptive.memory_share": "trust.MEMORY",
    "adaptive.hold_share": "trust.HOLD",
    "adaptive.learnt": "trust.LEARNT",
    "adaptive.strength": "trust.STRENGTH",
    "values.TEACHER_EPOCHS": "recipes.TEACHER_EPOCHS",
    "values.MIXED_IMAGES": "recipes.MIXED_IMAGES",
}
CANDIDATES: dict = {
    AS_IT_WAS: {},
    "temperature-0.5": {"adaptive.temperature": 0.5},
    "hold-off": {"adaptive.hold": False},
    "allowance-0": {"adaptive.allowance": 0.0},
    "transitions-off": {"adaptive.transitions": False},
    "unclean-zero": {"adaptive.unclean_weight": "zero"},
    "unclean-one": {"adaptive.unclean_weight": "one"},
    "memory-1": {"adaptive.memory_epochs": 1.0},
    "sharpness-1": {"adaptive.sharpness": 1.0},
    "sharpness-4": {"adaptive.sharpness": 4.0},
    "mixup-0": {"adaptive.mixup": 0.0},
    "judge-student": {"adaptive.judge": "student"},
    "cosine": {"learning_rate_decay.name": "cosine"},
    "strong-views": {"strong_views.enabled": True},
    "alpha-0.5": {"adaptive.alpha": 0.5},
    "temperature-0.25": {"adaptive.temperature": 0.25},
    # The first step chose these. With `unclean-zero` a temperature changes nothing.
    "together": {
        "adaptive.temperature": 0.5,
        "adaptive.sharpness": 4.0,
        "adaptive.hold": False,
    },
}
CHOSEN = "temperature-0.5"  # The chosen switch, which constants are compared with.
CONSTANTS: dict = {
    "warm-up-0.05": {"adaptive.warmup_share": 0.05},
    "warm-up-0.2": {"adaptive.warmup_share": 0.2},
    "memory-0.125": {"adaptive.memory_share": 0.125},
    "memory-0.5": {"adaptive.memory_share": 0.5},
    "teacher-2": {"values.TEACHER_EPOCHS": 2},
    "teacher-8": {"values.TEACHER_EPOCHS": 8},
    "mixed-1250": {"values.MIXED_IMAGES": 1250},
    "mixed-5000": {"values.MIXED_IMAGES": 5000},
    "smoothing-0.1": {"adaptive.smoothing": 0.1},
    "allowance-0.25": {"adaptive.allowance": 0.25},
    "allowance-1": {"adaptive.allowance": 1.0},
    "learnt-0.25": {"adaptive.learnt": 0.25},
    "learnt-1": {"adaptive.learnt": 1.0},
    "hold-0.125": {"adaptive.hold_share": 0.125},
    "hold-0.5": {"adaptive.hold_share": 0.5},
    "strength-5": {"adaptive.strength": 5.0},
    "strength-20": {"adaptive.strength": 20.0},
}
ALL = CANDIDATES | CONSTANTS
# Rows of candidates that differ on some rows only from what they are compared with.
ONLY = {
    "strong-views": tuple(name for name in ROWS if not name.startswith("digits")),
    "mixed-1250": MANY,
}
FURTHER = {"mixed-1250": MANY, "mixed-5000": MANY}  # Rows beside the `FIRST`.
LAST = 10  # Last epochs, whose mean counts.


def values_of(candidate):
    """All values of the method with a candidate, by name."""
    chosen = CANDIDATES[CHOSEN] if candidate in CONSTANTS else {}
    return BEFORE | chosen | ALL[candidate]


def config_of(row, candidate, seed):
    """The configuration of a run, without the constants."""
    fields = {
        name: value
        for name, value in values_of(candidate).items()
        if value is not None and not is_constant(name)
    }
    return robustness.SuiteRun(
        row.dataset, row.cell, "josrc", "adaptive", seed, tuple(sorted(fields.items()))
    ).config()


def recorded_name(name):
    """A field's or constant's name in the record, which is as before version 0.2."""
    return RECORDED.get(name, configuration.recorded_name(name))


def is_constant(name):
    return name.rpartition(".")[2].isupper()


def with_constants(config, candidate, num_classes, num_samples):
    """The configuration with what follows from the candidate's constants."""
    chosen = values_of(candidate)
    images = chosen["values.MIXED_IMAGES"]
    config.adaptive.teacher_decay = values.teacher_decay(
        num_samples, config.batch_size, epochs=chosen["values.TEACHER_EPOCHS"]
    )
    if config.adaptive.mixup is None:
        config.adaptive.mixup = values.mixup(
            num_classes, num_samples, config.epochs, full_from=images
        )
    return config


def held_out_accuracy(config, candidate):
    """Trains, and returns the teacher's accuracy on held-out labels, by epoch."""
    keras.backend.clear_session()
    seeding.seed_everything(config)
    config = configuration.with_absolute_paths(config)
    benchmark = build_data.make_benchmark(config)
    train, held_out = benchmark.train, benchmark.validation
    config = with_constants(config, candidate, benchmark.num_classes, len(train))
    steps = build_data.steps_per_epoch(train, config)
    model = make_model(
        config, benchmark.num_classes, steps, train.images.shape[1:], len(train)
    )
    history = model.fit(
        build_data.train_batches(config, train, 0),
        epochs=config.epochs,
        steps_per_epoch=steps,
        validation_data=batches.evaluation_batches(held_out, batch_size=500),
        callbacks=[
            *build_callbacks.make_decay(config),
            *METHODS[config.method].callbacks(config, train, None),
        ],
        shuffle=False,
        verbose=0,
    )
    return history.history["val_accuracy"], len(held_out)


def run(work, name, candidate, seed):
    """Trains one run, unless its file is there or the candidate changes nothing."""
    path = path_of(work, name, candidate, seed)
    if path.exists() or name not in ONLY.get(candidate, ROWS):
        return
    config = config_of(ROWS[name], candidate, seed)
    accuracy, images = held_out_accuracy(config, candidate)
    found = {
        "row": name,
        "candidate": candidate,
        "seed": seed,
        "held_out": 100 * statistics.fmean(accuracy[-LAST:]),
        "images": images,
    }
    _files.write_json(path, found)
    sys.stdout.write(f"{name} {candidate} {seed}: {found['held_out']:.1f}\n")
    sys.stdout.flush()


def path_of(work, name, candidate, seed):
    return work / f"{name.replace('/', '-')}-{candidate}-{seed}.json"


def take_known(work, path):
    """Writes a file for each run in a record, unless it is there."""
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
    for candidate, found in runs.items():
        for key, value in found.items():
            name, _, seed = key.rpartition(" ")
            run = {"row": name, "candidate": candidate, "seed": int(seed)}
            beside = path_of(work, name, candidate, seed)
            if not beside.exists():
                _files.write_json(beside, run | {"held_out": value})


def summarise(work):
    """The accuracy of each run, and a line for each candidate: how far it is ahead.

    A line is over the rows that a candidate shares with what it is compared with, the
    method as it was or with the chosen switches: over the `FIRST` rows, and over all
    rows if it was run on others.
    """
    values: dict = {}
    for path in sorted(work.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        key = found["row"], found["seed"]
        values.setdefault(found["candidate"], {})[key] = found["held_out"]
    lines = []
    for candidate in ALL:
        ours = values.get(candidate, {})
        base = values.get(CHOSEN if candidate in CONSTANTS else AS_IT_WAS, {})
        both = sorted(ours.keys() & base.keys())
        some = [name for name in ROWS if any(name == key[0] for key in both)]
        first = [name for name in some if name in FIRST]
        for rows in [first] * (first != some) + [some]:
            if len(rows) > 1:
                lines.append(_line(candidate, rows, ours, base, both))
    return {"runs": values_by_row(values), "candidates": lines}


def _line(candidate, rows, ours, base, both):
    means = [
        statistics.fmean(ours[key] - base[key] for key in both if key[0] == name)
        for name in rows
    ]
    level = [
        statistics.fmean(ours[key] for key in both if key[0] == name) for name in rows
    ]
    return {
        "candidate": candidate,
        "changed": {recorded_name(k): v for k, v in ALL[candidate].items()},
        "rows": len(rows),
        "runs": sum(name in rows for name, _ in both),
        "held_out": statistics.fmean(level),
        "ahead": statistics.fmean(means),
        "standard_error": statistics.stdev(means) / math.sqrt(len(means)),
    }


def values_by_row(values):
    """The accuracy of each run, by candidate, then by row and seed."""
    return {
        candidate: {f"{name} {seed}": value for (name, seed), value in found.items()}
        for candidate, found in values.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--output", help="JSON file")
    parser.add_argument("--known", type=pathlib.Path, help="an earlier --output")
    parser.add_argument("--row", action="append", choices=("all", *ROWS), default=[])
    parser.add_argument("--candidate", action="append", choices=tuple(ALL))
    parser.add_argument("--seed", action="append", type=int)
    flags = parser.parse_args()
    rows = tuple(ROWS) if "all" in flags.row else flags.row
    flags.work.mkdir(parents=True, exist_ok=True)
    if flags.known:
        take_known(flags.work, flags.known)
    for seed in flags.seed or [0]:
        for candidate in flags.candidate or ALL:
            for name in rows or FIRST + FURTHER.get(candidate, ()):
                run(flags.work, name, candidate, seed)
    found = {
        "device": summary.device(),
        "versions": summary.versions(),
        "command": " ".join(["python", *sys.argv]),
        **summarise(flags.work),
    }
    text = json.dumps(found, indent=2)
    if flags.output:
        pathlib.Path(flags.output).write_text(text + "\n", encoding="utf-8")
    for line in found["candidates"]:
        sys.stdout.write(
            f"{line['candidate']:18} {line['rows']:3} rows {line['held_out']:5.1f} "
            f"{line['ahead']:+.1f} +- {line['standard_error']:.1f}\n"
        )


if __name__ == "__main__":
    main()
