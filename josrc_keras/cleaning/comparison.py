"""Before and after: what decisions about photos are worth, by features that are kept.

A head is trained on the labels before and on those after, which takes seconds, and both
are tested on photos that they have not learnt from.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from josrc_keras import _files
from josrc_keras.cleaning import plan
from josrc_keras.probe import audits, listing
from josrc_keras.probe import features as passes

WRITTEN = "comparison.json"
HELD_OUT = "held_out"  # The folder of features of photos to test on.
NORMAL = 1.96  # Standard deviations around a mean that hold 95%.


class Side(NamedTuple):
    """What a head that was trained on some labels is like.

    Attributes:
        photos: Number of photos that it was trained on.
        noise_rate: The estimated share of wrong labels among them.
        noise_rate_interval: `(low, high)`, 95%.
        right: `(N,)` booleans: whether it is right about each of the photos to test on.
    """

    photos: int
    noise_rate: float
    noise_rate_interval: tuple
    right: np.ndarray


def compare(photos, output, planned, *, source, class_names, held_out=None):
    """Trains heads on the labels before and after a plan, and tests both.

    Without `held_out` each photo that stays is tested by heads that have not seen it,
    in five folds, against its label after the plan: the best that is known. With it,
    heads that are trained on all photos are tested on those in the folder.

    Args:
        photos: The folder of photos.
        output: The folder of their audit, with its features.
        planned: What `decisions.planned` or `plan.plan` returned.
        source: `source` of the audit's findings, with its backbone, table and seed.
        class_names: Names of the audit's classes.
        held_out: A folder `CLASS/NAME.jpg` of photos whose labels are right, or None.

    Returns:
        A dict of `before` and `after`, each with `photos`, `noise_rate`,
        `noise_rate_interval` and `accuracy`; `tested`, the number of photos; `gain`,
        the difference of the accuracies, with `gain_interval`, 95% (of pairs, by the
        normal approximation). It is in `OUTPUT/comparison.json`, too.

    Raises:
        ImportError, OSError: As `audits.photo_audit`.
        ValueError: If the photos are not those of the plan, too few are left, or the
            held-out ones are of other classes.
    """
    seen = _seen(photos, audits.default_features(output), source)
    _check_same(seen, planned, photos)
    number = {name: label for label, name in enumerate(class_names)}
    stays = ~planned["action"].isin(plan.GONE).to_numpy()
    given = planned["given_name"].map(number).to_numpy(int)
    new = planned["new_name"].where(stays, planned["given_name"]).map(number)
    new = new.to_numpy(int)
    test = None
    if held_out is not None:
        test = _test(held_out, Path(output) / HELD_OUT, source, number)
    sides = []
    for rows, labels in ((np.arange(len(given)), given), (np.flatnonzero(stays), new)):
        features = seen.features if len(rows) == len(given) else seen.features[rows]
        audited = audits.audit_of(
            features, labels[rows], class_names, source, audits.default_features(output)
        )
        right = np.zeros(len(given), bool)
        right[rows] = audited.probs.argmax(1) == new[rows]
        right = right[stays] if test is None else _right(audited, *test)
        rates = audited.table.attrs["estimates"]
        interval = tuple(rates["noise_rate_interval"])
        sides.append(Side(len(rows), rates["noise_rate"], interval, right))
    result = _result(*sides)
    _files.write_json(Path(output) / WRITTEN, result)
    return result


def _seen(photos, features, source):
    listed, _ = listing.read(photos, features, source.get("table"))
    return passes.of_photos(listed, source["backbone"], features)


def _check_same(seen, planned, photos):
    """The photos must be those that were audited, in that order."""
    if [photo.id for photo in seen.photos] != planned["id"].astype(str).tolist():
        raise ValueError(
            "Expected the photos as they were audited. Received: "
            f"{len(seen.photos)} photos in {photos}, which differ from the "
            f"{len(planned)} of the audit. Undo what was moved (--apply=undo), or "
            "audit again."
        )


def _test(folder, features, source, number):
    """`(features, labels)` of held-out photos."""
    seen = _seen(folder, features, {"backbone": source["backbone"]})
    unknown = sorted({photo.label for photo in seen.photos} - set(number))
    if unknown or not seen.photos:
        raise ValueError(
            "Expected held-out photos in folders of the audit's classes. Received: "
            f"{folder}, with {unknown[:5] or 'no photos'}. Remove those, or name them "
            f"as the audit does: {sorted(number)[:5]}."
        )
    labels = np.array([number[photo.label] for photo in seen.photos])
    return seen.features, labels


def _right(audited, features, labels):
    """Whether a head is right about each held-out photo, by the mean of its views."""
    means = np.asarray(features[np.arange(len(labels))], "float32").mean(1)
    return (means @ audited.kernel + audited.bias).argmax(1) == labels


def _result(before, after):
    change = after.right.astype(int) - before.right
    error = NORMAL * float(change.std()) / math.sqrt(max(len(change), 1))
    gain = float(change.mean())
    sides = {"before": before, "after": after}
    return {
        **{
            name: {
                "photos": side.photos,
                "noise_rate": side.noise_rate,
                "noise_rate_interval": list(side.noise_rate_interval),
                "accuracy": float(side.right.mean()),
            }
            for name, side in sides.items()
        },
        "tested": len(change),
        "gain": gain,
        "gain_interval": [gain - error, gain + error],
    }


def said(found, held_out=None):
    """The comparison as lines of text, before and after side by side."""
    sides = [found["before"], found["after"]]
    rates = [
        "{:.1%} ({:.1%} to {:.1%})".format(
            side["noise_rate"], *side["noise_rate_interval"]
        )
        for side in sides
    ]
    low, high = (100 * each for each in found["gain_interval"])
    where = "that no label taught it" if held_out is None else f"of {held_out}"
    rows = [
        ("", "before", "after"),
        ("photos it learns from", *(f"{side['photos']}" for side in sides)),
        ("wrong labels, estimated", *rates),
        ("accuracy", *(f"{side['accuracy']:.1%}" for side in sides)),
    ]
    lines = [f"{name:<24}{before:<26}{after}" for name, before, after in rows]
    return [
        *lines,
        f"Tested on {found['tested']} photos {where}: {100 * found['gain']:+.1f} "
        f"points ({low:+.1f} to {high:+.1f}).",
    ]
