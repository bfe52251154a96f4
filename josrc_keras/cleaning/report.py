"""The audit as a self-contained HTML page with numbers, images and decisions."""

import base64
import hashlib
import html
import json
import math
import re
from pathlib import Path

import numpy as np

from josrc_keras import _files
from josrc_keras.cleaning import pictures, sight
from josrc_keras.cleaning.pictures import rows_with_thumbnails

__all__ = ["LONGEST_SIDE", "rows_with_images", "rows_with_thumbnails", "write_report"]

LONGEST_SIDE = pictures.LONGEST_SIDE  # The longest side of a thumbnail, in pixels.

SCORES = (
    "label_score",
    "clean_likelihood",
    "ood_score",
    "predicted_probability",
    "clean_share",
    "in_distribution_share",
    "out_of_distribution_share",
)
COLUMNS = (
    "id",
    "given_label",
    "given_name",
    "verdict",
    "is_label_issue",
    "predicted_label",
    "predicted_name",
    "duplicate_set",
    *SCORES,
)
STYLES = ("", ".review", ".map")
SCRIPTS = (
    "",
    ".summary",
    ".filters",
    ".samples",
    ".map",
    ".ticks",
    ".decisions",
    ".exchange",
    ".served",
    ".chooser",
    ".preview",
    ".estimate",
    ".keys",
)
SCALE = 10_000  # Scores are kept as integers, in ten thousandths.
LISTED = {"confused_pairs": 30, "duplicates": 100, "skipped": 100}


def write_report(
    path,
    table,
    findings,
    thumbnail=None,
    *,
    title,
    max_thumbnails=1200,
    seen=None,
):
    """Writes the page, completely or not at all.

    The page is one file and fetches nothing from the network. It has images of the
    samples that `rows_with_images` chooses, and all samples in its table.

    Args:
        path: Path of the page, such as `report.html`.
        table: A `pandas.DataFrame` with a row for each sample, in the dataset's order,
            and at least `COLUMNS`. Other columns are kept for the page's CSV.
        findings: Dict of `images`, `classes`, `class_names`, `noise_rate`,
            `in_distribution_rate`, `out_of_distribution_rate`, `by_class`,
            `confused_pairs` and `duplicates`, and optionally `undecided_rate`,
            `skipped` and `source`.
        thumbnail: Function from a row's number to its image, uint8 `(H, W, channels)`
            with 1, 3 or 4 channels; several threads call it at once. None makes a page
            without images.
        title: Title of the page.
        max_thumbnails: The most images of samples to look at, 0 or more; a few of each
            class come on top if there are any.
        seen: A `sight.Sight` of what else the audit knows, or None.

    Raises:
        ValueError: If the table or an image is not as described, or `max_thumbnails` is
            negative.
        ImportError: If there are images, but Pillow is not installed.
    """
    if max_thumbnails < 0:
        raise ValueError(
            f"Received max_thumbnails={max_thumbnails}; expected 0 or more. Pass 0 for "
            "a page without images."
        )
    data = _embedded(table, findings)
    data |= sight.embedded(seen or sight.Sight(), table, path)
    data |= _images(table, thumbnail, max_thumbnails)
    _files.write_text(path, _page(str(title), data))


def rows_with_images(table, limit):
    """The rows of `rows_with_thumbnails`, and typical ones of each class."""
    typical = pictures.typical_rows(table, limit).values()
    return sorted(
        {*rows_with_thumbnails(table, limit), *(r for t in typical for r in t)}
    )


def _images(table, thumbnail, limit):
    """The images, and which of them are typical of which class."""
    if thumbnail is None or not limit:
        return {"thumbnails": {}, "typical": {}, "typical_images": {}}
    rows = pictures.worst_first(table, limit)
    typical = pictures.typical_rows(table, limit)
    others = sorted({row for each in typical.values() for row in each} - set(rows))
    side = pictures.SHORTER_SIDE
    return {
        "thumbnails": pictures.thumbnails(thumbnail, rows),
        "typical": typical,
        "typical_images": pictures.thumbnails(thumbnail, others, side),
    }


def _embedded(table, findings):
    """The data that the page's script reads, without the images."""
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ValueError(
            f"The table lacks {missing}; received {list(table)}, expected "
            f"{list(COLUMNS)}. Add the missing columns."
        )
    names = [str(name) for name in findings["class_names"]]
    for which in ("given", "predicted"):
        _check_names(table, names, f"{which}_label", f"{which}_name")
    others = [column for column in table if column not in COLUMNS]
    return {
        "columns": ["id", *(str(column) for column in table if column != "id")],
        "classes": names,
        "ids": [str(each) for each in table["id"].tolist()],
        "given": table["given_label"].tolist(),
        "predicted": table["predicted_label"].tolist(),
        "verdicts": "".join(map(str, pictures.verdict_codes(table))),
        "issues": "".join("01"[bool(each)] for each in table["is_label_issue"]),
        "duplicates": table["duplicate_set"].astype(int).tolist(),
        "scores": {name: _scaled(table[name]) for name in SCORES},
        "others": {str(column): _plain(table[column].tolist()) for column in others},
        **_listed(findings),
    }


def _listed(findings):
    """The findings as the page shows them, with long lists cut and counted."""
    pairs = sorted(findings["confused_pairs"], key=lambda pair: -pair["images"])
    lists = {
        "confused_pairs": pairs,
        "duplicates": findings["duplicates"],
        "skipped": findings.get("skipped") or [],
    }
    first = {name: lists[name][:number] for name, number in LISTED.items()}
    return {
        "findings": _plain({**findings, "class_names": None, **first}),
        "totals": {name: len(each) for name, each in lists.items()},
    }


def _check_names(table, names, label, name):
    labels = table[label].to_numpy()
    if not np.issubdtype(labels.dtype, np.integer) or not np.all(
        (labels >= 0) & (labels < len(names))
    ):
        raise ValueError(
            f"Received {labels.dtype} {label}s from {labels.min()} to {labels.max()}; "
            f"expected integers in [0, {len(names)}), one for each of the findings' "
            "class_names. Number the classes as they are listed."
        )
    expected = np.array(names, object)[labels]
    received = table[name].astype(str).to_numpy(dtype=object)
    for row in np.flatnonzero(expected != received)[:1]:
        raise ValueError(
            f"Received {name} {received[row]!r} with {label} {labels[row]} in row "
            f"{row}; expected {expected[row]!r}, as in the findings' class_names. "
            "Take both from the same list."
        )


def _scaled(column):
    """Scores as integers, None where missing; None for a column without scores."""
    values = column.to_numpy(dtype=float, na_value=math.nan)
    known = ~np.isnan(values)
    for wrong in values[known & ~((values >= 0) & (values <= 1))][:1]:
        raise ValueError(
            f"Received {column.name} {wrong}; expected a number in [0, 1] or NaN. "
            "Divide it by its maximum, or leave it out as NaN."
        )
    if not known.any():
        return None
    scaled = np.rint(np.where(known, values, 0) * SCALE).astype(int).tolist()
    return [
        each if is_known else None
        for each, is_known in zip(scaled, known.tolist(), strict=True)
    ]


def _plain(value):
    """A value that JSON can express: NumPy's scalars become Python's, NaN None."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def _page(title, data):
    """The text of the page: the template with its style, script and data."""
    folder = Path(__file__).parent
    style = "\n".join(
        (folder / f"page{part}.css").read_text(encoding="utf-8") for part in STYLES
    )
    script = "\n".join(
        (folder / f"page{part}.js").read_text(encoding="utf-8") for part in SCRIPTS
    )
    parts = {
        "policy": f"default-src 'none'; img-src data: file:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        "title": html.escape(title).encode("utf-8", "replace").decode(),
        "style": style,
        "script": script,
        "data": _json({"title": title, **data}),
    }
    template = (folder / "page.html").read_text(encoding="utf-8")
    return re.sub(r"{{(\w+)}}", lambda match: parts[match[1]], template)


def _hash(text):
    """How a content security policy names an inline style or script."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _json(value):
    """JSON that is valid UTF-8 and can't end the script element that holds it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub(
        "[<>&\u2028\u2029\ud800-\udfff]",
        lambda match: f"\\u{ord(match[0]):04x}",
        text,
    )
