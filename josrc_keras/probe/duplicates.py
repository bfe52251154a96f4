"""Near-duplicates: photos saved anew, resized, mirrored or slightly cropped.

Two signs decide together. A perceptual hash sees the layout of light and dark, and
ImageNet features see what is shown. Each alone is fooled: by garments of two colours on
one background the hash, and by two photos of one kind of thing the features.
"""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from josrc_keras import _checks

CLOSE, SIMILAR = 2, 0.7  # Bits up to which, and a cosine from which on, two are one.
FAR, ALIKE = 16, 0.95  # The same, for photos that were cropped.
TILE = 2048  # Photos that are compared with as many others at a time.
PAIRS = 4096  # Pairs whose features are compared at a time.
DIRECTIONS = 64  # Random directions in which features are compared first.
SLACK = 6  # Standard deviations by which the cosine in these may be too low.


def hashes_of(image: Any) -> tuple[int, int]:
    """The perceptual hashes of a photo and of its mirror image.

    A hash holds the signs of the 64 lowest frequencies of the photo at 32 x 32 pixels,
    compared with their median (`imagehash.phash`).

    Args:
        image: A `PIL.Image.Image`, upright. A reduced copy gives the same within a bit
            or two.

    Returns:
        Two integers in [0, 2^64).

    Raises:
        ImportError: If ImageHash is not installed.
    """
    imagehash = _checks.imported(
        "imagehash", "Near-duplicates are found with ImageHash", "photos"
    )
    from PIL import ImageOps

    small = image.convert("L").resize((256, 256), reducing_gap=2.0)
    upright, mirrored = (
        int(str(imagehash.phash(each)), 16) for each in (small, ImageOps.mirror(small))
    )
    return upright, mirrored


def near_duplicates(
    hashes: Any,
    features: Any,
    *,
    close: int = CLOSE,
    similar: float = SIMILAR,
    far: int = FAR,
    alike: float = ALIKE,
) -> np.ndarray:
    """The sets of photos that are near-duplicates of each other.

    Two photos are if their hashes differ in at most `close` bits, or the hash of one
    and that of the other's mirror image, and the cosine of their features is at least
    `similar`. They also are if it is at most `far` bits, and the cosine at least
    `alike`. A set is what is linked by such pairs. The values were chosen on photos of
    clothes and features of EfficientNet-Lite0, see `benchmarks/near_duplicates.py`.

    All pairs of hashes are compared, in tiles, so that memory does not grow with the
    number of pairs. That takes about half a minute of a core for 100,000 photos.

    Args:
        hashes: `(N, 2)` uint64, a row of `hashes_of` for each photo.
        features: `(N, F)` float, or `(N, V, F)` of V views of each photo, which are
            averaged. Views should come in mirrored pairs, so that a mirrored photo has
            the same mean, of which only the direction counts. The array may be mapped
            into memory.
        close: Bits, from 0 to 64.
        similar: Cosine, from -1 to 1.
        far: Bits, from `close` to 64.
        alike: Cosine, from `similar` to 1.

    Returns:
        `(N,)` int64: the number of the photo's set, by the first photo of each set; -1
        without near-duplicates.

    Raises:
        ValueError: If the shapes, types or values do not fit.
    """
    hashes = _checked(hashes, features, (close, far), (similar, alike))
    few = _directions(features)
    parent = np.arange(len(hashes))
    for one, other in _tiles(len(hashes)):
        bits = _distances(hashes[one], hashes[other])
        rows, columns = np.nonzero(bits <= far)
        needed = np.where(bits[rows, columns] <= close, similar, alike)
        pairs = np.stack([rows + one.start, columns + other.start], axis=1)
        for start in range(0, len(pairs), PAIRS):
            part = slice(start, start + PAIRS)
            _link(parent, pairs[part], needed[part], few, features)
    return _numbered(parent)


def kept(sets: Any, pixels: Any, bytes_: Any, ids: Sequence) -> np.ndarray:
    """Which photos stay if one of each set does.

    That is the one with most pixels. Among equals it is the one with the largest file,
    and among those the one whose id comes first.

    Args:
        sets: `(N,)` numbers of sets, -1 for none.
        pixels: `(N,)` width times height.
        bytes_: `(N,)` sizes of the files.
        ids: `(N,)` names of the photos.

    Returns:
        `(N,)` boolean: True for one photo of each set and for all photos of none.
    """
    sets = np.asarray(sets)
    names = np.argsort(np.argsort(np.asarray([str(i) for i in ids]), kind="stable"))
    order = np.lexsort((names, -np.asarray(bytes_), -np.asarray(pixels), sets))
    keep = sets < 0
    _, first = np.unique(sets[order], return_index=True)
    keep[order[first]] = True
    return keep


def with_different_labels(
    sets: Any, ids: Sequence, given_names: Sequence
) -> list[dict[str, Any]]:
    """The sets of near-duplicates whose labels differ.

    Args:
        sets: `(N,)` numbers of sets, -1 for none.
        ids: `(N,)` names of the photos.
        given_names: `(N,)` names of their classes.

    Returns:
        A list of dicts that JSON can hold, by number: `duplicate_set`, `ids` and
        `given_names`.
    """
    return [
        _described(number, rows, ids, given_names)
        for number, rows in _members(sets)
        if len({given_names[row] for row in rows}) > 1
    ]


def across_splits(
    sets: Any, ids: Sequence, given_names: Sequence, splits: Sequence
) -> list[dict[str, Any]]:
    """The sets of near-duplicates that lie in several splits of the data.

    A network that was trained on one of them has seen the others, so that its accuracy
    on them is too high.

    Args:
        sets: `(N,)` numbers of sets, -1 for none.
        ids: `(N,)` names of the photos.
        given_names: `(N,)` names of their classes.
        splits: `(N,)` names of their splits, such as `"train"` and `"test"`.

    Returns:
        A list of dicts that JSON can hold, by number: `duplicate_set`, `ids`,
        `given_names` and `splits`.
    """
    return [
        _described(number, rows, ids, given_names)
        | {"splits": [str(splits[row]) for row in rows]}
        for number, rows in _members(sets)
        if len({splits[row] for row in rows}) > 1
    ]


def listed(
    sets: Any,
    ids: Sequence,
    given_names: Sequence,
    splits: Sequence,
    keep: Any,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """All sets of near-duplicates, to be looked at side by side.

    Those with different labels come first, then those across splits, then by number.

    Args:
        sets: `(N,)` numbers of sets, -1 for none.
        ids: `(N,)` names of the photos.
        given_names: `(N,)` names of their classes.
        splits: `(N,)` names of their splits.
        keep: `(N,)` boolean, what `kept` returns.
        most: The largest number of sets, or None for all.

    Returns:
        A list of dicts that JSON can hold: `duplicate_set`, `ids`, `given_names`,
        `splits`, and `keep`, a list of booleans of which one is True.
    """
    members = sorted(
        _members(sets),
        key=lambda each: (
            len({given_names[row] for row in each[1]}) == 1,
            len({splits[row] for row in each[1]}) == 1,
            each[0],
        ),
    )
    return [
        _described(number, rows, ids, given_names)
        | {
            "splits": [str(splits[row]) for row in rows],
            "keep": [bool(keep[row]) for row in rows],
        }
        for number, rows in members[:most]
    ]


def _described(number, rows, ids, given_names):
    named = [ids[row] for row in rows]
    return {
        "duplicate_set": number,
        "ids": [int(i) if isinstance(i, Integral) else str(i) for i in named],
        "given_names": [str(given_names[row]) for row in rows],
    }


def _members(sets):
    """Each set's number and rows."""
    sets = np.asarray(sets)
    rows = np.flatnonzero(sets >= 0)
    rows = rows[np.argsort(sets[rows], kind="stable")]
    numbers, starts = np.unique(sets[rows], return_index=True)
    parts = np.split(rows, starts[1:])
    return [(int(n), part.tolist()) for n, part in zip(numbers, parts, strict=False)]


def _tiles(count):
    """Pairs of slices that together cover each pair of rows once, and the diagonal."""
    slices = [slice(at, min(at + TILE, count)) for at in range(0, count, TILE)]
    for place, one in enumerate(slices):
        for other in slices[place:]:
            yield one, other


def _distances(one, other):
    """`(n, m)` uint8: bits in which hashes differ, or those of a mirror image."""
    upright = one[:, None, :1] ^ other[None, :, :1]
    mirrored = one[:, None, :1] ^ other[None, :, 1:]
    return np.minimum(np.bitwise_count(upright), np.bitwise_count(mirrored))[..., 0]


def _directions(features):
    """`(N, 64)` float32: unit vectors of the features in a few random directions."""
    random = np.random.default_rng(0)
    few = np.empty((len(features), DIRECTIONS), "float32")
    basis = random.standard_normal((features.shape[-1], DIRECTIONS), "float32")
    for start in range(0, len(features), TILE):
        part = slice(start, start + TILE)
        few[part] = _vectors(features, part) @ basis
    return _units(few)


def _link(parent, pairs, needed, few, features):
    """Joins the pairs whose features have at least the cosines that are needed."""
    new = parent[pairs[:, 0]] != parent[pairs[:, 1]]
    pairs, needed = pairs[new], needed[new]
    # The cosine c of random directions has the standard deviation (1 - c^2) / sqrt(64).
    slack = SLACK * (1 - needed**2) / DIRECTIONS**0.5
    likely = _products(few[pairs]) >= needed - slack
    pairs, needed = pairs[likely], needed[likely]
    vectors = np.stack([_vectors(features, rows) for rows in pairs.T], axis=1)
    pairs = pairs[_products(vectors) >= needed]
    for one, other in pairs.tolist():
        roots = sorted((_root(parent, one), _root(parent, other)))
        parent[roots[1]] = roots[0]
    while len(pairs) and np.any(parent != parent[parent]):
        parent[:] = parent[parent]


def _products(vectors):
    """`(n,)` scalar products of `(n, 2, F)`."""
    return np.einsum("nf,nf->n", vectors[:, 0], vectors[:, 1])


def _vectors(features, rows):
    """`(n, F)` float32 unit vectors of some photos."""
    part = np.asarray(features[rows], "float32")
    return _units(part.mean(axis=1) if part.ndim == 3 else part)


def _units(vectors):
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(length, np.finfo("float32").tiny)


def _root(parent, row):
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


def _numbered(roots):
    """The sets' numbers by their first row; -1 for rows without others."""
    counts = np.bincount(roots, minlength=len(roots))
    numbers = np.cumsum(counts > 1) - 1
    return np.where(counts[roots] > 1, numbers[roots], -1).astype("int64")


def _checked(hashes, features, bits, cosines):
    hashes = np.asarray(hashes)
    if hashes.dtype != np.uint64 or hashes.shape[1:] != (2,):
        raise ValueError(
            "Expected hashes as uint64 (N, 2), of photos and of their mirror images. "
            f"Received: {hashes.dtype} {hashes.shape}. Stack what hashes_of returns."
        )
    shape = np.shape(features)
    if len(shape) not in (2, 3) or shape[0] != len(hashes):
        raise ValueError(
            f"Expected features (N, F) or (N, V, F) of the {len(hashes)} photos that "
            f"have hashes. Received: shape {shape}. Pass both in one order."
        )
    if not 0 <= bits[0] <= bits[1] <= 64 or not -1 <= cosines[0] <= cosines[1] <= 1:
        raise ValueError(
            "Expected 0 <= close <= far <= 64 and -1 <= similar <= alike <= 1. "
            f"Received: close={bits[0]}, far={bits[1]}, similar={cosines[0]}, "
            f"alike={cosines[1]}. Fewer bits need less likeness."
        )
    return hashes
