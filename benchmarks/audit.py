"""Compares the audit of one Jo-SRC run with cleanlab on five-fold ordinary training.

    python benchmarks/audit.py --config=digits8n_o --seed=0 --workdir=runs/audit
    python benchmarks/audit.py --page > results/audit/README.md

It needs `pip install cleanlab==2.9.0`. Both sides get the same images, labels, network,
optimizer and epochs. Each seed's numbers go to results/audit/. Trained models stay in
`--workdir` and are not trained again.
"""

import argparse
import importlib
import importlib.metadata
import json
import statistics
import time
from pathlib import Path

import keras
import numpy as np

from josrc_keras import _files, audit
from josrc_keras.callbacks import LinearDecay
from josrc_keras.cleaning import audit_of_run
from josrc_keras.data import batches
from josrc_keras.runs import build_data, build_model
from josrc_keras.runs import summary as runs_summary
from josrc_keras.runs import train as experiment

FOLDS = 5
RESULTS = Path("results/audit")
METRICS = {
    "label_auroc": "AUROC",
    "label_average_precision": "AP",
    "issue_f1": "F1",
    "noise_rate_error": "rate error",
    "ood_auroc": "out-of-distribution AUROC",
    "seconds": "seconds",
}
SIDES = {
    "josrc": "josrc_keras, one run",
    "josrc_now": "the same without the history",
    "paper": "the same run, the paper's criteria in its last epoch",
    "cleanlab": "cleanlab, five folds, last epoch",
    "cleanlab_best": "cleanlab, five folds, best epoch by held-out noisy accuracy",
}


def configuration(args):
    module = importlib.import_module(f"josrc_keras.configs.{args.config}")
    config = module.get_config("paper")
    config.seed = args.seed
    config.data.noise, config.data.rate = args.noise, args.rate
    return config


def josrc(config, workdir):
    """Audits one run, and returns the numbers of `audit.compare` by name."""
    done = workdir / "summary.json"
    if not done.exists():
        experiment.train(config, workdir, verbose=0)
    summary = json.loads(done.read_text())
    model = keras.saving.load_model(workdir / "model.keras")
    model.sample_history = audit_of_run.read_history(workdir)
    train = build_data.make_benchmark(config, workdir).train
    start = time.perf_counter()
    table = model.audit(train.images, train.labels)
    seconds = time.perf_counter() - start
    found = {
        "josrc": audit.compare(table, train.true_labels),
        "josrc_now": audit.compare(
            model.audit(train.images, train.labels, history=False), train.true_labels
        ),
        "paper": papers(table, model, train),
    }
    for each in found.values():
        each["seconds"] = summary["wall_seconds"] + seconds
    return found


def papers(table, model, train):
    """The same numbers for eq. 3 and 4 in the last epoch of training."""
    verdict = model.sample_history.verdicts[:, -1]
    seen = verdict > 0  # An epoch leaves out a partial last batch.
    table = table.assign(
        verdict=np.array(["", *audit.scores.VERDICTS])[verdict],
        is_label_issue=verdict > 1,
        label_score=table["clean_likelihood"],
        ood_score=(verdict == 3).astype(float),
    )
    return audit.compare(table[seen], train.true_labels[seen])


def folds(config, path):
    """Held-out probabilities of each epoch, and features, by ordinary training."""
    if path.exists():
        with np.load(path) as arrays:
            return dict(arrays)
    from sklearn.model_selection import StratifiedKFold

    config = config.copy_and_resolve_references()
    config.method = "standard"
    benchmark = build_data.make_benchmark(config)
    train, count = benchmark.train, len(benchmark.train)
    split = StratifiedKFold(FOLDS, shuffle=True, random_state=config.seed)
    probs = np.zeros((config.epochs, count, benchmark.num_classes), "float32")
    features, seconds = {}, 0.0
    for fold, (kept, held) in enumerate(split.split(train.labels, train.labels)):
        keras.utils.set_random_seed(1000 * config.seed + fold)
        part = train.rows(kept)
        steps = batches.steps_per_epoch(part, config.batch_size)
        model = build_model.make_model(config, benchmark.num_classes, steps)
        recorder = Recorder(model, train.images[held])
        plan = LinearDecay(
            learning_rate=config.optimizer.arguments.learning_rate, **config.decay
        )
        start = time.perf_counter()
        model.fit(
            batches.train_batches(part, batch_size=config.batch_size, seed=config.seed),
            epochs=config.epochs,
            steps_per_epoch=steps,
            callbacks=[plan, recorder],
            shuffle=False,
            verbose=0,
        )
        # The time counts one prediction, not one in each epoch.
        taken = time.perf_counter() - start - recorder.seconds
        seconds += taken + recorder.seconds / config.epochs
        probs[:, held] = recorder.probs
        features |= dict(zip(held.tolist(), recorder.features, strict=True))
    found = {
        "probs": probs,
        "features": np.stack([features[row] for row in range(count)]),
        "seconds": np.array(seconds),
    }
    with _files.replacing(path) as beside, open(beside, "wb") as file:
        np.savez_compressed(file, **found)
    return found


class Recorder(keras.callbacks.Callback):
    """Predicts held-out images after each epoch."""

    def __init__(self, model, images):
        super().__init__()
        network = model.student
        inner = network.get_layer("logits").input
        self.network = keras.Model(network.inputs, [inner, network.output])
        self.images = images
        self.probs, self.features, self.seconds = [], None, 0.0

    def on_epoch_end(self, epoch, logs=None):
        start = time.perf_counter()
        features, logits = self.network.predict(self.images, batch_size=500, verbose=0)
        self.probs.append(np.asarray(keras.ops.softmax(logits)))
        self.features = features
        self.seconds += time.perf_counter() - start


def cleanlab(found, train):
    """Cleanlab's numbers from the last epoch, and from the best by noisy accuracy."""
    from cleanlab.outlier import OutOfDistribution

    accuracies = [(p.argmax(axis=1) == train.labels).mean() for p in found["probs"]]
    best = int(np.argmax(accuracies))
    outside = OutOfDistribution().fit_score(features=found["features"], verbose=False)
    result = {}
    for name, epoch in (("cleanlab", -1), ("cleanlab_best", best)):
        numbers = cleanlab_of(found["probs"][epoch].astype("float64"), train, outside)
        result[name] = numbers | {"seconds": float(found["seconds"])}
    result["cleanlab_best"]["epoch"] = best + 1
    return result


def cleanlab_of(probs, train, feature_score):
    from cleanlab.filter import find_label_issues
    from cleanlab.outlier import OutOfDistribution
    from cleanlab.rank import get_label_quality_scores
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    probs = probs / probs.sum(axis=1, keepdims=True)
    labels, true = train.labels, train.true_labels
    wrong, outside = labels != true, true < 0
    score = get_label_quality_scores(labels, probs)
    issue = find_label_issues(labels, probs, n_jobs=1)
    by_probs = OutOfDistribution().fit_score(
        pred_probs=probs, labels=labels, verbose=False
    )
    outliers = {"ood_auroc": by_probs, "ood_auroc_features": feature_score}
    return {
        "label_auroc": roc_auc_score(wrong, -score),
        "label_average_precision": average_precision_score(wrong, -score),
        "issue_f1": f1_score(wrong, issue),
        "noise_rate": wrong.mean(),
        "noise_rate_estimated": issue.mean(),
        **{k: roc_auc_score(outside[wrong], -s[wrong]) for k, s in outliers.items()},
    }


def page():
    """The table of all records, as Markdown."""
    records = [json.loads(p.read_text()) for p in sorted(RESULTS.glob("*.json"))]
    cells = {}
    for record in records:
        cells.setdefault((record["config"], record["noise"], record["rate"]), [])
        cells[record["config"], record["noise"], record["rate"]].append(record)
    parts = ["# Audits beside cleanlab", INTRODUCTION]
    for (config, noise, rate), same in cells.items():
        seeds = ", ".join(str(record["seed"]) for record in same)
        parts.append(f"## {config}, {noise} {rate:.0%}, seeds {seeds}")
        parts.append(table_of([record["found"] for record in same]))
    parts.append("## The runs")
    commands = [f"    {record['command']}" for record in records]
    versions = sorted({json.dumps(record["versions"]) for record in records})
    parts += ["\n".join(commands), "Versions: " + "; ".join(versions)]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """Written by `python benchmarks/audit.py --page` from the JSON files
beside it; do not edit.

Wrong labels: area under the ROC curve (AUROC) and average precision (AP) of the label
score, F1 of `is_label_issue`, and the estimated less the true share of wrong labels.
Out-of-distribution images: AUROC of `ood_score` among the samples whose label
is truly wrong; for cleanlab by probabilities, and in brackets by features. Seconds are
those of training and scoring, on one core. Means over the seeds, and after ± their
standard deviation."""


def table_of(found):
    lines = ["| | " + " | ".join(METRICS.values()) + " |", "|---" * 7 + "|"]
    for side, title in SIDES.items():
        cells = [title]
        for metric in METRICS:
            values = [number(each[side], metric) for each in found]
            mean = statistics.fmean(values)
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            digits = 0 if metric == "seconds" else 3
            sign = "+" if metric == "noise_rate_error" else ""
            cell = f"{mean:{sign}.{digits}f} ± {spread:.{digits}f}"
            if metric == "ood_auroc" and "ood_auroc_features" in found[0][side]:
                other = [each[side]["ood_auroc_features"] for each in found]
                cell += f" ({statistics.fmean(other):.3f})"
            cells.append(cell)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def number(found, metric):
    if metric == "noise_rate_error":
        return found["noise_rate_estimated"] - found["noise_rate"]
    return found[metric]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="digits8n_o")
    parser.add_argument("--noise", default="symmetric")
    parser.add_argument("--rate", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workdir", type=Path, default=Path("runs/audit"))
    parser.add_argument("--page", action="store_true")
    args = parser.parse_args()
    if args.page:
        print(page(), end="")
        return
    config = configuration(args)
    name = f"{args.config}-{args.noise}-{args.rate}-{args.seed}"
    train = build_data.make_benchmark(config).train
    found = josrc(config, args.workdir / name)
    held_out = folds(config, args.workdir / f"{name}-folds.npz")
    found |= cleanlab(held_out, train)
    versions = runs_summary.versions()
    versions["cleanlab"] = importlib.metadata.version("cleanlab")
    options = f"--config={args.config} --noise={args.noise} --rate={args.rate}"
    record = {
        "config": args.config,
        "noise": args.noise,
        "rate": args.rate,
        "seed": args.seed,
        "images": len(train),
        "device": runs_summary.device(),
        "versions": versions,
        "command": f"python benchmarks/audit.py {options} --seed={args.seed}",
        "found": json.loads(json.dumps(found, default=float)),
    }
    _files.write_json(RESULTS / f"{name}.json", record)
    print(json.dumps(record["found"], indent=2))


if __name__ == "__main__":
    main()
