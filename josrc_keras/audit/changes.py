"""What to do about an audit: a table, a cleaned copy, or moved photos.

No photo is ever deleted or overwritten, and what was moved can be moved back.
"""

import filecmp
import os
import shutil
from pathlib import Path

from absl import logging

from josrc_keras import files, guards
from josrc_keras.audit import scores

ACTIONS = {
    scores.CLEAN: "keep",
    scores.IN_DISTRIBUTION: "relabel",
    scores.OUT_OF_DISTRIBUTION: "set_aside",
}
TEXTS = ("id", "given_name", "verdict", "predicted_name")
JOURNAL = "moved.csv"


def read_table(path):
    """An audit's CSV file, or one of rows that were ticked in its report.

    Raises:
        ValueError: If it is no such file.
    """
    pandas = guards.imported("pandas", "An audit is a table of pandas", "report")
    try:
        table = pandas.read_csv(
            path,
            dtype=dict.fromkeys(TEXTS, str),
            keep_default_na=False,
            na_values={"clean_share": [""], "label_score": [""]},
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f"Expected the CSV file of an audit. Received: {path} ({error})."
        ) from error
    missing = [name for name in TEXTS if name not in table]
    unknown = set(table.get("verdict", ())) - set(ACTIONS)
    if missing or unknown:
        raise ValueError(
            f"Expected the columns {', '.join(TEXTS)}, and verdicts of "
            f"{', '.join(ACTIONS)}. Received: {path}, without {missing or 'none'} of "
            f"the columns and with the verdicts {sorted(unknown)} besides. Take "
            "audit.csv, or what the report exports."
        )
    return table


def plan(table, chosen=None):
    """What is to be done about each sample.

    Args:
        table: An audit's table.
        chosen: A table of the same kind, such as the rows that a person ticked, who may
            have changed `verdict` and `predicted_name`; all others are kept. None
            follows the audit in all rows.

    Returns:
        A `pandas.DataFrame` with `id`, `given_name`, `action` (`"keep"`, `"relabel"` or
        `"set_aside"`), `new_name` (empty if set aside) and `label_score`.

    Raises:
        ValueError: If a chosen row is not in the audit.
    """
    table = table.astype({name: str for name in TEXTS}).set_index("id", drop=False)
    verdict, name = table["verdict"].copy(), table["predicted_name"].copy()
    if chosen is not None:
        chosen = chosen.astype({name: str for name in TEXTS}).set_index("id")
        strange = chosen.index.difference(table.index)
        if len(strange):
            raise ValueError(
                "Expected rows of this audit. Received: ids that it does not have, "
                f"such as {list(strange[:3])}. Export them from its own report."
            )
        verdict[:] = scores.CLEAN
        verdict[chosen.index], name[chosen.index] = (
            chosen["verdict"],
            chosen["predicted_name"],
        )
        clean = int((chosen["verdict"] == scores.CLEAN).sum())
        if clean:
            logging.warning(
                "%d of the chosen rows are called clean, and are kept. Change `verdict` "
                "in the file to act on them.",
                clean,
            )
    action = verdict.map(ACTIONS)
    same = (action == "relabel") & (name == table["given_name"])
    action[same] = "keep"
    new = table["given_name"].where(action != "relabel", name)
    result = table[["id", "given_name"]].copy()
    result["action"] = action
    result["new_name"] = new.where(action != "set_aside", "")
    result["label_score"] = table["label_score"]
    return result.reset_index(drop=True)


def write_csv(planned, output):
    """Writes the plan to `OUTPUT/relabel.csv`; returns its path."""
    path = Path(output) / "relabel.csv"
    with files.replacing(path) as beside:
        planned.to_csv(beside, index=False)
    return path


def copy(planned, photos, output):
    """Writes a cleaned copy of a folder of photos, whole or not at all.

    Args:
        planned: What `plan` returned; its ids are paths `CLASS/...` in the folder.
        photos: The folder.
        output: Gets `cleaned/CLASS/...`, and `set_aside/CLASS/...` for what belongs
            to no class, by given class.

    Returns:
        The path of `cleaned`.

    Raises:
        ValueError: If there is such a copy, or a photo is missing.
    """
    places = {"cleaned": [], "set_aside": []}
    for row in planned.itertuples():
        aside = row.action == "set_aside"
        name = row.given_name if aside else row.new_name
        target = Path(name, *Path(row.id).parts[1:])
        places["set_aside" if aside else "cleaned"].append((row.id, target))
    for part in places:
        _refuse_existing(Path(output) / part)
    _check_present(Path(photos) / row_id for row_id in planned["id"])
    for part, pairs in places.items():
        with files.replacing(Path(output) / part) as beside:
            beside.mkdir()
            for source, target in pairs:
                place = _free(beside / target)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(Path(photos) / source, place)
    return Path(output) / "cleaned"


def move(planned, photos, output):
    """Moves photos within their folder to the class that is suggested.

    What belongs to no class goes to `OUTPUT/set_aside/CLASS/...`. `OUTPUT/moved.csv`
    lists every move, before the first one is made; `move_back` undoes them, whether or
    not all of them were made.

    Args:
        planned: What `plan` returned; its ids are paths `CLASS/...` in the folder.
        photos: The folder.
        output: Folder for what is set aside and for the list.

    Returns:
        The path of the list.

    Raises:
        ValueError: If photos were moved before, or one is missing.
    """
    photos, output = Path(photos).resolve(), Path(output).resolve()
    journal = output / JOURNAL
    _refuse_existing(journal)
    taken: set = set()
    moves = []
    for row in planned[planned["action"] != "keep"].itertuples():
        inner = Path(row.id).parts[1:]
        if row.action == "set_aside":
            target = output / "set_aside" / Path(row.given_name, *inner)
        else:
            target = photos / Path(row.new_name, *inner)
        target = _free(target, taken)
        taken.add(target)
        moves.append({"from": str(photos / row.id), "to": str(target)})
    _check_present(entry["from"] for entry in moves)
    files.write_csv(journal, moves)
    for entry in moves:
        _move(Path(entry["from"]), Path(entry["to"]))
    return journal


def move_back(output):
    """Moves every photo in `OUTPUT/moved.csv` back; returns how many there were.

    Raises:
        ValueError: If there is no list, or another photo has taken a place.
    """
    journal = Path(output) / JOURNAL
    if not journal.exists():
        raise ValueError(
            f"Expected a list of moves to undo. Received: {journal}, which does not "
            "exist. `--apply=move` writes it."
        )
    pandas = guards.imported("pandas", "An audit is a table of pandas", "report")
    table = pandas.read_csv(journal, dtype=str, keep_default_na=False)
    moves = [(Path(a), Path(b)) for a, b in zip(table["from"], table["to"], strict=True)]
    moved = [(before, now) for before, now in moves if now.exists()]
    for before, _ in moved:
        _refuse_existing(before)
    for before, now in moved:
        _move(now, before)
    os.replace(journal, journal.with_name("moved-back.csv"))
    return len(moved)


def _move(source, target):
    """Moves a file to a free place; across file systems by a copy that is compared."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(source, target)
    except OSError:
        with files.replacing(target) as beside:
            shutil.copy2(source, beside)
            if not filecmp.cmp(source, beside, shallow=False):
                raise OSError(f"The copy of {source} differs from it.") from None
        source.unlink()


def _free(path, taken=()):
    """The path, or where it is taken one with a number before its suffix."""
    number, place = 1, path
    while place.exists() or place in taken:
        place = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return place


def _refuse_existing(path):
    if path.exists():
        raise ValueError(
            f"Expected no file or folder at {path}. Received: one that exists, and "
            "would be written over. Move it away, or choose another --output."
        )


def _check_present(paths):
    missing = [str(path) for path in paths if not Path(path).is_file()]
    if missing:
        raise ValueError(
            f"Expected the photos that were audited. Received: {len(missing)} missing, "
            f"such as {missing[:3]}. Put them back, or train and audit again."
        )
