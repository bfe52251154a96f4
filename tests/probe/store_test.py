"""Records on disk: kills, damage, shards."""

import numpy as np
import pytest

from josrc_keras.probe import quality
from josrc_keras.probe.store import Store, key_of

MEASURED = quality.Measurement(*range(len(quality.Measurement._fields)))


def store_in(folder, shard=""):
    return Store(folder, "backbone", 2, 3, shard)


def add(store, *numbers):
    with store.writer() as writer:
        for number in numbers:
            key = key_of(f"{number}.jpg", 10, 20)
            writer.add(key, np.full((2, 3), number), (number, 7), MEASURED)


def keys(*numbers):
    return [key_of(f"{number}.jpg", 10, 20) for number in numbers]


def test_what_was_added_is_read_by_the_next_process(tmp_path):
    add(store_in(tmp_path), 1, 2)
    store = store_in(tmp_path)
    assert len(store) == 2 and keys(1)[0] in store and keys(3)[0] not in store
    features = store.take(keys(2, 1), "features")
    np.testing.assert_array_equal(features[:, 0, 0], [2, 1])
    assert features.dtype == "float16" and features.shape == (2, 2, 3)
    np.testing.assert_array_equal(store.take(keys(2), "hashes"), [[2, 7]])
    np.testing.assert_allclose(store.take(keys(1), "measured")[0], MEASURED)


def test_the_key_is_of_path_size_and_time():
    assert key_of("a", 1, 2) == key_of("a", 1, 2)
    others = {key_of("b", 1, 2), key_of("a", 3, 2), key_of("a", 1, 3)}
    assert len(others | {key_of("a", 1, 2)}) == 4


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_killed_process_loses_its_last_record_only(tmp_path, cut):
    store = store_in(tmp_path)
    add(store, 1, 2)
    content = store.path.read_bytes()
    store.path.write_bytes(content[:-cut])
    again = store_in(tmp_path)
    assert len(again) == 1
    add(again, 2, 3)
    assert len(store_in(tmp_path)) == 3
    np.testing.assert_array_equal(
        store_in(tmp_path).take(keys(1, 2, 3), "features")[:, 1, 2], [1, 2, 3]
    )


@pytest.mark.parametrize("place", [3, 20, 30, 50])
def test_a_damaged_record_is_left_out_and_said(tmp_path, place, caplog):
    store = store_in(tmp_path)
    add(store, 1, 2, 3)
    content = bytearray(store.path.read_bytes())
    content[len(content) // 3 + place] ^= 4
    store.path.write_bytes(content)
    again = store_in(tmp_path)
    assert len(again) == 2 and keys(2)[0] not in again
    assert "1 of 3 records are damaged" in caplog.text


def test_shards_write_files_of_their_own_and_are_read_together(tmp_path):
    first, second = store_in(tmp_path, "1of2"), store_in(tmp_path, "2of2")
    with first.writer() as one, second.writer() as other:
        for number, writer in ((1, one), (2, other)):
            writer.add(keys(number)[0], np.ones((2, 3)), (0, 0), MEASURED)
    assert len(store_in(tmp_path)) == 2


def test_two_processes_do_not_write_one_file(tmp_path):
    one, other = store_in(tmp_path), store_in(tmp_path)
    with one.writer(), pytest.raises(RuntimeError, match="no other process"):
        other.writer().__enter__()


@pytest.mark.parametrize("value", [1e5, np.nan, np.inf])
def test_features_that_do_not_fit_are_refused(tmp_path, value):
    with (
        store_in(tmp_path).writer() as writer,
        pytest.raises(ValueError, match="Expected features of at most 65504"),
    ):
        writer.add(keys(1)[0], np.full((2, 3), value), (0, 0), MEASURED)


def test_features_are_read_by_rows(tmp_path):
    """Of two files, in any order, as an array in memory would be."""
    add(store_in(tmp_path, "1of2"), 1, 2)
    add(store_in(tmp_path, "2of2"), 3, 4)
    store = store_in(tmp_path)
    features = store.features(keys(4, 1, 3))
    held = store.take(keys(4, 1, 3), "features")
    assert held[:, 0, 0].tolist() == [4, 1, 3]
    assert (features.shape, features.ndim, len(features)) == ((3, 2, 3), 3, 3)
    for rows in (slice(1, 3), [2, 0, 2], np.array([True, False, True]), 1):
        np.testing.assert_array_equal(features[rows], held[rows])
    assert store.features([]).shape == (0, 2, 3)
