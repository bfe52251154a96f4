"""The average over the last epochs for each sample, by hand."""

import numpy as np
import pytest

from josrc_keras.adaptive import memory as adaptive_memory


def test_a_memory_is_a_weighted_mean_of_the_epochs():
    """Of weights 1, d, d^2 backwards, over those in which a sample was seen."""
    memory, draw = adaptive_memory.Memory(4), np.random.default_rng(0)
    values = draw.random((6, 2, 4))
    seen = draw.random((6, 4)) < 0.6
    seen[:, 0], seen[:, 3] = True, False
    decays = [0.5, 0.0, 0.9, 0.75, 0.75, 0.8]
    for (given, other), mask, decay in zip(values, seen, decays, strict=True):
        memory.add(mask, decay, given=given, other=other)
    np.testing.assert_array_equal(memory.seen, seen.any(axis=0))
    for number, name in enumerate(("given", "other")):
        for sample in range(3):
            total, weight = 0.0, 0.0
            for epoch in np.flatnonzero(seen[:, sample]):
                d = decays[epoch]
                total = d * total + (1 - d) * values[epoch, number, sample]
                weight = d * weight + (1 - d)
            assert memory.mean(name)[sample] == pytest.approx(total / weight)
        assert memory.mean(name)[3] == 0.0  # Never seen.


def test_a_memory_is_unbiased_from_the_first_epoch_on():
    """(1) is 1; (1, 3) with decay 0.5 is (0.5 + 3) / 1.5; equal ones stay equal."""
    memory, everyone = adaptive_memory.Memory(2), np.ones(2, bool)
    assert not memory.seen.any()
    np.testing.assert_array_equal(memory.mean("given"), [0, 0])
    one = np.array([1.0, 0.7])
    memory.add(everyone, 0.5, given=one, other=one)
    np.testing.assert_allclose(memory.mean("given"), one)
    three = np.array([3.0, 0.7])
    memory.add(everyone, 0.5, given=three, other=one)
    np.testing.assert_allclose(memory.mean("given"), [3.5 / 1.5, 0.7])
    np.testing.assert_allclose(memory.mean("other"), one)
    memory.add(everyone, 0.0, given=one, other=one)  # Nothing before counts.
    np.testing.assert_allclose(memory.mean("given"), one)


def test_a_memory_goes_on_from_its_arrays():
    """Which it copies."""
    first, second = adaptive_memory.Memory(3), adaptive_memory.Memory(3)
    seen = np.array([True, True, False])
    first.add(seen, 0.7, given=np.full(3, 0.4), other=np.full(3, 0.2))
    arrays = first.arrays()
    assert set(arrays) == {"weights", "given", "other"}
    second.set_arrays(arrays)
    for memory in (first, second):
        memory.add(~seen, 0.7, given=np.full(3, 0.9), other=np.full(3, 0.1))
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(second.arrays()[name], array)
    np.testing.assert_allclose(first.mean("given"), [0.4, 0.4, 0.9])


def test_a_memory_of_no_samples():
    memory = adaptive_memory.Memory(0)
    empty = np.zeros(0)
    memory.add(np.zeros(0, bool), 0.5, given=empty, other=empty)
    assert memory.mean("given").shape == memory.seen.shape == (0,)
