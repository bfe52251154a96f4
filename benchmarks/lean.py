r"""Chooses the recipe `lean` at equal arithmetic, on held-out noisy labels alone.

    python benchmarks/lean.py --work=runs/lean --row=symmetric-0.2 --candidate=NAME
    python benchmarks/lean.py --work=runs/lean --output=results/lean.json

Each candidate changes some fields of the recipe and is trained for as many epochs as
`BUDGET` pays for (`runs.arithmetic`), on 30 classes of CIFAR-100 with 500 images each,
a fifth of foreign images on top, and `cnn7` with half of its filters, in bfloat16. What
counts is the teacher's accuracy on a held-out fifth of these images, with their noisy
labels, in the last tenth of the epochs. No test image is looked at. Each run is a file
in --work and is not run again.
"""

import argparse
import json
import math
import pathlib
import statistics
import sys
import time

import keras

from josrc_keras import _files
from josrc_keras.audit.truth import auroc
from josrc_keras.configs import partial
from josrc_keras.data import batches
from josrc_keras.runs import (
    arithmetic,
    build_callbacks,
    build_data,
    build_model,
    configuration,
    seeding,
    summary,
)
from josrc_keras.runs.methods import METHODS

CLASSES = 30
BUDGET = 0.07  # PFLOP: twenty epochs of four passes.
ROWS = {
    "symmetric-0.2": {"data.noise": "symmetric", "data.rate": 0.2},
    "symmetric-0.5": {"data.noise": "symmetric", "data.rate": 0.5},
    "asymmetric-0.4": {"data.noise": "pairflip", "data.rate": 0.4},
    "clean": {"data.rate": 0.0, "data.partial.ood_share": 0.0},
}
DATA = {
    "data.partial.classes": CLASSES,
    "data.partial.images_per_class": 500,
    "data.partial.ood_share": 0.2,
    "data.validation_share": 0.2,
    "batch_size": 128,
    "network.width": 0.5,
    "precision": "mixed_bfloat16",
    "deterministic": "never",
}
# The recipe as it was first put together; candidates start from it.
FIRST = {
    "adaptive.student_views": "second",
    "model.teacher_views": "first",
    "adaptive.mixup": 1.0,
    "adaptive.teacher_decay": 1 - 1 / 117,  # An average over an epoch.
    "optimizer.name": "sgd",
    "optimizer.decay_all": False,
    "optimizer.arguments.learning_rate": 0.1,
    "optimizer.arguments.momentum": 0.9,
    "optimizer.arguments.nesterov": True,
    "learning_rate_decay.name": "warmup_linear",
}
HALF = {"adaptive.mixup": 0.5}
DECAYED = {**HALF, "optimizer.arguments.weight_decay": 5e-3}
MUON = {
    **FIRST,
    **HALF,
    "optimizer.name": "convolutional_muon",
    "optimizer.arguments.learning_rate": 5e-3,
}
TWICE = {**MUON, "optimizer.arguments.learning_rate": 1e-2}
FAST = {"network.name": "fast", "network.head": "linear", "network.width": 0.25}
ORDINARY = {**FIRST, "method": "standard", **DECAYED}
CANDIDATES: dict = {
    "adaptive": {},  # The recipe `adaptive` as it is: two views each, Adam.
    "first": FIRST,
    "teacher-4": {**FIRST, "adaptive.teacher_decay": None},
    "mixup-0.5": {**FIRST, **HALF},
    "mixup-0.2": {**FIRST, "adaptive.mixup": 0.2},
    "decay-5e-3": {**FIRST, **DECAYED},
    "rate-0.05": {**FIRST, **HALF, "optimizer.arguments.learning_rate": 0.05},
    "unclean-one": {**FIRST, **HALF, "adaptive.unclean_weight": "one"},
    "crops-of-2": {**FIRST, **HALF, "augmentation.padding": 2},
    "muon-5e-3": MUON,
    "muon-2e-3": {**MUON, "optimizer.arguments.learning_rate": 2e-3},
    "muon-1e-2": TWICE,
    "muon-2e-2": {**MUON, "optimizer.arguments.learning_rate": 2e-2},
    "muon-decay": {**MUON, "optimizer.arguments.weight_decay": 0.1},
    "muon-1e-2-decay": {**TWICE, "optimizer.arguments.weight_decay": 0.1},
    "muon-mixup-0.2": {**TWICE, "adaptive.mixup": 0.2},
    "muon-margin": {**TWICE, "adaptive.average": "margin"},
    "muon-balance": {**TWICE, "adaptive.balance": 1.0},
    "muon-forgetting": {**TWICE, "adaptive.forgetting": 0.5},
    "muon-negative": {**TWICE, "adaptive.negative": 0.5},
    "muon-one": {**TWICE, "adaptive.unclean_weight": "one"},
    "muon-mixup-1": {**TWICE, "adaptive.mixup": 1.0},
    "muon-momentum-0.95": {**TWICE, "optimizer.arguments.momentum": 0.95},
    "muon-adam-0.2": {**TWICE, "optimizer.arguments.adam_lr_ratio": 0.2},
    "muon-smooth": {**TWICE, "adaptive.smoothing": 0.1},
    "muon-fast": {**TWICE, **FAST},
    "muon-others": {**TWICE, "adaptive.leave_one_out": True},
    # No candidate, since it is told which labels are right: a bound.
    "muon-known": TWICE,
    "fast": {**FIRST, **HALF, **FAST},  # A pass costs 50 MFLOP, of `cnn7` 58.
    "ordinary": ORDINARY,
}


def config_of(row, candidate, seed=0):
    """The configuration of a run, with the epochs that the budget pays for."""
    config = partial.get_config("adaptive")
    fields = DATA | ROWS[row] | CANDIDATES[candidate] | {"seed": seed}
    with config.unlocked():
        for name in [name for name in fields if name.startswith("optimizer.arg")]:
            config.optimizer.arguments[name.rpartition(".")[2]] = fields.pop(name)
    config.update_from_flattened_dict(fields)
    if config.method == "josrc_adaptive":
        config.teacher.evaluate = "teacher"
    images = round(CLASSES * 500 / (1 - config.data.partial.ood_share))
    kept = round(images * (1 - config.data.validation_share))
    config.epochs = arithmetic.epochs_for(BUDGET, config, CLASSES, kept, (32, 32, 3))
    config.learning_rate_decay.start_epoch = round(80 * config.epochs / 200)
    return config


class Watch(keras.callbacks.Callback):
    """Notes what each epoch ends with: accuracy, and how good the trust is."""

    def __init__(self, wrong):
        super().__init__()
        self.wrong, self.rows = wrong, []

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, "held_out": 100 * logs["val_accuracy"]}
        if hasattr(self.model, "label_trust"):
            trust = keras.ops.convert_to_numpy(self.model.label_trust)
            row |= {
                "noise_rate": logs["noise_rate"],
                "auroc": auroc(-trust, self.wrong),
                "right_trusted": float((trust[~self.wrong] > 0.5).mean()),
                "wrong_trusted": float((trust[self.wrong] > 0.5).mean()),
            }
        self.rows.append(row)


class Told(keras.callbacks.Callback):
    """Trusts the labels that are right, and no other."""

    def __init__(self, wrong):
        super().__init__()
        self.trust = (~wrong).astype("float32")

    def on_epoch_begin(self, epoch, logs=None):
        self.model.label_trust.assign(self.trust)


def train(config, told=False):
    """Trains, and returns what each epoch ended with, and the true noise rate."""
    keras.backend.clear_session()
    seeding.seed_everything(config)
    config = configuration.with_absolute_paths(config)
    benchmark = build_data.make_benchmark(config)
    split, held_out = benchmark.train, benchmark.validation
    steps = build_data.steps_per_epoch(split, config)
    shape = split.images.shape[1:]
    model = build_model.make_model(
        config, benchmark.num_classes, steps, shape, len(split)
    )
    build_model.fit_first_layers(model, split.images)
    wrong = split.labels != split.true_labels
    watch = Watch(wrong)
    model.fit(
        build_data.train_batches(config, split, 0),
        epochs=config.epochs,
        steps_per_epoch=steps,
        validation_data=batches.evaluation_batches(held_out, batch_size=500),
        callbacks=[
            *build_callbacks.make_decay(config),
            *METHODS[config.method].callbacks(config, split, None),
            *([Told(wrong)] if told else []),
            watch,
        ],
        shuffle=False,
        verbose=0,
    )
    return watch.rows, float(watch.wrong.mean())


def run(work, row, candidate, seed):
    """Trains one run, unless its file is there."""
    path = work / f"{row}-{candidate}-{seed}.json"
    if path.exists():
        return
    start = time.monotonic()
    rows, wrong = train(config_of(row, candidate, seed), told=candidate == "muon-known")
    last = rows[-max(math.ceil(len(rows) / 10), 1) :]
    found = {"row": row, "candidate": candidate, "seed": seed, "noise_rate": wrong}
    found["held_out"] = statistics.fmean(each["held_out"] for each in last)
    _files.write_json(path, found | {"epochs": rows})
    minutes = (time.monotonic() - start) / 60
    sys.stdout.write(f"{row} {candidate}: {found['held_out']:.1f}, {minutes:.0f} min\n")
    sys.stdout.flush()


def summarise(work):
    """Held-out accuracy of each run, and its last epoch, by row and candidate."""
    found: dict = {}
    for path in sorted(work.glob("*.json")):
        each = json.loads(path.read_text(encoding="utf-8"))
        key = f"{each['candidate']} {each['seed']}"
        of_row = found.setdefault(each["row"], {})
        of_row[key] = {
            "held_out": round(each["held_out"], 2),
            "true_noise_rate": round(each["noise_rate"], 4),
            "last_epoch": each["epochs"][-1],
        }
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file")
    parser.add_argument("--row", action="append", choices=tuple(ROWS), default=[])
    parser.add_argument("--candidate", action="append", choices=tuple(CANDIDATES))
    parser.add_argument("--seed", action="append", type=int)
    flags = parser.parse_args()
    flags.work.mkdir(parents=True, exist_ok=True)
    for seed in flags.seed or [0]:
        for row in flags.row:
            for candidate in flags.candidate or CANDIDATES:
                run(flags.work, row, candidate, seed)
    found = {
        "device": summary.device(),
        "versions": summary.versions(),
        "command": " ".join(["python", *sys.argv]),
        "petaflop": BUDGET,
        "changed": CANDIDATES,
        "rows": summarise(flags.work),
    }
    if flags.output:
        _files.write_json(flags.output, found)
    for row, runs in found["rows"].items():
        for name, each in runs.items():
            sys.stdout.write(f"{row:16} {name:18} {each['held_out']:5.1f}\n")


if __name__ == "__main__":
    main()
