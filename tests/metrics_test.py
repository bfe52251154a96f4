import keras
import numpy as np
import pytest

from josrc_keras import metrics
from josrc_keras.selection import Selection

KINDS = ("clean", "id", "ood")


def ratio(numerator, denominator):
    return numerator / denominator if denominator else 0.0


def expected_scores(truth, verdict, likelihood):
    """Every score from its definition; AUROC by comparing each pair of samples."""
    scores = {}
    for index, kind in enumerate(KINDS):
        found = np.sum((truth == index) & (verdict == index))
        precision = ratio(found, np.sum(verdict == index))
        recall = ratio(found, np.sum(truth == index))
        scores[f"{kind}_precision"] = precision
        scores[f"{kind}_recall"] = recall
        scores[f"{kind}_f1"] = ratio(2 * precision * recall, precision + recall)
    wins = [
        (clean > unclean) + 0.5 * (clean == unclean)
        for clean in likelihood[truth == 0]
        for unclean in likelihood[truth > 0]
    ]
    scores["clean_auroc"] = ratio(sum(wins), len(wins))
    return scores


def samples(rows, seed=0):
    """Given labels, true labels, the true kind, a verdict, and a likelihood."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, rows, p=[0.5, 0.3, 0.2])
    labels = rng.integers(10, size=rows)
    true_labels = np.select([truth == 0, truth == 1], [labels, (labels + 3) % 10], -1)
    verdict = np.where(rng.random(rows) < 0.6, truth, rng.integers(3, size=rows))
    # Centres of bins, with ties; higher for the clean.
    likelihood = (rng.integers(0, 100, rows) + 50 * (truth == 0) + 0.5) / 200
    return labels, true_labels, truth, verdict, likelihood


def partition(verdict):
    return Selection(*(verdict == index for index in range(3)))


def scores_of(metric):
    return {name: float(value) for name, value in metric.result().items()}


@pytest.mark.parametrize("dtype", ["int32", "int64", "int8"])
def test_kind_of_noise(dtype):
    """-1 is out of distribution even where, impossibly, the label agrees."""
    labels = np.array([3, 3, 3, 0], dtype)
    true_labels = np.array([3, 4, -1, 0], dtype)
    kinds = metrics.kind_of_noise(labels, true_labels)
    np.testing.assert_array_equal(kinds, [0, 1, 2, 0])


def test_scores_equal_oracle_over_several_batches():
    labels, true_labels, truth, verdict, likelihood = samples(300)
    metric = metrics.SelectionQuality()
    for rows in (slice(0, 100), slice(100, 103), slice(103, 300)):
        metric.update_state(
            labels[rows], true_labels[rows], partition(verdict[rows]), likelihood[rows]
        )
    result, expected = scores_of(metric), expected_scores(truth, verdict, likelihood)
    assert list(result) == metrics.SelectionQuality.result_names()
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        assert 0 < value < 1
        assert result[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize(
    ("truth", "verdict"),
    [
        ([0, 0], [0, 0]),  # Nothing unclean: no pair to compare.
        ([1, 2], [0, 0]),  # Nothing clean.
        ([0, 1, 2], [2, 2, 2]),  # Nothing selected as clean or in-distribution.
        ([0, 1, 2], [1, 2, 0]),  # Everything wrong.
        ([], []),
    ],
)
def test_empty_classes_score_0(truth, verdict):
    truth, verdict = np.array(truth, int), np.array(verdict, int)
    labels = np.ones(len(truth), int)
    true_labels = np.array([1, 2, -1])[truth]
    likelihood = np.full(len(truth), 0.5025)
    metric = metrics.SelectionQuality()
    metric.update_state(labels, true_labels, partition(verdict), likelihood)
    expected = expected_scores(truth, verdict, likelihood)
    assert scores_of(metric) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("clean", "unclean", "expected"),
    [
        ([0.9], [0.1, 0.8], 1.0),
        ([0.1], [0.2, 0.9], 0.0),
        ([0.5025], [0.5025, 0.5025], 0.5),  # A tie counts half.
        ([0.2025, 0.6025], [0.2025, 0.4025], 0.625),  # (0.5 + 0 + 1 + 1) / 4
        ([1.0], [0.0], 1.0),  # Both ends have a bin.
        ([1.0], [0.9975], 0.5),  # 1.0 shares the last one.
    ],
)
def test_auroc_by_hand(clean, unclean, expected):
    rows = len(clean) + len(unclean)
    truth = np.array([0] * len(clean) + [1, 2][: len(unclean)])
    metric = metrics.SelectionQuality()
    metric.update_state(
        np.ones(rows, int),
        np.array([1, 0, -1])[truth],
        partition(np.zeros(rows, int)),
        np.array(clean + unclean),
    )
    assert scores_of(metric)["clean_auroc"] == pytest.approx(expected, abs=1e-6)


def test_histograms_count_each_kind_and_reset():
    labels, true_labels, truth, verdict, likelihood = samples(200)
    metric = metrics.SelectionQuality()
    metric.update_state(labels, true_labels, partition(verdict), likelihood)
    histograms = metric.histograms()
    np.testing.assert_allclose(histograms["edges"], np.arange(201) / 200, atol=1e-12)
    for index, kind in enumerate(KINDS):
        expected, _ = np.histogram(likelihood[truth == index], histograms["edges"])
        np.testing.assert_array_equal(histograms[kind], expected)
    metric.reset_state()
    assert all(value == 0 for value in scores_of(metric).values())


@pytest.mark.parametrize("kind", [metrics.SelectionQuality, metrics.AccuracyByKind])
def test_config_round_trip(kind):
    config = keras.saving.serialize_keras_object(kind(name="mine"))
    metric = keras.saving.deserialize_keras_object(config)
    assert (type(metric), metric.name) == (kind, "mine")


def expected_accuracy(labels, true_labels, predicted):
    """Figure 5's shares, counted sample by sample."""
    hits = {f"accuracy_{name}": [] for name in ("clean", *ACCURACIES)}
    for given, true, found in zip(labels, true_labels, predicted, strict=True):
        if true == -1:
            hits["accuracy_ood_given"].append(found == given)
        elif true == given:
            hits["accuracy_clean"].append(found == true)
        else:
            hits["accuracy_id_given"].append(found == given)
            hits["accuracy_id_true"].append(found == true)
    return {name: ratio(sum(each), len(each)) for name, each in hits.items()}


ACCURACIES = ("id_given", "id_true", "ood_given")


@pytest.mark.parametrize("dtype", ["int32", "int64", "int8", "uint8"])
def test_accuracy_by_kind_equals_a_count_over_several_batches(dtype):
    """Each share strictly between 0 and 1, and no two of them equal.

    True labels stay signed: -1 is out of distribution.
    """
    labels, true_labels, *_ = samples(300)
    rng = np.random.default_rng(1)
    source = rng.choice(3, 300, p=[0.5, 0.3, 0.2])  # The given label, the true, any.
    predicted = np.select(
        [source == 0, (source == 1) & (true_labels >= 0)],
        [labels, true_labels],
        rng.integers(10, size=300),
    )
    logits = rng.normal(size=(300, 10)).astype("float32")
    logits[np.arange(300), predicted] = 9.0
    given = labels.astype(dtype)
    true = true_labels.astype("int64" if dtype == "uint8" else dtype)
    metric = metrics.AccuracyByKind()
    for rows in (slice(0, 100), slice(100, 101), slice(101, 300)):
        metric.update_state(given[rows], true[rows], logits[rows])
    result, expected = (
        scores_of(metric),
        expected_accuracy(labels, true_labels, predicted),
    )
    assert list(result) == metrics.AccuracyByKind.result_names() == list(expected)
    assert len(set(expected.values())) == 4
    for name, value in expected.items():
        assert 0 < value < 1
        assert result[name] == pytest.approx(value, abs=1e-6), name
    metric.reset_state()
    assert set(scores_of(metric).values()) == {0.0}


@pytest.mark.parametrize(
    ("true_labels", "expected"),
    [
        ([1, 2], [0.5, 0.0, 0.0, 0.0]),  # All clean; the second is mistaken.
        ([0, 1], [0.0, 0.5, 0.5, 0.0]),  # All in-distribution noise.
        ([-1, -1], [0.0, 0.0, 0.0, 0.5]),  # All out of distribution.
        ([], [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_a_kind_without_samples_has_accuracy_0(true_labels, expected):
    """Given labels 1 and 2, predicted 1 and 1: by hand, and nothing is NaN."""
    count = len(true_labels)
    metric = metrics.AccuracyByKind()
    metric.update_state(
        np.array([1, 2][:count], int),
        np.array(true_labels, int),
        np.eye(3)[[1] * count],
    )
    assert list(scores_of(metric).values()) == expected
