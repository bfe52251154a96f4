"""Photos that were replaced after the audit, on which its verdicts say nothing."""

import datetime
import json
import os
from pathlib import Path

from absl import logging

from josrc_keras import _files
from josrc_keras.cleaning import plan
from josrc_keras.data.photos import cache

AUDITED = "photos.json"  # Size and time of each photo, as it was audited.
SHOWN = 10


def record(run, output, validation_dir=None):
    """Writes `OUTPUT/photos.json` for the photos that a run has decoded, if any.

    Args:
        run: A `pathlib.Path` of the run folder.
        output: A `pathlib.Path` of the audit's folder.
        validation_dir: A `pathlib.Path` of the folder that ids of held-out photos begin
            with, or None.
    """
    known = _decoded(run, validation_dir)
    if known is not None:
        _files.write_json(output / AUDITED, known)


def recorded(run, output, validation_dir=None):
    """Size in bytes and time in nanoseconds of each photo, as it was audited.

    Args:
        run: As in `record`.
        output: As in `record`.
        validation_dir: As in `record`.

    Returns:
        A dict from an id to `[size, time]`. It is what the run has decoded where an
        older version made the audit, and empty where the run has no photos.

    Raises:
        ValueError: If the file can't be read.
    """
    path = output / AUDITED
    if not path.exists():
        return _decoded(run, validation_dir) or {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            "Expected sizes and times of the photos that were audited. Received: "
            f"{path} ({error}). Audit again: josrc-audit --run={run}."
        ) from error


def _decoded(run, validation_dir):
    key = cache.key_of(run / "images")
    if key is None:
        return None
    starts = ("", f"{validation_dir}/")
    return {
        start + path: status
        for start, files in zip(starts, key["files"], strict=False)
        for path, *status in files
    }


def keep_changed(planned, photos, audited, again):
    """The plan, in which photos that have changed since the audit are kept.

    The log says which they are, and why.

    Args:
        planned: What `plan` returned.
        photos: The folder of photos.
        audited: What `recorded` returned.
        again: Arguments of `josrc-audit` that audit again, for the log.

    Returns:
        A `pandas.DataFrame` like `planned`.
    """
    acted = plan.acted_on(planned)
    faults = {
        place: fault
        for place, row in acted["id"].items()
        if (fault := _change(Path(photos, row), audited.get(row)))
    }
    if not faults:
        return planned
    shown = [f"{acted['id'][place]!r} {faults[place]}" for place in faults]
    logging.warning(
        "%d photos have changed since the audit, and its verdicts are not about them. "
        "They stay as they are: %s. Audit again (josrc-audit %s) for verdicts on "
        "the photos of now, or put back what was audited.",
        len(faults),
        "; ".join(shown[:SHOWN]) + (" and others" if len(shown) > SHOWN else ""),
        again,
    )
    planned = planned.copy()
    places = list(faults)
    planned.loc[places, "action"] = "keep"
    planned.loc[places, "new_name"] = planned.loc[places, "given_name"]
    return planned


def _change(path, audited):
    """What a photo's size or time says that it did not say at the audit, or None."""
    try:
        status = os.stat(path)
    except OSError:  # Whoever acts on the photo says that it is missing.
        return None
    if audited is None or [status.st_size, status.st_mtime_ns] == list(audited):
        return None
    size, time = audited
    if status.st_size != size:
        return f"had {size:,} bytes and has {status.st_size:,}"
    was, now = (_shown(each) for each in (time, status.st_mtime_ns))
    return f"was of {was} and is of {now}"


def _shown(time):
    try:
        local = datetime.datetime.fromtimestamp(time / 1e9).astimezone()
    except (OverflowError, ValueError, OSError):  # A clock was far off.
        return f"{time / 1e9:,.3f} seconds after 1970"
    return local.isoformat(" ", "milliseconds")
