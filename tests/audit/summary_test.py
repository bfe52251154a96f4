"""What an audit says about the dataset, by hand."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest

from josrc_keras.audit import scores, summarise

CLEAN, NOISY, FOREIGN, UNDECIDED = scores.VERDICTS


RATES = ("in_distribution_rate", "out_of_distribution_rate", "undecided_rate")


@pytest.fixture
def table():
    """Six images of classes 0, 1 and 3 of five, the last of which is never given."""
    given = np.array([0, 0, 0, 1, 1, 3])
    predicted = np.array([0, 1, 1, 4, 1, 0])
    names = np.array(["ant", "bee", "cat", "dog", "elk"], object)
    return pandas.DataFrame(
        {
            "id": np.arange(6),
            "given_label": given,
            "given_name": names[given],
            "predicted_label": predicted,
            "predicted_name": names[predicted],
            "verdict": [CLEAN, NOISY, NOISY, NOISY, CLEAN, FOREIGN],
            "duplicate_set": [0, 0, -1, 1, 1, 0],
        }
    )


def test_summary_by_hand(table):
    found = summarise(table)
    assert json.loads(json.dumps(found)) == found
    rates = ("noise_rate", "in_distribution_rate", "out_of_distribution_rate")
    assert (found["images"], found["classes"]) == (6, 3)
    assert [found[rate] for rate in rates] == [4 / 6, 3 / 6, 1 / 6]
    by_class = [[c["label"], c["name"], c["images"]] for c in found["by_class"]]
    assert by_class == [[0, "ant", 3], [1, "bee", 2], [3, "dog", 1]]
    each = [[c[rate] for rate in rates] for c in found["by_class"]]
    assert each == [[2 / 3, 2 / 3, 0], [0.5, 0.5, 0], [1, 0, 1]]
    pairs = [tuple(pair.values()) for pair in found["confused_pairs"]]
    assert pairs == [(0, "ant", 1, "bee", 2), (1, "bee", 4, "elk", 1)]
    # The images of set 1 have one label, those of set 0 two.
    assert found["duplicates"] == [
        {"duplicate_set": 0, "ids": [0, 1, 5], "given_names": ["ant", "ant", "dog"]}
    ]
    assert found["duplicate_images"] == 5


@pytest.mark.parametrize("make", [str, np.str_, lambda i: Path(f"{i}.png")])
def test_ids_of_any_kind_are_written(make, table):
    """Numbers as numbers, all else as text."""
    table["id"] = pandas.Series([make(i) for i in range(6)], dtype=object)
    found = json.loads(json.dumps(summarise(table)))
    assert found["duplicates"][0]["ids"] == [str(make(i)) for i in (0, 1, 5)]


def test_undecided_is_a_part_of_the_noise(table):
    """Of three ants two are wrong, of which one is undecided and in no pair."""
    table.loc[1, "verdict"] = UNDECIDED
    found = summarise(table)
    assert found["noise_rate"] == 4 / 6
    assert [found[rate] for rate in RATES] == [2 / 6, 1 / 6, 1 / 6]
    assert [found["by_class"][0][rate] for rate in RATES] == [1 / 3, 0, 1 / 3]
    assert [pair["images"] for pair in found["confused_pairs"]] == [1, 1]


def test_nothing_wrong(table):
    table["verdict"], table["duplicate_set"] = CLEAN, -1
    found = summarise(table)
    assert found["noise_rate"] == 0
    assert found["confused_pairs"] == found["duplicates"] == []
    assert found["duplicate_images"] == 0


def test_the_fifty_most_confused_pairs():
    given, predicted = np.divmod(np.arange(121), 11)
    many = np.repeat(np.arange(121), np.arange(121) % 60)
    names = np.array([str(i) for i in range(11)], object)
    table = pandas.DataFrame(
        {
            "id": np.arange(len(many)),
            "given_label": given[many],
            "given_name": names[given[many]],
            "predicted_label": predicted[many],
            "predicted_name": names[predicted[many]],
            "verdict": NOISY,
            "duplicate_set": -1,
        }
    )
    counts = [pair["images"] for pair in summarise(table)["confused_pairs"]]
    expected = sorted(np.arange(121) % 60, reverse=True)[:50]
    assert counts == expected and counts[0] == 59
