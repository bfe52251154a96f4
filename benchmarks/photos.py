"""Audits of real photos by frozen features: planted errors, beside a linear probe.

    python benchmarks/photos.py --photos=PHOTOS --backbone=BACKBONE --seeds=0,1,2 \
        --workdir=runs/photos_benchmark --output=results/photos.json

PHOTOS has a folder for each class. Those of `--outside` are of no class: their photos
are looked for among the rest, with random labels. Those of `--leave` are left out. The
labels are taken for the truth as they came, though some are wrong. It needs
`pip install "cleanlab[datalab]==2.9.0"`.

- `linear probe`: logistic regression on 256 principal components, in five folds. A
  label is called wrong where another class is the likeliest; its score is its
  probability.
- `Datalab` gets the same probabilities and features.
- The errors are symmetric ones of 40% and none, 30% of pairs (each class is labelled as
  the next one), and 30% that a weak network made: logistic regression on 8 components,
  trained on 300 photos; its errors are drawn until 30% of all labels are wrong.

Seeds from 100 on were looked at when values were chosen (`probe.head.Settings`,
`probe.verdicts`), those below were not.
"""

import argparse
import importlib.metadata
import json
import pathlib
import time

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from josrc_keras import audit
from josrc_keras.probe import features as passes
from josrc_keras.probe import listing, verdicts
from josrc_keras.probe.head import folds_of
from josrc_keras.runs import summary

LEAVE = "Polo,Undershirt,Blazer,Hoodie,Body,Top,Blouse"
OUTSIDE = "Not_sure,Other,Skip"
NOISE = {"symmetric": 0.4, "none": 0.0, "pair": 0.3, "weak": 0.3}
REGULARISATION = 1e-3  # C of the linear probe, the best of 1e-4, ..., 1 on seed 100.


def read(args):
    """Features `(N, V, F)`, true labels with -1 outside, and the class names."""
    listed, _ = listing.read(args.photos, args.workdir)
    listed = [p for p in listed if p.label not in args.leave.split(",")]
    seen = passes.of_photos(listed, args.backbone, args.workdir)
    outside = args.outside.split(",")
    names = sorted({p.label for p in seen.photos} - set(outside))
    truth = np.array(
        [-1 if p.label in outside else names.index(p.label) for p in seen.photos]
    )
    return seen.features, truth, names


def planted(kind, rate, truth, classes, components, seed):
    """Labels with errors; photos outside get random labels."""
    random = np.random.default_rng(seed)
    labels = np.where(truth < 0, random.integers(0, classes, len(truth)), truth)
    if kind == "weak":
        errors = weak_errors(truth, components, rate, random)
        return np.where(errors >= 0, errors, labels)
    flipped = (random.random(len(truth)) < rate) & (truth >= 0)
    steps = random.integers(1, classes, len(truth)) if kind == "symmetric" else 1
    return np.where(flipped, (truth + steps) % classes, labels)


def weak_errors(truth, components, rate, random):
    """`(N,)`: the class that a weak network takes a photo for; -1 if it is not used."""
    inside = np.flatnonzero(truth >= 0)
    taught = random.permutation(inside)[:300]
    model = LogisticRegression(max_iter=1000).fit(components[taught, :8], truth[taught])
    found = model.predict(components[:, :8])
    wrong = np.setdiff1d(inside[found[inside] != truth[inside]], taught)
    chosen = random.permutation(wrong)[: round(rate * len(inside))]
    errors = np.full(len(truth), -1)
    errors[chosen] = found[chosen]
    return errors


def probed(components, labels, classes, seed, strength=REGULARISATION):
    """Probabilities of a linear probe in five folds."""
    probs, folds = np.zeros((len(labels), classes)), folds_of(labels, 5, seed)
    for fold in range(5):
        train, test = folds != fold, folds == fold
        model = LogisticRegression(C=strength, max_iter=1000)
        model.fit(components[train], labels[train])
        probs[np.ix_(test, model.classes_)] = model.predict_proba(components[test])
    return probs


def numbers(score, flagged, predicted, labels, truth, ood):
    """What all sides are measured by; on photos of the classes, but for `ood_auroc`."""
    inside = truth >= 0
    wrong = (labels != truth)[inside]
    flag = flagged[inside]
    precision = wrong[flag].mean() if flag.any() else 0.0
    found = {"accuracy": float((predicted == truth)[inside].mean())}
    if wrong.any():
        recall = flag[wrong].mean()
        found |= {
            "label_auroc": float(roc_auc_score(wrong, -score[inside])),
            "label_average_precision": average_precision(wrong, -score[inside]),
            "issue_f1": float(2 * precision * recall / max(precision + recall, 1e-9)),
        }
    if not inside.all():
        found["ood_auroc"] = float(roc_auc_score(~inside, ood))
    return found


def average_precision(wrong, score):
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(wrong, score))


def datalab(labels, probs, features):
    """Scores, flags and outlier scores of cleanlab's Datalab."""
    from cleanlab import Datalab

    lab = Datalab({"label": labels}, label_name="label", verbosity=0)
    kinds = {"label": {}, "outlier": {}}
    lab.find_issues(pred_probs=probs, features=features, issue_types=kinds)
    issues = lab.get_issues()
    return (
        issues["label_score"].to_numpy(),
        issues["is_label_issue"].to_numpy(),
        1 - issues["outlier_score"].to_numpy(),
    )


def compared(features, truth, names, kind, outside, seed):
    """The numbers of the three sides on one set of labels."""
    rows = np.ones(len(truth), bool) if outside else truth >= 0
    features, truth = features[rows], truth[rows]
    mean = features.astype("float32").mean(1)
    standard = (mean - mean.mean(0)) / (mean.std(0) + 1e-6)
    components = PCA(256, random_state=0).fit_transform(standard)
    labels = planted(kind, NOISE[kind], truth, len(names), components, seed)
    probs = probed(components, labels, len(names), seed)
    given = probs[np.arange(len(labels)), labels]
    predicted = probs.argmax(1)
    sides = {
        "linear probe": numbers(
            given, predicted != labels, predicted, labels, truth, 1 - probs.max(1)
        )
    }
    score, flagged, outlier = datalab(labels, probs, mean)
    sides["Datalab"] = numbers(score, flagged, predicted, labels, truth, outlier)
    start = time.perf_counter()
    table = audit.of_features(features, labels, class_names=names, seed=seed)
    seconds = time.perf_counter() - start
    estimates = table.attrs["estimates"]
    sides["josrc_keras"] = numbers(
        table["label_score"].to_numpy(),
        table["is_label_issue"].to_numpy(),
        table["predicted_label"].to_numpy(),
        labels,
        truth,
        table["ood_score"].to_numpy(),
    ) | {
        "noise_rate": float((labels != truth).mean()),
        "noise_rate_estimated": estimates["noise_rate"],
        "noise_rate_interval": estimates["noise_rate_interval"],
        "ood_rate": float((truth < 0).mean()),
        "ood_rate_estimated": estimates["ood_rate"],
        "ood_rate_interval": estimates["ood_rate_interval"],
        "calibration": calibration(table, labels == truth),
        "verdicts": audit.compare(table, truth)["verdicts"],
        "check": found_by(table, labels != truth, estimates["check"]["photos"]),
        "seconds": seconds,
    }
    return sides


def calibration(table, right):
    """Of each fifth of the label scores: photos, mean score, share of right labels."""
    score = table["label_score"].to_numpy()
    bins = np.minimum((score * 5).astype(int), 4)
    return [
        [
            int((bins == n).sum()),
            float(score[bins == n].mean()) if (bins == n).any() else None,
            float(right[bins == n].mean()) if (bins == n).any() else None,
        ]
        for n in range(5)
    ]


def found_by(table, wrong, count):
    """The photos to check for 90% of the wrong labels, and how many these hold."""
    worst = np.argsort(table["label_score"].to_numpy(), kind="stable")[:count]
    share = float(wrong[worst].sum() / max(wrong.sum(), 1))
    return {"photos": int(count), "share": share, "expected": verdicts.FOUND}


COLUMNS = {
    "label_auroc": ("AUROC", 3),
    "label_average_precision": ("AP", 3),
    "issue_f1": ("F1 of the flag", 3),
    "accuracy": ("accuracy", 3),
    "ood_auroc": ("of no class, AUROC", 3),
}
SETS = {
    ("symmetric", False): "40% symmetric errors",
    ("pair", False): "30% pair errors",
    ("weak", False): "30% errors of a weak network",
    ("symmetric", True): "40% symmetric errors, with photos of no class",
    ("pair", True): "30% pair errors, with photos of no class",
    ("weak", True): "30% errors of a weak network, with photos of no class",
    ("none", True): "labels as they came, with photos of no class",
}


def page(record):
    """The tables of a record, in Markdown."""
    lines = ["| labels | side | " + " | ".join(c[0] for c in COLUMNS.values()) + " |"]
    lines.append("|---|---|" + "---|" * len(COLUMNS))
    for (noise, outside), name in SETS.items():
        rows = [
            row["sides"]
            for row in record["rows"]
            if (row["noise"], row["outside"]) == (noise, outside)
        ]
        for side in rows[0]:
            cells = [
                mean_of([row[side].get(column) for row in rows], digits)
                for column, (_, digits) in COLUMNS.items()
            ]
            lines.append(f"| {name} | {side} | {' | '.join(cells)} |")
    lines += [
        "",
        "| labels | seed | wrong | estimate, interval | of no class | estimate,",
    ]
    lines[-1] += " interval | to check, which hold | seconds |"
    lines.append("|---|---|---|---|---|---|---|---|")
    for (noise, outside), name in SETS.items():
        for row in record["rows"]:
            if (row["noise"], row["outside"]) == (noise, outside):
                lines.append(f"| {name} | {row['seed']} | {estimates(row['sides'])} |")
    return "\n".join(lines)


def mean_of(values, digits):
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.{digits}f}" if known else ""


def estimates(sides):
    found = sides["josrc_keras"]
    cells = []
    for name in ("noise_rate", "ood_rate"):
        low, high = found[f"{name}_interval"]
        cells.append(f"{found[name]:.1%}")
        cells.append(f"{found[f'{name}_estimated']:.1%} ({low:.1%} to {high:.1%})")
    cells.append(f"{found['check']['photos']}, {found['check']['share']:.0%}")
    cells.append(f"{found['seconds']:.0f}")
    return " | ".join(cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos")
    parser.add_argument("--page", type=pathlib.Path, help="print a record's tables")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--workdir", default="runs/photos_benchmark")
    parser.add_argument("--outside", default=OUTSIDE)
    parser.add_argument("--leave", default=LEAVE)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()
    if args.page:
        print(page(json.loads(args.page.read_text())))
        return
    features, truth, names = read(args)
    rows = []
    for seed in map(int, args.seeds.split(",")):
        for kind in NOISE:
            for outside in (False, True):
                if kind == "none" and not outside:
                    continue
                sides = compared(features, truth, names, kind, outside, seed)
                row = {"noise": kind, "outside": outside, "seed": seed, "sides": sides}
                rows.append(row)
                print(json.dumps(row), flush=True)
    if args.output:
        record = {
            "photos": len(truth),
            "outside": int((truth < 0).sum()),
            "classes": names,
            "backbone": pathlib.Path(args.backbone).name,
            "versions": summary.versions()
            | {n: importlib.metadata.version(n) for n in ("cleanlab", "scikit-learn")},
            "rows": rows,
        }
        args.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
