"""The JAX batches: order, remainder, resumption; in a process of its own."""

import importlib.util
import json

import pytest

from tests.support.backends import run

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)

SCRIPT = """
import itertools, json, sys
import jax
import numpy as np
from josrc_keras.data import Split, batches

numbers = np.arange(64)
images = np.broadcast_to(numbers[:, None, None, None], (64, 2, 2, 1)).astype("uint8")
split = Split(images, numbers % 7, numbers % 5 - 1, numbers)
steps = batches.steps_per_epoch(split, 10)


def epochs_of(count, **options):
    stream = batches.train_batches(split, batch_size=10, **options)
    result = []
    for _ in range(count):
        rows = []
        for image, truth in itertools.islice(stream, steps):
            assert isinstance(image, jax.Array) and image.shape == (10, 2, 2, 1)
            assert image.dtype == "uint8"
            found = np.asarray(image)[:, 0, 0, 0].astype(int)
            np.testing.assert_array_equal(truth["label"], found % 7)
            np.testing.assert_array_equal(truth["true_label"], found % 5 - 1)
            np.testing.assert_array_equal(truth["index"], found)
            rows += found.tolist()
        result.append(rows)
    return result


held = batches.evaluation_batches(split, batch_size=30)
pairs = [held[index] for index in range(len(held))]
print(json.dumps({
    "whole": epochs_of(4, seed=3),
    "resumed": epochs_of(2, seed=3, initial_epoch=2),
    "other_seed": epochs_of(1, seed=4),
    "sizes": [len(label) for _, label in pairs],
    "held": np.concatenate([image[:, 0, 0, 0] for image, _ in pairs]).tolist(),
    "labels": np.concatenate([label for _, label in pairs]).tolist(),
}))
"""


@pytest.fixture(scope="module")
def found():
    return json.loads(run("jax", "-c", SCRIPT).splitlines()[-1])


def test_an_epoch_is_a_permutation_less_the_remainder(found):
    for rows in found["whole"]:
        assert len(rows) == len(set(rows)) == 60
        assert set(rows) <= set(range(64))
    orders = [tuple(rows) for rows in (*found["whole"], *found["other_seed"])]
    assert len(set(orders)) == 5
    assert len({frozenset(rows) for rows in orders}) > 1  # Not always the same four.


def test_a_resumed_run_sees_what_an_uninterrupted_one_sees(found):
    assert found["resumed"] == found["whole"][2:]


def test_evaluation_keeps_order_and_remainder(found):
    assert found["sizes"] == [30, 30, 4]
    assert found["held"] == list(range(64))
    assert found["labels"] == [number % 7 for number in range(64)]
