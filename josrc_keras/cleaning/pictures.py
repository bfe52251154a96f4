"""The images in the report: which samples have one, and the images as text."""

import base64
import concurrent.futures
import io

import numpy as np
from absl import logging

from josrc_keras import _checks
from josrc_keras.audit.scores import VERDICTS

LONGEST_SIDE = 256  # The longest side of a large thumbnail, in pixels.
SHORTER_SIDE = 128  # The same, once `LARGE_BYTES` are used.
LARGE_BYTES = 12_000_000  # Characters that large thumbnails may take in a page.
TINY = 64  # Images with shorter sides, in pixels, are kept exactly, as PNG.
QUALITY = 75  # WebP quality of the other images.
METHOD = 2  # WebP effort: 5% larger than by default (4), in half of the time.
TOGETHER = 32  # Images that all cores read and encode before `budget` is looked at.
TYPICAL = 3  # Typical images of a class.
TYPICAL_CLASSES = 100  # Typical images are shown where there are no more classes.


def rows_with_thumbnails(table, limit):
    """The rows whose images are shown: the worst, shared fairly among given classes.

    The classes take turns, and within a class its unclean verdicts. Each gives its
    lowest `label_score` first. So every class has an image if `limit` is at least their
    number, even a class in which all is clean. Room that is left goes to images that
    occur under different labels, then to the lowest clean scores.

    Args:
        table: As for `write_report`.
        limit: The most rows.

    Returns:
        A list of row numbers, sorted.
    """
    return sorted(worst_first(table, limit))


def worst_first(table, limit):
    """The rows of `rows_with_thumbnails`, those that matter most first."""
    given = table["given_label"].to_numpy()
    score = table["label_score"].to_numpy(dtype=float)
    verdict = verdict_codes(table)
    clean = verdict == 0
    turn = _rank((score,), (given, verdict))
    in_class = _rank((verdict, turn, clean), (given,))
    stage = np.select([in_class == 0, ~clean, _in_conflict(table)], [0, 1, 2], 3)
    order = np.lexsort((score, in_class, stage))
    return order[:limit].tolist()


def _rank(keys, groups):
    """Ranks (0 is first) by `keys`, the last one first, within equal `groups`."""
    order = np.lexsort((*keys, *groups))
    starts = np.zeros(len(order), bool)
    starts[:1] = True
    for group in groups:
        starts[1:] |= np.diff(group[order]) != 0
    positions = np.arange(len(order))
    ranks = np.empty(len(order), int)
    ranks[order] = positions - np.maximum.accumulate(np.where(starts, positions, 0))
    return ranks


def _in_conflict(table):
    """Which rows show an image that also has another given label."""
    sets = table["duplicate_set"]
    labels = table.groupby("duplicate_set")["given_label"].nunique()
    return ((sets >= 0) & (sets.map(labels) > 1)).to_numpy(dtype=bool)


def verdict_codes(table):
    """The verdicts as their places in `VERDICTS`."""
    verdicts = table["verdict"].to_numpy(dtype=object)
    for unknown in set(verdicts) - set(VERDICTS):
        raise ValueError(
            f"Received the verdict {unknown!r}; expected one of {VERDICTS}. Translate "
            "it."
        )
    return np.array([VERDICTS.index(each) for each in verdicts], int)


def typical_rows(table, limit):
    """The rows that look most like their class: clean, with the highest scores.

    Args:
        table: As for `write_report`.
        limit: The most rows of all classes.

    Returns:
        A dict from a class to at most `TYPICAL` row numbers, the best first, without
        classes that have none; empty where there are more than `TYPICAL_CLASSES`, or
        too many for `limit`.
    """
    given = table["given_label"].to_numpy()
    labels = np.unique(given)
    if len(labels) > min(TYPICAL_CLASSES, limit // TYPICAL):
        return {}
    score = table["label_score"].to_numpy(dtype=float)
    clean = verdict_codes(table) == 0
    rank = _rank((-score, ~clean), (given,))
    chosen = np.flatnonzero(clean & (rank < TYPICAL))
    chosen = chosen[np.lexsort((rank[chosen], given[chosen]))]
    rows = {int(label): chosen[given[chosen] == label].tolist() for label in labels}
    return {label: each for label, each in rows.items() if each}


def thumbnails(thumbnail, rows, longest=LONGEST_SIDE, budget=LARGE_BYTES):
    """Images as data URIs, by row. Images that can't be read are left out.

    Args:
        thumbnail: As for `write_report`.
        rows: Row numbers, those that matter most first.
        longest: The longest side of the first images, in pixels.
        budget: Once this number of characters is used, the other images have at most
            `SHORTER_SIDE` pixels. This is looked at after every `TOGETHER` images.

    Returns:
        A dict from a row's number, as text, to a data URI, in the order of rows.
    """
    encoded, unread, used = {}, [], 0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for start in range(0, len(rows), TOGETHER):
            side = longest if used < budget else min(longest, SHORTER_SIDE)
            some = rows[start : start + TOGETHER]
            made = [pool.submit(_data_uri, thumbnail, row, side) for row in some]
            for row, each in zip(some, made, strict=True):
                try:
                    encoded[row] = each.result()
                except OSError as error:
                    unread.append(f"{row}: {error}")
                else:
                    used += len(encoded[row])
    if unread:
        logging.warning(
            "%d images can't be read and are missing in the report, the first in row "
            "%s",
            len(unread),
            unread[0],
        )
    return {str(row): encoded[row] for row in sorted(encoded)}


def _data_uri(thumbnail, row, side):
    """A row's image, with sides of at most `side`, as text."""
    pixels = np.asarray(thumbnail(row))
    pillow = _checks.imported("PIL.Image", "Thumbnails need Pillow", "report")
    good = pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4) and pixels.size
    if pixels.dtype != np.uint8 or not good:
        raise ValueError(
            f"thumbnail({row}) returned {pixels.dtype} {pixels.shape}; expected uint8 "
            "(H, W, channels) with 1, 3 or 4 channels. Convert it, with values in "
            "[0, 255]."
        )
    image = pillow.fromarray(
        np.ascontiguousarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    )
    image.thumbnail((side, side), pillow.Resampling.LANCZOS)
    kind = "png" if max(image.size) < TINY else "webp"
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=QUALITY, method=METHOD)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
