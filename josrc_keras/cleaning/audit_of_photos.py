"""The audit of a folder of photos by a pretrained backbone: table, findings, report."""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from josrc_keras import _files
from josrc_keras._version import __version__
from josrc_keras.audit import summary
from josrc_keras.cleaning import audit_of_run, changed, report, sight
from josrc_keras.data.photos import decoding
from josrc_keras.probe import audits, duplicates, overlap, quality

SOURCE = "source.json"  # Where the photos of an audit are.
LISTED = 1000  # The most sets and photos that the findings list; the table has all.


def write(
    photos,
    output,
    *,
    backbone,
    table=None,
    seed=0,
    max_thumbnails=1200,
    classifier=None,
):
    """Audits photos, and writes table, findings and report.

    Args:
        photos: The folder of photos, as for `audit.of_photos`.
        output: Folder for `audit.csv`, `audit.parquet` (with pyarrow), `findings.json`,
            `report.html`, `photos.json`, `source.json` and the folder `features`.
        backbone: Name of the backbone, see `probe.backbone.load`.
        table: CSV file of paths and labels, or None for class folders.
        seed: Seed of folds, training and intervals.
        max_thumbnails: The most photos in the report.
        classifier: Path of a `.keras` file to save backbone and head to, or None.

    Returns:
        The findings: a dict as of `audit.summarise`, with `class_names`, `skipped`,
        `source`, `estimates`, `near_duplicates`, `quality_issues`, `betraying` and
        `overlaps`.

    Raises:
        ImportError, OSError, ValueError: As `audit.of_photos`.
    """
    output = Path(output)
    audit_of_run.make_folder(output)
    features = audits.default_features(output)
    found = audits.photo_audit(
        photos, backbone, features=features, table=table, seed=seed
    )
    seen = found.seen
    result = found.audited.table.assign(**_flags(found))
    estimates = found.audited.table.attrs["estimates"]
    findings = summary.summarise(result) | {
        "class_names": list(found.class_names),
        "skipped": [{"id": i, "reason": reason} for i, reason in seen.skipped],
        "source": _source(photos, backbone, table, seed),
        "estimates": estimates,
        **_about(found, result),
    }
    audit_of_run.write_table(output, result, findings)
    sizes = {photo.id: [photo.size, photo.changed] for photo in seen.photos}
    _files.write_json(output / changed.AUDITED, sizes)
    where = {"photos": str(Path(photos).expanduser().absolute())}
    _files.write_json(output / SOURCE, where | {"table": table and str(table)})
    report.write_report(
        output / "report.html",
        result,
        findings,
        _thumbnail_of(seen.photos),
        title=f"Audit of {Path(photos).resolve().name}",
        max_thumbnails=max_thumbnails,
        seen=sight.Sight(
            found.audited.probs, np.asarray(seen.features).mean(1), Path(photos)
        ),
    )
    if classifier is not None:
        made = audits.classifier(backbone, found.audited, found.class_names)
        with _files.replacing(classifier) as beside:
            made.save(beside)
    return findings


def photos_of(output):
    """The folder of photos that an audit was made of; None where a table listed them.

    Raises:
        ValueError: If `output` holds no audit of photos.
    """
    where = _where(output)
    return None if where["table"] else Path(where["photos"])


def folder_of(output):
    """The folder that ids of an audit of photos are paths in.

    Raises:
        ValueError: If `output` holds no audit of photos.
    """
    return Path(_where(output)["photos"])


def keep_changed(planned, output):
    """A plan in which photos are kept that have changed since the audit."""
    output = Path(output)
    photos = Path(_where(output)["photos"])
    again = f"--photos={photos} --output={output}"
    return changed.keep_changed(
        planned, photos, changed.recorded(output, output), again
    )


def _where(output):
    path = Path(output) / SOURCE
    if not path.exists():
        raise ValueError(
            f"Expected an audit of photos. Received: {output}, without {SOURCE}. Audit "
            "first: josrc-audit --photos=DIR --output=DIR."
        )
    return json.loads(path.read_text(encoding="utf-8"))


def _about(found, result):
    """What else is wrong with the photos, for `findings.json`."""
    seen = found.seen
    ids, names = result["id"].tolist(), result["given_name"].tolist()
    sets = result["duplicate_set"].to_numpy()
    measured = quality.stacked(seen.measured)
    flagged, thresholds = quality.issues(measured)
    properties = {
        name: measured[name] for name in ("brightness", "sharpness", "spread")
    }
    properties["pixels"] = measured["width"] * measured["height"]
    properties["shape"] = measured["width"] / measured["height"]
    properties["format"] = np.array([p.path.suffix.lower() for p in seen.photos])
    properties["bytes"] = np.array([photo.size for photo in seen.photos])
    labels = result["given_label"].to_numpy()
    splits = [photo.split for photo in seen.photos]
    return {
        "near_duplicates": {
            "photos": int((sets >= 0).sum()),
            "sets": len(np.unique(sets[sets >= 0])),
            "different_labels": duplicates.with_different_labels(sets, ids, names),
            "across_splits": duplicates.across_splits(sets, ids, names, splits),
            "listed": duplicates.listed(
                sets, ids, names, splits, result["keep"].to_numpy(), LISTED
            ),
        },
        "quality_issues": {
            "counts": {name: int(each.sum()) for name, each in flagged.items()},
            "thresholds": thresholds,
            "listed": quality.listed(flagged, measured, ids, names, LISTED),
        },
        "betraying": quality.betraying_properties(
            properties, labels, found.class_names
        ),
        "overlaps": overlap.overlapping_classes(
            found.audited.probs, labels, found.class_names
        ),
    }


def _flags(found):
    """Further columns of the table: which duplicate to keep, and what is wrong."""
    seen, result = found.seen, found.audited.table
    measured = quality.stacked(seen.measured)
    flagged, _ = quality.issues(measured)
    names = [
        " ".join(name for name, each in flagged.items() if each[row])
        for row in range(len(result))
    ]
    keep = duplicates.kept(
        result["duplicate_set"].to_numpy(),
        measured["width"] * measured["height"],
        [photo.size for photo in seen.photos],
        result["id"].tolist(),
    )
    return {"keep": keep, "quality_issues": names}


def _thumbnail_of(photos):
    """A function from a row to its whole photo, made smaller where it is large."""
    side = report.LONGEST_SIDE

    def thumbnail(row):
        try:
            with decoding.opened(photos[row].path, side) as (image, upright, _):
                image.thumbnail((side, side))
                return np.asarray(upright(image))
        except Exception as error:  # Pillow raises many kinds of errors.
            raise OSError(f"{photos[row].id} can't be read anew ({error})") from error

    return thumbnail


def _source(photos, backbone, table, seed):
    source = {"photos": str(photos), "backbone": str(backbone), "seed": str(seed)}
    if table is not None:
        source["table"] = str(table)
    return source | {"written by": f"josrc_keras {__version__}"}


def said(findings):
    """What a person should know first, as lines of text."""
    known = findings["estimates"]

    def share(name):
        low, high = known[f"{name}_interval"]
        return f"{known[name]:.1%} ({low:.1%} to {high:.1%})"

    lines = [
        f"Wrong labels: an estimated {share('noise_rate')} of all; of no class: "
        f"{share('ood_rate')}. Errors that follow the photos themselves, as those of "
        "another model do, are not seen.",
        f"Check the {known['check']['photos']} photos with the lowest label_score to "
        f"find about {known['check']['share']:.0%} of the wrong labels.",
    ]
    near = findings["near_duplicates"]
    if near["photos"]:
        lines.append(
            f"{near['photos']} photos are near-duplicates, in {near['sets']} sets, of "
            f"which {len(near['different_labels'])} have different labels and "
            f"{len(near['across_splits'])} lie across splits."
        )
    counts = Counter(findings["quality_issues"]["counts"])
    if counts.total():
        each = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
        lines.append(f"Photos that may be of no use: {each}.")
    return lines
