"""Class-balanced epochs: from arrays, from files, and on JAX."""

import importlib.util
import json

import numpy as np
import pytest

from josrc_keras import data
from josrc_keras.data import batches, records
from josrc_keras.data.batches import balance
from tests.support.backends import run
from tests.support.balanced import COUNTS, LABELS, epochs_of, split


@pytest.fixture(scope="module", params=["arrays", "files", "rows of files"])
def source(request, tmp_path_factory):
    """The split in memory, or streamed; or as some of the rows in files."""
    if request.param == "arrays":
        return split()
    folder = tmp_path_factory.mktemp("records") / "set"
    ours = split()
    if request.param == "rows of files":  # Every row behind one that is not taken.
        rows = np.repeat(np.arange(len(ours)), 2)
        ours = ours.rows(rows)
    names = tuple("abcd")
    records.write(data.Benchmark(ours, ours, names, ""), folder, images_per_file=16)
    found = records.read(folder).train
    return found if request.param == "files" else found.rows(np.arange(94) % 2 == 1)


@pytest.mark.parametrize(
    ("balanced", "expected"),
    [(True, {0: 5, 1: 5, 3: 5}), (8, {0: 8, 1: 5, 3: 8}), (100, COUNTS)],
)
def test_an_epoch_has_as_many_of_every_class(source, balanced, expected):
    """Less the partial last batch: each row at most once, so many of each class."""
    whole = sum(expected.values()) // 3 * 3
    for rows in epochs_of(source, 3, seed=1, balanced=balanced):
        assert len(rows) == len(set(rows)) == whole
        found = np.bincount(LABELS[rows], minlength=4)
        assert all(found[name] <= count for name, count in expected.items())
        assert found[2] == 0


def test_every_epoch_draws_anew_and_resumes(source):
    whole = epochs_of(source, 4, seed=3, balanced=True)
    assert len({frozenset(rows) for rows in whole}) == 4
    resumed = epochs_of(source, 2, seed=3, initial_epoch=2, balanced=True)
    np.testing.assert_array_equal(resumed, whole[2:])
    other = epochs_of(source, 1, seed=4, balanced=True)
    assert set(other[0]) != set(whole[0])


def test_every_sample_of_a_class_is_as_likely():
    """2,000 epochs take 5 of 30: each 333 times, standard deviation 16.7."""
    drawn = [balance.epoch_rows(LABELS, 5, 0, epoch) for epoch in range(2000)]
    counts = np.bincount(np.concatenate(drawn), minlength=len(LABELS))
    assert np.abs(counts[LABELS == 0] - 2000 * 5 / 30).max() < 5 * 16.7
    assert set(counts[LABELS == 1]) == {2000}


def test_an_epoch_that_is_not_balanced_is_as_before(source):
    np.testing.assert_array_equal(
        epochs_of(source, 2, seed=0), epochs_of(source, 2, seed=0, balanced=False)
    )
    assert batches.steps_per_epoch(source, 3) == 15
    assert batches.steps_per_epoch(source, 3, balanced=True) == 5


@pytest.mark.parametrize("balanced", [0, -1, 2.5, "yes", None])
def test_what_is_no_number_of_samples_is_refused(balanced):
    with pytest.raises(
        ValueError, match=f"at least 1. Received: balanced={balanced!r}"
    ):
        batches.train_batches(split(), batch_size=3, seed=0, balanced=balanced)


def test_a_batch_larger_than_a_balanced_epoch_is_refused():
    message = "images in a balanced epoch, 15. Received: batch_size=16"
    with pytest.raises(ValueError, match=message):
        batches.train_batches(split(), batch_size=16, seed=0, balanced=True)


SCRIPT = """
import itertools, json
import numpy as np
from josrc_keras.data import batches
from tests.support.balanced import epochs_of, split

print(json.dumps({
    "whole": epochs_of(split(), 4, seed=3, balanced=True).tolist(),
    "resumed": epochs_of(split(), 2, seed=3, initial_epoch=2, balanced=True).tolist(),
}))
"""


@pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)
def test_on_jax():
    found = json.loads(run("jax", "-c", SCRIPT).splitlines()[-1])
    assert found["resumed"] == found["whole"][2:]
    assert len({frozenset(rows) for rows in found["whole"]}) == 4
    for epoch, rows in enumerate(found["whole"]):
        assert np.bincount(LABELS[rows]).tolist() == [5, 5, 0, 5]
        assert sorted(rows) == balance.epoch_rows(LABELS, 5, 3, epoch).tolist()
