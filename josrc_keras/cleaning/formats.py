"""Findings and decisions in the formats of other tools, which load them as they are.

`josrc-audit --export=NAME` writes them; `export` does the same from Python. None of the
other tools has to be installed for that.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from josrc_keras import _checks, _files
from josrc_keras.audit import scores
from josrc_keras.cleaning import decisions, formats_of_photos, plan

__all__ = ["FORMATS", "Findings", "cleanlab", "export", "findings"]

CERTAIN = {"keep": 1.0, "relabel": 0.0, "set_aside": 0.0, "delete": 0.0}
FORMATS = {  # Where each is written below the folder of the audit.
    "cleanlab": "cleanlab.csv",
    "fiftyone": "fiftyone",
    "huggingface": "huggingface",
    "label_studio": "label_studio",
}
# What a person does next, by lines with the path and the parent of the photos' folder.
LOADED_BY = {
    "cleanlab": [
        "Load it as pandas.read_csv({path}), and pass it as label_issues to",
        "cleanlab.classification.CleanLearning().fit, for features in its order.",
    ],
    "fiftyone": [
        "Load it as fiftyone.Dataset.from_dir(dataset_dir={path}, dataset_type=",
        "fiftyone.types.LegacyFiftyOneDataset).",
    ],
    "huggingface": [
        'Load it as datasets.load_dataset("imagefolder", data_dir={path}).'
    ],
    "label_studio": [
        "Start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={photos}, make a project with",
        "{path}/labels.xml and import {path}/tasks.json.",
    ],
}


class Findings(NamedTuple):
    """An audit with what was decided about it.

    Attributes:
        table: An audit's `pandas.DataFrame`, with `decision` (empty where nothing was
            decided), `action` and `new_name`, see `decisions.planned`.
        class_names: Names of the classes, by number.
        photos: The folder that ids are paths in, a `pathlib.Path`, or None.
    """

    table: Any
    class_names: tuple
    photos: Any


def findings(table, class_names, decided=None, photos=None):
    """Puts an audit and decisions together.

    Args:
        table: An audit's `pandas.DataFrame`.
        class_names: Names of the classes, by number.
        decided: What `decisions.read` returned; None where nothing was decided.
        photos: The folder that ids are paths in, or None if the data are no photos.

    Returns:
        A `Findings`.

    Raises:
        ValueError: If the decisions are not about this audit.
    """
    if decided is None:
        planned = table[["given_name"]].assign(action="keep")
        planned["new_name"], decision = planned["given_name"], ""
    else:
        planned = decisions.planned(table, decided, class_names)
        given = decided.set_index("id")["decision"]
        decision = table["id"].astype(str).map(given).fillna("").to_numpy()
    texts = {name: str for name in plan.TEXTS}
    found = (
        table.astype(texts)
        .reset_index(drop=True)
        .assign(
            decision=decision,
            action=planned["action"].to_numpy(),
            new_name=planned["new_name"].to_numpy(),
        )
    )
    folder = None if photos is None else Path(photos).expanduser().absolute()
    return Findings(found, tuple(map(str, class_names)), folder)


def export(found, output, kind):
    """Writes findings for another tool, completely or not at all.

    What was written there before is replaced.

    Args:
        found: A `Findings`.
        output: The folder to write into.
        kind: One of `FORMATS`.

    Returns:
        The path that was written: a file or a folder.

    Raises:
        ImportError: If pandas is not installed.
        OSError: If a photo can't be read, or the path can't be written.
        ValueError: If the format is unknown or takes photos only.
    """
    _checks.check_choice("the format", kind, tuple(FORMATS))
    path = Path(output) / FORMATS[kind]
    if kind == "cleanlab":
        plan.write_table(cleanlab(found), path)
        return path
    if found.photos is None:
        raise ValueError(
            f"Expected an audit of photos for {kind}, whose samples are files. "
            "Received: one of other data. Export it for cleanlab."
        )
    with _files.replacing(path) as beside:
        beside.mkdir()
        getattr(formats_of_photos, kind)(found, beside)
    return path


def cleanlab(found):
    """Findings with the names and directions of cleanlab's columns.

    `CleanLearning().fit(x, labels, label_issues=TABLE)` leaves out the label issues.
    What was decided counts more than the scores: a label that is kept is no issue, and
    has the quality 1; one that is changed, set aside or deleted has the quality 0.

    Args:
        found: A `Findings`.

    Returns:
        A `pandas.DataFrame` in the audit's order, with `is_label_issue`,
        `label_quality` in [0, 1] (1 = right), `given_label`, `predicted_label`, `id`,
        `given_name`, `predicted_name`, `decision`. Labels are numbers of classes.
    """
    table = found.table
    quality = table["label_score"].to_numpy(float)
    sure = table["decision"].ne("").to_numpy() & table["action"].isin(CERTAIN)
    certain = table["action"].map(CERTAIN).fillna(0.5).to_numpy(float)
    quality = np.where(sure, certain, quality)
    issue = np.where(sure, certain < 0.5, table["verdict"] != scores.CLEAN)
    changed = (table["action"] == "relabel").to_numpy()
    names = np.where(changed, table["new_name"], table["predicted_name"].astype(str))
    number = {name: label for label, name in enumerate(found.class_names)}
    return (
        table[["given_label"]]
        .assign(
            is_label_issue=issue.astype(bool),
            label_quality=quality,
            predicted_label=[number[name] for name in names],
            id=table["id"],
            given_name=table["given_name"],
            predicted_name=names,
            decision=table["decision"],
        )
        .reindex(
            columns=[
                *("is_label_issue", "label_quality", "given_label", "predicted_label"),
                *("id", "given_name", "predicted_name", "decision"),
            ]
        )
    )
