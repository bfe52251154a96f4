"""`label_score` beside the margin of logits averaged over epochs (AUM).

    python benchmarks/aum.py --photos=PHOTOS --output=results/aum.json

It judges the digits and, where `--photos` says where they are, photos.

Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin Ranking",
NeurIPS 2020: the margin is the logit of the given label less the largest of the other
classes, and its mean over the epochs of ordinary training ranks wrong labels. On the
photos of `benchmarks/photos.py`, without those of no class, and with its errors:

- `label_score`: that of `audit.of_features`, from probabilities over epochs.
- `probability`: the given label's, the mean over the epochs that `label_score` is of.
- `margin, unseen`: the margin of the mean logits of the same epochs, by heads that have
  not seen the label.
- `margin, seen`: AUM as published: a head of the same width is trained on all labels
  as they are, without mixup, and the margins of all its epochs count.

On the digits, where 60% of the labels are wrong, `label_score` is that of
`model.audit` after 12 epochs, `margin, seen` the mean over all epochs of the teacher's.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
from photos import LEAVE, NOISE, OUTSIDE, average_precision, planted, read
from sklearn.metrics import roc_auc_score

from josrc_keras import AdaptiveJoSRC, audit, data, networks, recipes, views
from josrc_keras.probe import head, projection
from josrc_keras.runs import summary


def margin(logits, labels):
    """`(N,)` of `(N, C)`: the given label's logit less the largest other one."""
    rows = np.arange(len(labels))
    others = np.array(logits, "float64")
    others[rows, labels] = -np.inf
    return logits[rows, labels] - others.max(1)


def seen_margin(features, labels, classes, seed, settings):
    """`(N,)` AUM of softmax regression, by SGD as the heads have it."""
    random = np.random.default_rng([seed, 7])
    count, width = features.shape
    weights = np.zeros((width + 1, classes), "float32")
    inputs = np.concatenate([features, np.ones((count, 1), "float32")], 1)
    velocity, total = np.zeros_like(weights), np.zeros(count)
    steps = -(-count // settings.batch_size) * settings.epochs
    done = 0
    for _ in range(settings.epochs):
        for rows in np.array_split(random.permutation(count), steps // settings.epochs):
            error = head.softmax(inputs[rows] @ weights)
            error[np.arange(len(rows)), labels[rows]] -= 1
            gradient = inputs[rows].T @ error / len(rows)
            gradient[:-1] += settings.weight_decay * weights[:-1]
            done += 1
            rising, falling = 10 * done / steps, (steps + 1 - done) / (0.9 * steps)
            rate = settings.learning_rate * min(rising, falling)
            velocity = settings.momentum * velocity + gradient
            weights -= rate * (gradient + settings.momentum * velocity)
        total += margin(inputs @ weights, labels)
    return total / settings.epochs


def of_photos(features, truth, names, kind, seed):
    """The numbers of each score on one set of labels."""
    mean = features.astype("float32").mean(1)
    standard = (mean - mean.mean(0)) / (mean.std(0) + 1e-6)
    from sklearn.decomposition import PCA

    components = PCA(8, random_state=0).fit_transform(standard)
    labels = planted(kind, NOISE[kind], truth, len(names), components, seed)
    projected = projection.project(projection.fit(features, seed=seed), features)
    settings = head.Settings(seed=seed)
    found = head.cross_fit(projected, labels, len(names), settings)
    table = audit.of_predictions(found.probs, labels, features, seed=seed)
    seen = seen_margin(projected.mean(1), labels, len(names), seed, settings)
    return measured(
        labels != truth,
        {
            "label_score": table["label_score"].to_numpy(),
            "probability": found.probs[np.arange(len(labels)), labels],
            "margin, unseen": margin(found.logits, labels),
            "margin, seen": seen,
        },
    )


def measured(wrong, scores):
    return {
        name: {
            "label_auroc": float(roc_auc_score(wrong, -score)),
            "label_average_precision": average_precision(wrong, -score),
        }
        for name, score in scores.items()
    }


def of_digits(seed):
    """The same on the digits, by training a network."""
    import keras

    keras.utils.set_random_seed(seed)
    train = data.digits8n_o(noise="symmetric", rate=0.5, seed=seed).train
    images, labels = train.images, train.labels
    recipe = recipes.adaptive(
        num_classes=8, num_samples=len(images), batch_size=64, epochs=12
    )
    model = AdaptiveJoSRC(
        networks.digits_cnn(num_classes=8),
        8,
        augmentation=views.crop_and_flip(padding=1, flip=False),
        **recipe.model,
    )
    model.compile("adam")
    options = {"epochs": 12, "callbacks": recipe.callbacks, "verbose": 0}
    model.fit(images, labels, batch_size=64, **options)
    history = model.sample_history
    table = model.audit(images, labels)
    return measured(
        train.true_labels != labels,
        {
            "label_score": table["label_score"].to_numpy(),
            "probability": history.mean("given_prob"),
            "margin, seen": history.mean("given_logit") - history.mean("other_logit"),
        },
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", help="none: the digits only")
    parser.add_argument("--noise", default="symmetric,pair,weak")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--workdir", default="runs/photos_benchmark")
    parser.add_argument("--outside", default=OUTSIDE)
    parser.add_argument("--leave", default=LEAVE)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()
    if args.photos:
        features, truth, names = read(args)
        inside = truth >= 0
        features, truth = features[inside], truth[inside]
    kinds = [("digits", "symmetric")]
    if args.photos:
        kinds += [("photos", kind) for kind in args.noise.split(",")]
    rows = []
    for name, kind in kinds:
        for seed in map(int, args.seeds.split(",")):
            scores = (
                of_digits(seed)
                if name == "digits"
                else of_photos(features, truth, names, kind, seed)
            )
            rows.append({"data": name, "noise": kind, "seed": seed} | scores)
            print(json.dumps(rows[-1]), flush=True)
    if args.output:
        command = " ".join(["python benchmarks/aum.py", *sys.argv[1:]])
        if args.photos:
            command = command.replace(args.photos, "PHOTOS")
        record = {"command": command, "versions": summary.versions()}
        args.output.write_text(json.dumps(record | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
