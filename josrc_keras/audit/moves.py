"""Carries out a plan of changes on a folder of photos: a cleaned copy, or moves.

No photo is ever deleted or overwritten, and what was moved can be moved back.
"""

import contextlib
import errno
import filecmp
import os
import shutil
from pathlib import Path

from absl import logging

from josrc_keras import files, guards
from josrc_keras.audit import changes

JOURNAL = "moved.csv"


def copy(planned, photos, output):
    """Writes a cleaned copy of the photos that were audited, whole or not at all.

    Args:
        planned: What `plan` returned; its ids are paths `CLASS/...` in the folder.
        photos: The folder.
        output: Gets `cleaned/CLASS/...`, and `set_aside/CLASS/...` for what belongs
            to no class, by given class. Where two photos would have the same name
            there, the one that was in that class keeps it; others get a number.

    Returns:
        The path of `cleaned`.

    Raises:
        ValueError: If there is such a copy, photos were moved before, one is missing,
            or a name leads out of the folder.
    """
    photos, output = Path(photos), Path(output)
    _check(planned, photos, output)
    places: dict = {"cleaned": [], "set_aside": []}
    for row in planned.sort_values("action", key=lambda a: a != "keep").itertuples():
        aside = row.action == "set_aside"
        name = row.given_name if aside else row.new_name
        target = Path(name, *Path(row.id).parts[1:])
        places["set_aside" if aside else "cleaned"].append((photos / row.id, target))
    for part in places:
        _refuse_existing(output / part)
    _check_present(photos / row_id for row_id in planned["id"])
    with contextlib.ExitStack() as whole:  # Both get their names once both are written.
        for part, pairs in places.items():
            beside = whole.enter_context(files.replacing(output / part))
            beside.mkdir()
            for source, target in pairs:
                place = _free(beside / target)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, place)
    return output / "cleaned"


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
        ValueError: If photos were moved before, one is missing, or a name leads out of
            the folder.
        OSError: If a photo can't be moved.
    """
    photos, output = Path(photos).resolve(), Path(output).resolve()
    _check(planned, photos, output)
    journal = output / JOURNAL
    taken: set = set()
    moves = []
    for row in planned[planned["action"] != "keep"].itertuples():
        inner = Path(row.id).parts[1:]
        if row.action == "set_aside":
            target = output / "set_aside" / Path(row.given_name, *inner)
        else:
            target = photos / Path(row.new_name, *inner)
        moves.append((str(photos / row.id), str(_free(target, taken))))
    _check_present(source for source, _ in moves)
    pandas = guards.imported("pandas", "An audit is a table of pandas", "report")
    changes.write_table(pandas.DataFrame(moves, columns=["from", "to"]), journal)
    try:
        for source, target in moves:
            _move(Path(source), Path(target))
    except OSError as error:
        raise OSError(
            f"Not all photos could be moved ({error}). Those that were are in "
            f"{journal}: --apply=undo moves them back."
        ) from error
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
    moves = [
        (Path(a), Path(b)) for a, b in zip(table["from"], table["to"], strict=True)
    ]
    moved = [(before, now) for before, now in moves if os.path.lexists(now)]
    taken = [str(a) for a, b in moved if os.path.lexists(a) and not _equal(a, b)]
    if taken:
        raise ValueError(
            f"Expected the places of moved photos to be free. Received: {len(taken)} "
            f"that another photo has taken since, such as {taken[:3]}. Move it away, "
            "and undo again. Nothing was moved."
        )
    for before, now in moved:
        if os.path.lexists(before):  # Stopped between copying it and removing it.
            now.unlink()
        else:
            _move(now, before)
    for _, now in moves:
        files.remove_unfinished(now.parent, now.name)
        _remove_empty(now.parent)
    lost = [str(now) for before, now in moves if not os.path.lexists(before)]
    if lost:
        logging.warning(
            "%d photos are where they were moved to no longer, such as %s.",
            len(lost),
            lost[:3],
        )
    os.replace(journal, journal.with_name("moved-back.csv"))
    return len(moved)


def _move(source, target):
    """Moves a file to a free place; across file systems by a copy that is compared."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        raise OSError(f"{target} has been taken.")
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with files.replacing(target) as beside:
            shutil.copy2(source, beside)
            if not _equal(source, beside):
                raise OSError(f"The copy of {source} differs from it.") from None
        source.unlink()


def _equal(path, other):
    return (
        path.is_file() and other.is_file() and filecmp.cmp(path, other, shallow=False)
    )


def _remove_empty(folder):
    """Removes a folder and those that it lies in, as far as they are empty."""
    while folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _free(path, taken=None):
    """The path, or where it is taken one with a number before its suffix.

    `taken`, a set, gets it: in lower case, since some file systems know no other.
    """
    taken = set() if taken is None else taken
    number, place = 1, path
    while os.path.lexists(place) or str(place).casefold() in taken:
        place = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    taken.add(str(place).casefold())
    return place


def _check(planned, photos, output):
    """Refuses moved photos, and what would write into a wrong folder."""
    journal = output / JOURNAL
    if journal.exists():
        raise ValueError(
            f"Expected photos that were not moved. Received: {journal}, the list of "
            "moves that were made. Undo them with --apply=undo first; or train again "
            "in a new folder, which audits the photos as they are now."
        )
    if output.resolve().is_relative_to(photos.resolve()):
        raise ValueError(
            "Expected an output outside of the photos, where it would become a class. "
            f"Received: {output} in {photos}. Choose another --output."
        )
    for row in planned.itertuples():
        first, *rest = Path(row.id).parts or ("",)
        inside = first == row.given_name and rest and ".." not in (first, *rest)
        if not inside or Path(row.id).is_absolute():
            raise ValueError(
                f"Expected ids that are paths CLASS/... of photos. Received: {row.id!r}"
                f" of the class {row.given_name!r}. Audit again, for a table of photos."
            )
        name = row.new_name
        plain = name not in ("", "..") and Path(name).name == name
        if row.action == "relabel" and not plain:
            raise ValueError(
                f"Expected the name of a class folder. Received: {name!r} for "
                f"{row.id!r}. Use a name without a path."
            )


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
