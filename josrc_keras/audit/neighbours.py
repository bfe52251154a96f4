"""How well the labels of similar images score, by the network's features."""

import numpy as np

NEIGHBOURS = 50
REFERENCES = 10_000  # The largest number of samples to look for neighbours among.
ROWS = 1024  # Samples whose neighbours are looked for at a time.


def belief(features, score, *, neighbours=NEIGHBOURS, references=REFERENCES):
    """The mean label score of a sample's nearest neighbours.

    Around the images of a class most labels are right, even where the sample's own
    label is wrong. Around out-of-distribution images, labels of all classes score low.

    Args:
        features: `(N, F)`, of which only the direction counts.
        score: `(N,)` label scores in [0, 1].
        neighbours: Number of neighbours, at least 1; at most a tenth of the samples is
            used.
        references: Number of samples to look for neighbours among, always the same
            random ones. So a million samples take a hundred times as long as ten
            thousand, and no longer.

    Returns:
        `(N,)` float64 in [0, 1]; higher where the labels of neighbours are likely
        right. A sample is not its own neighbour; only a single sample gets its own
        score.
    """
    count = len(score)
    chosen = np.arange(count)
    if count > references:
        chosen = np.sort(np.random.default_rng(0).permutation(count)[:references])
    neighbours = min(neighbours, max(1, len(chosen) // 10))
    if len(chosen) <= neighbours:
        return np.asarray(score, "float64")
    directions = directions_of(features[chosen])
    place = np.full(count, -1)
    place[chosen] = np.arange(len(chosen))
    means = np.empty(count)
    for start in range(0, count, ROWS):
        rows = slice(start, start + ROWS)
        likeness = directions_of(features[rows]) @ directions.T
        own = place[rows]
        itself = np.flatnonzero(own >= 0)
        likeness[itself, own[itself]] = -np.inf
        nearest = np.argpartition(-likeness, neighbours, axis=1)[:, :neighbours]
        means[rows] = score[chosen][nearest].mean(axis=1)
    return means


def directions_of(features):
    """Features `(N, F)` at length 1, float32."""
    features = np.asarray(features, "float32")
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(length, np.finfo("float32").tiny)
