"""What the report shows beside a sample, so that a person sees enough to decide."""

import hashlib
import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from josrc_keras.cleaning import plane

LIKELY = 9  # Classes that have a key, 1 to 9.
NEIGHBOURS = 4  # Neighbours of a sample.
SHOWN = 20_000  # Rows, the lowest scores, of which the page knows all of that.
BLOCK = 512  # Rows whose similarities to all others are in memory at once.


class Sight(NamedTuple):
    """What an audit knows beside its table; None where it does not.

    Attributes:
        probs: `(N, C)` probabilities, by which the likeliest classes get a key.
        features: `(N, F)` float features, by which neighbours are found.
        photos: The folder that ids are paths in.
    """

    probs: Any = None
    features: Any = None
    photos: Any = None


def embedded(sight, table, path):
    """What the page's script reads of it.

    Args:
        sight: A `Sight`.
        table: As for `report.write_report`.
        path: Path of the page.

    Returns:
        A dict of `audit`, a key of these samples with these labels; `likely` and
        `neighbours`, dicts from a row to classes or rows, the nearest first; `map`,
        the places of all rows as lists `x` and `y`, or None; and `folders`, URLs that
        ids follow, to try in turn.
    """
    score = table["label_score"].to_numpy(dtype=float)
    rows = np.argsort(score, kind="stable")[:SHOWN]
    given = table["given_label"].to_numpy()
    likely = {} if sight.probs is None else likely_classes(sight.probs, given, rows)
    near = {} if sight.features is None else neighbours(sight.features, rows)
    return {
        "audit": key_of(table),
        "likely": likely,
        "neighbours": near,
        "map": _map(sight.features, table),
        "folders": [] if sight.photos is None else _folders(sight.photos, path),
    }


def _map(features, table):
    if features is None or len(table) < 2:
        return None
    placed = plane.places(features, table["predicted_label"].to_numpy())
    return dict(zip("xy", placed.T.tolist(), strict=True))


def key_of(table):
    """A key of a table's ids and given labels: the same for the same of both."""
    digest = hashlib.sha256()
    for name in ("id", "given_name"):
        for value in table[name].tolist():
            digest.update(str(value).encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:16]


def likely_classes(probs, given, rows):
    """The likeliest classes of some rows, without the given one.

    Args:
        probs: `(N, C)` probabilities.
        given: `(N,)` integers, the given labels.
        rows: Row numbers.

    Returns:
        A dict from a row's number, as text, to at most `LIKELY` classes.
    """
    chosen = np.array(probs, "float32")[rows]
    chosen[np.arange(len(rows)), given[rows]] = -1
    best = np.argsort(-chosen, axis=1, kind="stable")[:, : chosen.shape[1] - 1]
    best = best[:, :LIKELY].tolist()
    return {str(row): classes for row, classes in zip(rows, best, strict=True)}


def neighbours(features, rows):
    """The rows whose features have the largest cosine with those of some rows.

    Args:
        features: `(N, F)` float.
        rows: Row numbers.

    Returns:
        A dict from a row's number, as text, to at most `NEIGHBOURS` rows, the nearest
        first.
    """
    unit = np.asarray(features, "float32")
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    number = min(NEIGHBOURS, len(unit) - 1)
    found: dict = {}
    for start in range(0, len(rows) if number > 0 else 0, BLOCK):
        block = rows[start : start + BLOCK]
        cosine = unit[block] @ unit.T
        cosine[np.arange(len(block)), block] = -2  # It is not its own neighbour.
        near = np.argpartition(-cosine, number - 1, axis=1)[:, :number]
        order = np.argsort(-np.take_along_axis(cosine, near, 1), axis=1, kind="stable")
        near = np.take_along_axis(near, order, 1).tolist()
        found |= {str(row): each for row, each in zip(block, near, strict=True)}
    return found


def _folders(photos, path):
    """URLs of the folder: as seen from the page, and from the root."""
    photos = Path(photos).expanduser().absolute()
    urls = [photos.as_uri()]
    try:
        beside = os.path.relpath(photos, Path(path).absolute().parent)
        urls.insert(0, quote(os.fsencode(Path(beside).as_posix())))
    except ValueError:  # On Windows they can be on two drives.
        pass
    return [f"{url}/" for url in urls]
