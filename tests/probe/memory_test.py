"""Memory of an audit of photos: features stay on disk, and the rest is linear."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from josrc_keras.probe import audits, confusion, head, outside, projection, quality
from josrc_keras.probe.features import Photo
from josrc_keras.probe.store import Store, key_of

pytest.importorskip("pandas", reason="needs josrc-keras[report]")
pytest.importorskip("sklearn", reason="needs josrc-keras[report]")

VIEWS, WIDTH, CLASSES = 4, 320, 10
MEASURED = quality.Measurement(*[1.0] * len(quality.Measurement._fields))
COUNTS = (300, 600)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks that few photos fill, so that they take the same for all counts."""
    for module, name, size in (
        (projection, "ROWS", 100),
        (projection, "BLOCK", 32),
        (head, "BLOCK", 32),
        (outside, "ROWS", 32),
        (outside, "REFERENCES", 100),
        (confusion, "ROWS", 100),
    ):
        monkeypatch.setattr(module, name, size)


def stored(folder, count, width):
    """Features of so many photos in a store of their own, and their keys."""
    random = np.random.default_rng(0)
    store = Store(folder / f"{count}", "made", VIEWS, width)
    keys = [key_of(f"{number}.jpg", 1, 2) for number in range(count)]
    with store.writer() as writer:
        for number, key in enumerate(keys):
            features = random.normal(0, 1, (VIEWS, width))
            features[:, number % CLASSES] += 3
            writer.add(key, features, (number, number), MEASURED)
    return store, keys


def bytes_of(function):
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_features_and_their_projection_stay_on_disk(tmp_path, small_blocks):
    """In memory both would take 2,560 and 4,096 bytes a photo."""
    peaks = []
    for count in COUNTS:
        _, keys = stored(tmp_path, count, WIDTH)

        def made(count=count, keys=keys):
            paths = [Path(f"photos/class/{number}.jpg") for number in range(count)]
            listed = [Photo(str(path), path, 1, 2, "class") for path in paths]
            store = Store(tmp_path / f"{count}", "made", VIEWS, WIDTH)
            features = store.features(keys)
            found = projection.fit(features)
            made = projection.project(found, features, tmp_path)
            audits._Means(features)[:32]
            return listed, made

        peaks.append(bytes_of(made))
    each = (peaks[1] - peaks[0]) / (COUNTS[1] - COUNTS[0])
    assert 100 < each < 1500, each


def test_an_audit_takes_the_same_for_each_further_photo(
    tmp_path, small_blocks, monkeypatch
):
    """All but the features: predictions, history, table and estimates."""
    short = head.Settings
    monkeypatch.setattr(head, "Settings", lambda seed: short(seed=seed, epochs=3))
    peaks = []
    names = [str(number) for number in range(CLASSES)]
    for count in (300, *COUNTS, 900):  # The first one imports, too.
        store, keys = stored(tmp_path, count, 16)
        given = store.features(keys), np.arange(count) % CLASSES, names
        ids = np.arange(count)
        peaks.append(
            bytes_of(lambda given=given, ids=ids: audits._audited(*given, ids, 0))
        )
    first, second = np.diff(peaks[1:]) / 300
    assert first == pytest.approx(second, rel=0.2), (first, second)
    assert 300 < second < 2000, second
