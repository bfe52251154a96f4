"""Whether all layers, trained after the head, are better than the head alone.

    python benchmarks/finetune.py --photos=PHOTOS --workdir=runs/finetune \
        --output=results/finetune.json

PHOTOS has a folder for each class. Of each class some photos are taken to train on and
others to test on. Of the former, `--rate` lie in the folder of another class. The head
is that of `josrc-audit --photos`, and all layers go on from it by
`josrc-train --config=photos_finetune`. Accuracy is that on the test photos, of the
middle of each photo. The audit is of the photos that are trained on: the head's is out
of sample, and the other by the history of the training. The backbone is
`efficientnet_lite0`, at `--size` pixels.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import time

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from josrc_keras import data
from josrc_keras.networks import efficientnet_lite
from josrc_keras.runs import summary

LEAVE = "Polo,Undershirt,Blazer,Hoodie,Body,Top,Blouse,Not_sure,Other,Skip"


def write_photos(args):
    """Links photos into `photos` and `test`; returns `{name: class}`."""
    random = np.random.default_rng(args.seed)
    names = sorted({p.name for p in args.photos.iterdir()} - set(args.leave.split(",")))
    truth = {}
    for number, name in enumerate(names):
        files = sorted((args.photos / name).iterdir())
        chosen = random.permutation(files)[: args.train + args.test]
        for place, file in enumerate(chosen):
            shown, part = number, "test"
            if place < args.train:
                part = "photos"
                if place < round(args.rate * args.train):
                    shown = (number + random.integers(1, len(names))) % len(names)
            link = args.workdir / part / names[shown] / file.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(file.resolve())
            truth[file.name] = name
    return truth


def audited(folder, truth):
    """What an audit found, by the classes that the photos came from."""
    with open(folder / "audit.csv", encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream) if "/test/" not in r["id"]]
    right = [truth[pathlib.Path(r["id"]).name] == r["given_name"] for r in rows]
    wrong = ~np.array(right)
    score = np.array([float(r["label_score"]) for r in rows])
    flag = np.array([r["is_label_issue"] == "True" for r in rows])
    hits = (flag & wrong).sum()
    return {
        "photos": len(rows),
        "wrong": int(wrong.sum()),
        "label_auroc": float(roc_auc_score(wrong, -score)),
        "label_average_precision": float(average_precision_score(wrong, -score)),
        "issue_f1": float(2 * hits / max(flag.sum() + wrong.sum(), 1)),
    }


def accuracy_of_head(args):
    """Accuracy of the audit's classifier on the test photos, as the run sees them."""
    import keras

    network = keras.saving.load_model(args.workdir / "classifier.keras")
    found = data.image_folder.read(
        args.workdir / "photos",
        image_size=network.input_shape[1],
        cache=args.workdir / "images",
        validation_dir=args.workdir / "test",
    )
    logits = network.predict(np.array(found.test.images, "float32"), verbose=0)
    return float((logits.argmax(1) == found.test.labels).mean())


def run(*command):
    start = time.perf_counter()
    subprocess.run([str(each) for each in command], check=True)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=pathlib.Path, required=True)
    parser.add_argument("--workdir", type=pathlib.Path, default="runs/finetune")
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--leave", default=LEAVE)
    parser.add_argument("--train", type=int, default=20, help="photos of a class")
    parser.add_argument("--test", type=int, default=12, help="photos of a class")
    parser.add_argument("--size", type=int, default=128, help="pixels")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    truth, work = write_photos(args), args.workdir
    backbone = work / "backbone.keras"
    shape = (args.size, args.size, 3)
    efficientnet_lite.load("efficientnet_lite0", shape).save(backbone)
    photos, head, tuned = work / "photos", work / "head", work / "run"
    classifier = work / "classifier.keras"
    command = ["josrc-audit", f"--photos={photos}", f"--output={head}"]
    command += [f"--backbone={backbone}", f"--classifier={classifier}"]
    seconds = [run(*command)]
    command = ["josrc-train", "--config=photos_finetune", f"--workdir={tuned}"]
    command += [f"--config.network.name={classifier}", f"--config.data.dir={photos}"]
    command += [f"--config.data.validation_dir={work / 'test'}", "--progress=none"]
    command += [f"--config.epochs={args.epochs}"]
    seconds.append(run(*command))
    run("josrc-audit", f"--run={tuned}", "--view_pairs=1", "--max_thumbnails=0")
    with open(tuned / "history.csv", encoding="utf-8") as stream:
        history = [float(row["val_accuracy"]) for row in csv.DictReader(stream)]
    record = {
        "classes": len(set(truth.values())),
        "train": args.train,
        "test": args.test,
        "rate": args.rate,
        "size": args.size,
        "epochs": args.epochs,
        "seed": args.seed,
        "head": audited(head, truth)
        | {"accuracy": accuracy_of_head(args), "seconds": seconds[0]},
        "all layers": audited(tuned / "audit", truth)
        | {"accuracy": history[-1], "by_epoch": history, "seconds": seconds[1]},
        "versions": summary.versions(),
    }
    print(json.dumps(record, indent=1))
    if args.output:
        args.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
