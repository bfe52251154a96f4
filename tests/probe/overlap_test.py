"""Classes that overlap: derived values and planted classes."""

import json

import numpy as np
import pytest

from josrc_keras.probe.overlap import overlapping_classes


def exchanged(share, count=1000):
    """Two classes that look different, with a share of each one's labels exchanged."""
    true = np.repeat([0, 1], count)
    labels = true.copy()
    wrong = int(share * count)
    labels[:wrong], labels[count : count + wrong] = 1, 0
    probs = np.where(true[:, None] == [0, 1], 0.9, 0.1)
    return probs, labels


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_the_overlap_is_twice_the_share_of_exchanged_labels(share):
    """Of pairs, (1 - r)^2 are in order and 2 r (1 - r) are equal: the area is 1 - r."""
    (pair,) = overlapping_classes(*exchanged(share))
    assert pair["overlap"] == pytest.approx(2 * share)
    assert pair["labels"] == [0, 1] and pair["images"] == [1000, 1000]
    assert pair["overlap_low"] < pair["overlap"] < pair["overlap_high"]
    assert pair["suggestion"] == ("merge" if share == 0.45 else "keep")


def test_the_interval_by_hand():
    """An area of 3/4 of 4 and 4: Q1 = 0.75 / 1.25 = 0.6, Q2 = 1.125 / 1.75 = 9 / 14.

    The variance is (3/16 + 3 (0.6 - 9/16) + 3 (9/14 - 9/16)) / 16, as Hanley and McNeil
    give it.
    """
    probs, labels = exchanged(0.25, count=4)
    (pair,) = overlapping_classes(probs, labels)
    error = ((3 / 16 + 3 * (0.6 - 9 / 16) + 3 * (9 / 14 - 9 / 16)) / 16) ** 0.5
    assert pair["overlap"] == pytest.approx(0.5)
    assert pair["overlap_high"] == pytest.approx(min(0.5 + 1.96 * 2 * error, 1))
    assert pair["overlap_low"] == 0


def test_the_temperature_and_the_numbers_of_samples_do_not_matter():
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 2))
    labels = (logits[:, 1] + random.normal(size=4000) > logits[:, 0]).astype(int)

    def overlap(scale, rows):
        powers = np.exp(scale * logits[rows])
        probs = powers / powers.sum(axis=1, keepdims=True)
        return overlapping_classes(probs, labels[rows])[0]["overlap"]

    all_rows = np.arange(4000)
    few_ones = np.concatenate(
        [np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:400]]
    )
    assert overlap(0.1, all_rows) == pytest.approx(overlap(5, all_rows), abs=1e-6)
    assert overlap(1, few_ones) == pytest.approx(overlap(1, all_rows), abs=0.05)


def test_one_class_under_two_names_is_found_among_others():
    """Classes 3 and 7 are one; the others are told apart, and a fifth is relabelled."""
    random = np.random.default_rng(0)
    true = np.tile(np.arange(8), 250)
    seen = np.where(true == 7, 3, true)
    probs = np.full((2000, 8), 0.05) + 0.6 * (seen[:, None] == np.arange(8))
    probs[:, 7] = probs[:, 3]  # The network can't know which of both it is.
    probs *= random.uniform(0.8, 1.25, probs.shape)
    probs /= probs.sum(axis=1, keepdims=True)
    labels = np.where(random.random(2000) < 0.2, random.integers(0, 8, 2000), true)
    names = list("abcdefgh")
    first, *others = overlapping_classes(probs, labels, names)
    assert first["names"] == ["d", "h"] and first["suggestion"] == "merge"
    assert first["overlap_high"] == 1 and first["overlap"] > 0.9
    assert {pair["suggestion"] for pair in others} == {"keep"}
    assert max(pair["overlap"] for pair in others) < 0.4


def test_many_classes_are_compared_with_their_nearest():
    """As JSON, at most 50 pairs, and no class of one sample among them."""
    random = np.random.default_rng(0)
    probs = random.dirichlet(np.ones(300), 1200).astype("float32")
    labels = np.append(np.tile(np.arange(299), 5)[:1199], 299)
    found = overlapping_classes(probs, labels)
    assert json.loads(json.dumps(found)) == found
    assert len(found) == 50
    assert all(299 not in pair["labels"] for pair in found)
    overlaps = [pair["overlap"] for pair in found]
    assert overlaps == sorted(overlaps, reverse=True)


def test_classes_that_are_told_apart_are_left_out():
    probs = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    assert overlapping_classes(probs, [0, 0, 1, 1, 2, 2]) == []
    assert overlapping_classes(probs[:, :1], [0] * 6) == []


@pytest.mark.parametrize(
    ("probs", "labels", "names", "message"),
    [
        (np.ones((3, 2)), [0, 1], None, r"shapes \(3, 2\) and \(2,\)"),
        (np.ones(3), [0, 1, 1], None, r"shapes \(3,\) and \(3,\)"),
        (np.full((2, 2), -1.0), [0, 1], None, r"from -1\.0 to -1\.0\. Apply softmax"),
        (np.full((2, 2), np.nan), [0, 1], None, r"from nan to nan"),
        (np.ones((2, 2)), [0, 2], None, r"labels in \[0, 2\).*such as \[0, 2\]"),
        (np.ones((2, 2)), [0.0, 1.0], None, r"float64 labels"),
        (np.ones((2, 2)), [0, 1], ["a"], r"each of the 2 classes\. Received: 1 class"),
    ],
)
def test_what_does_not_fit_is_refused(probs, labels, names, message):
    with pytest.raises(ValueError, match=message):
        overlapping_classes(probs, labels, names)
