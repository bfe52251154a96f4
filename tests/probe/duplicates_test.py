"""Near-duplicates: planted copies, a plain oracle, and values by hand."""

import io
import json
import tracemalloc

import numpy as np
import pytest

from josrc_keras.probe import duplicates

imagehash = pytest.importorskip("imagehash", reason="needs ImageHash")
pillow = pytest.importorskip("PIL.Image", reason="needs Pillow")
from PIL import ImageOps  # noqa: E402

SIZE = (300, 220)


def photo(number):
    """A picture of large random shapes, as no other number gives it."""
    random = np.random.default_rng(number)
    small = pillow.fromarray(random.integers(0, 256, (7, 9, 3), "uint8"))
    return small.resize(SIZE, pillow.Resampling.BICUBIC)


def saved(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return pillow.open(file).convert("RGB")


COPIES = {
    "quality 40": lambda image: saved(image, 40),
    "half size": lambda image: saved(image.resize((150, 110)), 90),
    "mirrored": lambda image: saved(ImageOps.mirror(image), 90),
}


def features_of(image):
    """`(2, 192)`: what stands for features of an image and of its mirror image."""
    views = [image, ImageOps.mirror(image)]
    return np.stack([np.asarray(v.resize((8, 8)), "float32").ravel() for v in views])


def signs_of(images):
    hashes = np.array([duplicates.hashes_of(image) for image in images], np.uint64)
    features = np.stack([features_of(image) for image in images]) - 127.5
    return hashes, features


def test_hashes_are_those_of_imagehash():
    """In the order of its hexadecimal digits, to a bit that its own scaling changes."""
    image = photo(0)
    upright, mirrored = duplicates.hashes_of(image)
    for found, shown in ((upright, image), (mirrored, ImageOps.mirror(image))):
        expected = int(str(imagehash.phash(shown)), 16)
        assert (found ^ expected).bit_count() <= 2
    assert duplicates.hashes_of(ImageOps.mirror(image)) == (mirrored, upright)
    assert (upright ^ mirrored).bit_count() > 16


@pytest.mark.parametrize("kind", COPIES)
def test_planted_copies_are_found_and_nothing_else(kind):
    """A fifth of 50 photos has a copy; each copy is in a set with its photo alone."""
    photos = [photo(number) for number in range(50)]
    copies = [COPIES[kind](image) for image in photos[::5]]
    sets = duplicates.near_duplicates(*signs_of(photos + copies))
    expected = np.full(60, -1)
    expected[:50:5] = expected[50:] = np.arange(10)
    np.testing.assert_array_equal(sets, expected)
    assert sets.dtype == np.int64


def oracle(hashes, features, close, similar, far, alike):
    """All pairs at once, and the smallest number that spreads along the links."""
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = features @ features.T
    number = np.arange(len(hashes))
    for _ in number:
        for i, j in np.ndindex(len(hashes), len(hashes)):
            bits = min(
                int(hashes[i, 0] ^ hashes[j, 0]).bit_count(),
                int(hashes[i, 0] ^ hashes[j, 1]).bit_count(),
            )
            same = bits <= close and cosines[i, j] >= similar
            if same or (bits <= far and cosines[i, j] >= alike):
                number[i] = number[j] = min(number[i], number[j])
    return number


def partition(numbers):
    """Sets of rows, whatever their numbers are; rows of -1 are alone."""
    groups: dict = {}
    for row, number in enumerate(numbers.tolist()):
        groups.setdefault(number if number >= 0 else ("alone", row), set()).add(row)
    return sorted(map(sorted, groups.values()))


@pytest.mark.parametrize("tile", [3, 7, 64])
def test_tiles_find_what_a_comparison_of_all_pairs_finds(monkeypatch, tile):
    """On random hashes that differ in few bits, some of them the mirror's."""
    monkeypatch.setattr(duplicates, "TILE", tile)
    monkeypatch.setattr(duplicates, "PAIRS", 2 * tile)
    monkeypatch.setattr(duplicates, "SLACK", 100)  # The first sieve lets all through.
    random = np.random.default_rng(0)
    base = random.integers(0, 2**63, (8, 2), np.uint64)
    which = random.integers(0, 8, 30)
    hashes = base[which]
    hashes[::4] = hashes[::4, ::-1]
    hashes ^= np.uint64(1) << random.integers(0, 64, (30, 1), np.uint64)
    hashes ^= np.uint64(1) << random.integers(0, 64, (30, 1), np.uint64)
    features = random.normal(size=(8, 40))[which] + random.normal(size=(30, 40))
    limits = {"close": 2, "similar": 0.4, "far": 4, "alike": 0.6}
    found = duplicates.near_duplicates(hashes, features, **limits)
    expected = oracle(hashes, features, **limits)
    assert partition(found) == partition(expected)
    assert 3 < len(partition(found)) < 20
    seen = found[found >= 0]
    firsts = seen[np.sort(np.unique(seen, return_index=True)[1])]
    np.testing.assert_array_equal(firsts, np.arange(len(firsts)))


def test_the_first_sieve_loses_nothing():
    """Of 500 pairs just above the limit, in 64 directions instead of 1,280."""
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 500, 1280))
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    other -= (one * other).sum(axis=1, keepdims=True) * one
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    for cosine in (duplicates.SIMILAR, duplicates.ALIKE):
        near = (cosine + 0.001) * one + (1 - (cosine + 0.001) ** 2) ** 0.5 * other
        few = duplicates._directions(np.concatenate([one, near]))
        pairs = np.arange(1000).reshape(2, 500).T
        parent = np.arange(1000)
        features = np.concatenate([one, near])
        duplicates._link(parent, pairs, np.full(500, cosine), few, features)
        np.testing.assert_array_equal(parent[500:], np.arange(500))


def test_both_signs_are_needed():
    """Rows 1 and 2 have one sign of row 0 each; row 3 has much of both, as a crop."""
    hashes = np.array([[0, 7], [0, 7], [2**40 - 1, 7], [255, 7]], np.uint64)
    hashes[:, 1] = np.uint64(2**64 - 1)
    features = np.array([[1, 0], [0, 1], [1, 0], [1, 0.1]], "float16")
    sets = duplicates.near_duplicates(hashes, features)
    assert sets.tolist() == [0, -1, -1, 0]
    assert duplicates.near_duplicates(hashes, features, far=7).tolist() == [-1] * 4
    wide = duplicates.near_duplicates(hashes, features, close=40, far=64)
    assert wide.tolist() == [0, -1, 0, 0]


def test_views_are_averaged_and_may_be_mapped(tmp_path):
    hashes, features = signs_of([photo(1), ImageOps.mirror(photo(1)), photo(2)])
    np.save(tmp_path / "features.npy", features.astype("float16"))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert mapped.shape == (3, 2, 192)
    for each in (mapped, features.mean(axis=1)):
        assert duplicates.near_duplicates(hashes, each).tolist() == [0, 0, -1]


def test_memory_does_not_grow_with_the_number_of_pairs():
    """All of 1,500 equal photos are one set; of 12,000 photos, 72 million pairs."""
    random = np.random.default_rng(0)
    same = np.ones((1500, 2), np.uint64)
    assert set(duplicates.near_duplicates(same, np.ones((1500, 8)))) == {0}
    peaks = []
    for count in (3000, 12_000):
        hashes = random.integers(0, 2**63, (count, 2), np.uint64)
        features = random.normal(size=(count, 8)).astype("float32")
        tracemalloc.start()
        duplicates.near_duplicates(hashes, features)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 12_000 * 1000  # A kB a photo.


def test_none_and_one():
    for count in (0, 1):
        hashes = np.zeros((count, 2), np.uint64)
        found = duplicates.near_duplicates(hashes, np.zeros((count, 4)))
        assert found.tolist() == [-1] * count
        assert duplicates.kept(found, found, found, ["a"] * count).all()
        assert duplicates.with_different_labels(found, [], []) == []


def test_which_photo_stays():
    """By pixels, then by bytes, then by name; all that have no near-duplicate."""
    ids = ["b", "a", "e", "d", "c", "f", "g"]
    sets = [0, 0, 1, 1, 1, -1, 0]
    pixels = [9, 9, 8, 8, 5, 1, 9]
    sizes = [3, 3, 1, 2, 9, 1, 2]
    keep = duplicates.kept(sets, pixels, sizes, ids)
    assert [name for name, each in zip(ids, keep, strict=True) if each] == [
        *("a", "d", "f")
    ]


def test_sets_with_different_labels_and_across_splits():
    sets = np.array([1, 0, 0, -1, 1, 2, 2])
    ids = np.array([10, 11, 12, 13, 14, 15, 16])
    names = np.array(["x", "x", "y", "y", "x", "y", "x"], object)
    splits = ["train", "train", "train", "test", "test", "val", "test"]
    different = duplicates.with_different_labels(sets, ids, names)
    across = duplicates.across_splits(sets, [f"p{i}" for i in ids], names, splits)
    assert json.loads(json.dumps([different, across])) == [different, across]
    assert different == [
        {"duplicate_set": 0, "ids": [11, 12], "given_names": ["x", "y"]},
        {"duplicate_set": 2, "ids": [15, 16], "given_names": ["y", "x"]},
    ]
    assert across == [
        {
            "duplicate_set": 1,
            "ids": ["p10", "p14"],
            "given_names": ["x", "x"],
            "splits": ["train", "test"],
        },
        {
            "duplicate_set": 2,
            "ids": ["p15", "p16"],
            "given_names": ["y", "x"],
            "splits": ["val", "test"],
        },
    ]


HASHES = np.zeros((3, 2), np.uint64)


@pytest.mark.parametrize(
    ("hashes", "features", "limits", "message"),
    [
        (HASHES.astype(int), np.ones((3, 4)), {}, r"Received: int64 \(3, 2\)"),
        (HASHES[:, 0], np.ones((3, 4)), {}, r"Received: uint64 \(3,\)"),
        (HASHES, np.ones((2, 4)), {}, r"of the 3 photos .*Received: shape \(2, 4\)"),
        (HASHES, np.ones(3), {}, r"Received: shape \(3,\)"),
        (HASHES, np.ones((3, 4)), {"far": 1}, r"Received: close=2, far=1"),
        (HASHES, np.ones((3, 4)), {"alike": 0.5}, r"similar=0\.7, alike=0\.5"),
    ],
)
def test_what_does_not_fit_is_refused(hashes, features, limits, message):
    with pytest.raises(ValueError, match=message):
        duplicates.near_duplicates(hashes, features, **limits)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imagehash", None)
    with pytest.raises(ImportError, match=r"ImageHash.*josrc-keras\[photos\]"):
        duplicates.hashes_of(photo(0))


def test_sets_are_listed_with_the_photo_that_stays():
    """Set 2 has two labels, set 1 lies across splits, and set 0 has neither."""
    sets = np.array([0, 1, 0, 2, 1, -1, 2])
    names = ["a", "a", "a", "a", "a", "b", "b"]
    splits = ["", "train", "", "", "test", "", ""]
    keep = np.array([False, True, True, True, False, True, False])
    ids = list("tuvwxyz")
    listed = duplicates.listed(sets, ids, names, splits, keep)
    assert [each["duplicate_set"] for each in listed] == [2, 1, 0]
    assert listed[0] == {
        "duplicate_set": 2,
        "ids": ["w", "z"],
        "given_names": ["a", "b"],
        "splits": ["", ""],
        "keep": [True, False],
    }
    assert listed[2]["ids"] == ["t", "v"] and listed[2]["keep"] == [False, True]
    assert duplicates.listed(sets, ids, names, splits, keep, 1) == listed[:1]
