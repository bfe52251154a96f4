"""Label scores with the second opinion of a linear discriminant, on photos.

    python benchmarks/second_opinion.py --photos=PHOTOS

The order of `benchmarks/photos.py`'s label scores is a geometric mean that the head's
probability of the given label enters. Here that probability is weighed with that of
class means with one covariance, cross-fitted, too: `weight` is that one's share. Seed
100 is none of those that are reported.
"""

import argparse

import numpy as np
from photos import LEAVE, OUTSIDE, average_precision, planted, read
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from josrc_keras.probe import confusion, head, projection

SETS = (("weak", 0.3), ("symmetric", 0.05), ("symmetric", 0.1), ("pair", 0.05))
WEIGHTS = (0.0, 0.25, 0.5, 1.0)


def discriminant(components, labels, classes, seed):
    """`(N, C)` probabilities in five folds, with half of the covariance shrunk."""
    probs, folds = np.zeros((len(labels), classes)), head.folds_of(labels, 5, seed)
    for fold in range(5):
        train, test = folds != fold, folds == fold
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5)
        model.fit(components[train], labels[train])
        probs[np.ix_(test, model.classes_)] = model.predict_proba(components[test])
    return probs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--workdir", default="runs/photos_benchmark")
    parser.add_argument("--outside", default=OUTSIDE)
    parser.add_argument("--leave", default=LEAVE)
    parser.add_argument("--seed", type=int, default=100)
    args = parser.parse_args()
    features, truth, names = read(args)
    features, truth = features[truth >= 0], truth[truth >= 0]
    classes, rows, seed = len(names), np.arange(len(truth)), args.seed
    mean = features.astype("float32").mean(1)
    standard = (mean - mean.mean(0)) / (mean.std(0) + 1e-6)
    components = PCA(256, random_state=0).fit_transform(standard)
    projected = projection.project(projection.fit(features, seed=seed), features)
    for kind, rate in SETS:
        labels = planted(kind, rate, truth, classes, components, seed)
        found = head.cross_fit(projected, labels, classes, head.Settings(seed=seed))
        right = confusion.fit(found.probs, labels).right
        given = found.probs[rows, labels]
        second = discriminant(components, labels, classes, seed)[rows, labels]
        for weight in WEIGHTS:
            score = right * given ** (1 - weight) * second**weight
            wrong = labels != truth
            auroc = roc_auc_score(wrong, -score)
            precision = average_precision(wrong, -score)
            print(f"{kind} {rate}, weight {weight}: {auroc:.3f}, {precision:.3f}")


if __name__ == "__main__":
    main()
