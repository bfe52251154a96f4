"""How well the labels around a sample are believed, in the network's features."""

import numpy as np

NEIGHBOURS = 50
REFERENCES = 10_000  # Samples that neighbours are looked for among, at most.
ROWS = 1024  # Compared with them at a time.


def belief(features, score, *, neighbours=NEIGHBOURS, references=REFERENCES):
    """The mean label score of a sample's nearest neighbours.

    Around images of a class there are right labels, wrong as the sample's own may be;
    around images of no class, labels of all classes that nobody believes.

    Args:
        features: `(N, F)`; what counts is their direction.
        score: `(N,)` label scores.
        neighbours: Number of neighbours, at least 1, of at most a tenth of the samples.
        references: Neighbours are looked for among so many samples, always the same
            random ones, so that a million samples take a hundred times as long as ten
            thousand, and no longer.

    Returns:
        `(N,)` float64 in [0, 1]; a sample is no neighbour of its own. That of a single
        sample is its score.
    """
    count = len(score)
    chosen = np.arange(count)
    if count > references:
        chosen = np.sort(np.random.default_rng(0).permutation(count)[:references])
    neighbours = min(neighbours, max(1, len(chosen) // 10))
    if len(chosen) <= neighbours:
        return np.asarray(score, "float64")
    directions = _directions(features[chosen])
    place = np.full(count, -1)
    place[chosen] = np.arange(len(chosen))
    found = np.empty(count)
    for start in range(0, count, ROWS):
        rows = slice(start, start + ROWS)
        likeness = _directions(features[rows]) @ directions.T
        own = place[rows]
        itself = np.flatnonzero(own >= 0)
        likeness[itself, own[itself]] = -np.inf
        nearest = np.argpartition(-likeness, neighbours, axis=1)[:, :neighbours]
        found[rows] = score[chosen][nearest].mean(axis=1)
    return found


def _directions(features):
    features = np.asarray(features, "float32")
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(length, np.finfo("float32").tiny)
