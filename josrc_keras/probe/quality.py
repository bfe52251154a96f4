"""Photos that are dark, bright, blurred, empty, tiny or odd-shaped, and what betrays.

A photo is measured once, on the pixels that are decoded anyway, and all else is done on
arrays of measurements. Dark and bright are judged as in cleanvision 0.3.7. That package
is maintained, but it opens every file a second time, keeps a dict for each photo in
memory, calls drawings on white paper empty, and compares no blur with the dataset's.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from josrc_keras import _checks
from josrc_keras.probe.ranks import mean_ranks

SIDE = 256  # The longest side of the pixels that are measured.
WEIGHTS = np.array((0.299, 0.587, 0.114), "float32")  # Brightness of red, green, blue.
DARK = 0.32  # A photo is dark if 99% of its pixels are darker.
BRIGHT = 0.95  # A photo is bright if 95% of its pixels are brighter.
EMPTY = 0.02  # Standard deviation of brightness: 5 levels of 256.
TINY, TINY_SHARE = 32, 0.25  # Pixels, and a share of the dataset's median.
SHAPE = 3  # The factor between an odd shape and the dataset's median.
BLURRED, BLURRED_SHARE = 0.3, 0.5  # Sharpness, and a share of the dataset's median.
SMALLEST = 12  # Pixels of a side, of which sharpness needs more.
PERMUTATIONS = 100
VALUES = 50  # The most values of a text that are properties.
BETRAYS = 0.8  # An area under the ROC curve far above chance, which is 0.5.


class Measurement(NamedTuple):
    """What `measure` finds of a photo.

    Attributes:
        width: Width of the upright photo, in pixels.
        height: Its height, in pixels.
        brightness: Mean brightness in [0, 1].
        dark_level: Brightness that 99% of the pixels stay below.
        bright_level: Brightness that 95% of the pixels stay above.
        spread: Standard deviation of brightness, in [0, 0.5]; 0 for one colour.
        sharpness: Standard deviation of the Laplacian, which compares a pixel with its
            four neighbours, by the same at a quarter of the size: about 0.2 for a photo
            that is blurred, 0.5 for one that is sharp, 4 for noise. It is 0 for one
            colour, and for photos whose sides have fewer than 12 pixels.
    """

    width: int
    height: int
    brightness: float
    dark_level: float
    bright_level: float
    spread: float
    sharpness: float


def measure(image: Any, size: tuple[int, int] | None = None) -> Measurement:
    """Measures a photo, on a copy of which the longest side has at most 256 pixels.

    So photos of all sizes are compared at one scale. A blur of fewer pixels than the
    copy leaves out can't be seen.

    Args:
        image: A `PIL.Image.Image`, upright, or a uint8 array `(H, W)` or `(H, W, 3)`.
        size: Width and height of the photo where `image` is a reduced copy of it, or
            None.

    Returns:
        A `Measurement`.

    Raises:
        ImportError: If Pillow is needed and not installed.
        ValueError: If an array is not as described.
    """
    if not hasattr(image, "getbands"):
        image = _image_of(image)
    width, height = size or image.size
    if max(image.size) > SIDE:
        image = image.copy()
        image.thumbnail((SIDE, SIDE), reducing_gap=2.0)
    grey = np.asarray(image.convert("RGB"), "float32") @ WEIGHTS / 255
    dark, bright = np.quantile(grey, (0.99, 0.05))
    values = (grey.mean(), dark, bright, grey.std(), _sharpness(grey))
    return Measurement(int(width), int(height), *map(float, values))


def _image_of(pixels):
    pixels = np.asarray(pixels)
    channels = pixels.shape[2:]
    if pixels.dtype != np.uint8 or channels not in ((), (3,)) or not pixels.size:
        raise ValueError(
            "Expected a uint8 array (H, W) or (H, W, 3). Received: "
            f"{pixels.dtype} {pixels.shape}. Convert it, with values in [0, 255]."
        )
    pillow = _checks.imported("PIL.Image", "Photos are measured with Pillow", "report")
    return pillow.fromarray(pixels)


def _sharpness(grey):
    """How much of the detail that a quarter of the size has is there at full size."""
    if min(grey.shape) < SMALLEST:
        return 0.0
    height, width = (length // 4 for length in grey.shape)
    blocks = grey[: 4 * height, : 4 * width].reshape(height, 4, width, 4)
    coarse = _laplacian(blocks.mean(axis=(1, 3))).std()
    return _laplacian(grey).std() / coarse if coarse > 1e-4 else 0.0


def _laplacian(grey):
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return around - 4 * grey[1:-1, 1:-1]


def stacked(measurements: Sequence[Measurement]) -> dict[str, np.ndarray]:
    """Measurements as arrays `(N,)`, by their names."""
    columns = np.array(measurements, "float64").reshape(-1, len(Measurement._fields))
    return dict(zip(Measurement._fields, columns.T, strict=True))


def issues(measured: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict]:
    """Which photos are dark, bright, blurred, empty, tiny or odd-shaped.

    - Dark: 99% of the pixels are darker than 0.32. Bright: 95% are brighter than 0.95.
    - Empty: the brightness deviates by less than 0.02.
    - Blurred: the sharpness is below half of the dataset's median, and below 0.3. Of
      empty photos, and of fewer than 12 pixels, that is not said.
    - Tiny: the geometric mean of width and height is below 32 pixels, or below a
      quarter of the dataset's median.
    - Odd-shaped: width by height is three times the dataset's median, or a third of it.

    Args:
        measured: What `stacked` returns: arrays `(N,)` by name.

    Returns:
        Two dicts with the keys `dark`, `bright`, `blurred`, `empty`, `tiny` and
        `odd_shaped`: boolean arrays `(N,)`, and the thresholds that were used, which
        JSON can hold. That of `odd_shaped` is a pair. Without photos they are None
        where they follow the dataset.
    """
    level = {name: np.asarray(measured[name]) for name in Measurement._fields}
    side = np.sqrt(level["width"] * level["height"])
    shape = level["width"] / level["height"]
    some = len(side) > 0
    sharp = min(BLURRED, BLURRED_SHARE * _median(level["sharpness"])) if some else None
    least = max(TINY, TINY_SHARE * _median(side)) if some else None
    usual = _median(shape) if some else None
    shapes = None if usual is None else [usual / SHAPE, usual * SHAPE]
    empty = level["spread"] < EMPTY
    judged = ~empty & (np.minimum(level["width"], level["height"]) >= SMALLEST)
    flags = {
        "dark": level["dark_level"] < DARK,
        "bright": level["bright_level"] > BRIGHT,
        "blurred": judged & (level["sharpness"] < (sharp or 0)),
        "empty": empty,
        "tiny": side < (least or 0),
        "odd_shaped": (shape <= shapes[0]) | (shape >= shapes[1]) if shapes else empty,
    }
    limits = (DARK, BRIGHT, sharp, EMPTY, least, shapes)
    return flags, dict(zip(flags, limits, strict=True))


def _median(values):
    return float(np.median(values))


def listed(
    flagged: Mapping[str, Any],
    measured: Mapping[str, Any],
    ids: Sequence,
    given_names: Sequence,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """The photos that have an issue, to be looked at; those with most issues first.

    Args:
        flagged: The first dict that `issues` returns.
        measured: What `stacked` returns.
        ids: `(N,)` names of the photos.
        given_names: `(N,)` names of their classes.
        most: The largest number of photos, or None for all.

    Returns:
        A list of dicts that JSON can hold: `id`, `given_name`, `issues`, a list of
        names, and each field of `Measurement`, by its name.
    """
    found = np.stack([np.asarray(each) for each in flagged.values()], axis=1)
    rows = np.flatnonzero(found.any(axis=1))
    rows = rows[np.argsort(-found[rows].sum(axis=1), kind="stable")][:most]
    names = list(flagged)
    return [
        {
            "id": str(ids[row]),
            "given_name": str(given_names[row]),
            "issues": [
                name for name, each in zip(names, found[row], strict=True) if each
            ],
        }
        | {name: float(measured[name][row]) for name in Measurement._fields}
        for row in rows.tolist()
    ]


def betraying_properties(
    properties: Mapping[str, Any],
    labels: Any,
    class_names: Sequence[str],
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Properties of photos that tell a class from the others far better than chance.

    A network may learn such a property in place of what the photos show. Examples are a
    class whose photos came from one camera, or as PNG files.

    Each property is taken for a score that is to tell the photos of a class from all
    others. It betrays the class if the area under the ROC curve is at least 0.8, or at
    most 0.2, and if it is further from 1/2, in standard deviations, than that of any
    property and class when the labels are permuted.

    Args:
        properties: Arrays `(N,)` by name. Numbers are ranked. Each value of a text,
            such as the file's format, is a property of its own, which a photo has or
            has not; the 50 most frequent values are.
        labels: `(N,)` integers in [0, C).
        class_names: Names of the C classes.
        permutations: Number of permutations, at least 1.
        seed: Seed of the permutations.

    Returns:
        A list of dicts that JSON can hold, the furthest from chance first: `property`
        (of a text `"name=value"`), `label`, `name`, `images`, `auroc`, and the means of
        the class and of all others as `mean` and `mean_of_others`.

    Raises:
        ValueError: If the lengths differ, a label is no class, or a number is not
            finite.
    """
    labels = np.asarray(labels)
    columns = _columns(properties, labels, len(class_names))
    ranks = {name: mean_ranks(values) for name, values in columns.items()}
    random = np.random.default_rng(seed)
    limit = 0.0
    for _ in range(permutations):
        shuffled = random.permutation(labels)
        for each in ranks.values():
            _, distance = _areas(each, shuffled, len(class_names))
            limit = max(limit, float(np.abs(distance).max(initial=0)))
    found = []
    for name, values in columns.items():
        areas, distances = _areas(ranks[name], labels, len(class_names))
        far = (np.abs(areas - 0.5) >= BETRAYS - 0.5) & (np.abs(distances) > limit)
        for label in np.flatnonzero(far).tolist():
            own = labels == label
            found.append(
                {
                    "property": name,
                    "label": label,
                    "name": str(class_names[label]),
                    "images": int(own.sum()),
                    "auroc": float(areas[label]),
                    "mean": float(values[own].mean()),
                    "mean_of_others": float(values[~own].mean()),
                }
            )
    return sorted(found, key=lambda each: -abs(each["auroc"] - 0.5))


def _columns(properties, labels, count):
    """Properties as float64 `(N,)`, those of texts by value."""
    whole = np.issubdtype(labels.dtype, np.integer)
    if not whole or not np.all((labels >= 0) & (labels < count)):
        raise ValueError(
            f"Expected integer labels in [0, {count}), one for each class name. "
            f"Received: {labels.dtype} labels, such as {labels[:5].tolist()}. Number "
            "the classes as class_names does."
        )
    columns = {}
    for name, values in properties.items():
        values = np.asarray(values)
        if values.shape != labels.shape:
            raise ValueError(
                f"Expected {name} as one value for each of the {len(labels)} labels. "
                f"Received: shape {values.shape}. Measure each photo once."
            )
        if values.dtype.kind not in "biuf":
            texts = values.astype(str)
            distinct, counts = np.unique(texts, return_counts=True)
            for value in distinct[np.argsort(-counts, kind="stable")][:VALUES]:
                columns[f"{name}={value}"] = (texts == value).astype("float64")
        elif np.all(np.isfinite(values)):
            columns[name] = values.astype("float64")
        else:
            raise ValueError(
                f"Expected finite numbers as {name}. Received: "
                f"{int((~np.isfinite(values)).sum())} that are not. Leave out photos "
                "that could not be measured."
            )
    return columns


def _areas(ranks, labels, count):
    """Areas under the ROC curve `(C,)`, and their distance from 1/2 under chance.

    The distance is in standard deviations of ranks without ties. Both are as for chance
    where a class has no sample or all.
    """
    own = np.bincount(labels, minlength=count).astype("float64")
    pairs = own * (len(labels) - own)
    sums = np.bincount(labels, weights=ranks, minlength=count)
    deviation = np.sqrt((len(labels) + 1) / 12 / np.maximum(pairs, 1))
    areas = np.where(
        pairs > 0, (sums - own * (own + 1) / 2) / np.maximum(pairs, 1), 0.5
    )
    return areas, (areas - 0.5) / deviation
