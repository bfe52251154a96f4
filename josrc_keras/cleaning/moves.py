"""Carries out a plan of changes on a folder of photos: a cleaned copy, or moves.

No photo is ever deleted or overwritten, and what was moved can be moved back. Photos of
a `validation_dir`, whose ids are absolute paths, are left as they are.
"""

import os
import shutil
import tempfile
from pathlib import Path

from absl import logging

from josrc_keras import _checks, _files
from josrc_keras.cleaning import links, plan, relocation
from josrc_keras.cleaning.undo import ASIDE, JOURNAL, move_back

__all__ = ["JOURNAL", "copy", "move", "move_back"]


def copy(planned, photos, output):
    """Writes a cleaned copy of the photos that were audited, completely or not at all.

    What a killed copy left behind is removed.

    Args:
        planned: What `plan` returned. Its ids are paths `CLASS/...` in the folder.
        photos: The folder of photos.
        output: Folder that gets `cleaned/CLASS/...`, and for out-of-distribution photos
            `set_aside/CLASS/...`, by given class. Where two photos would have the same
            name, the one that was in that class keeps it, and others get a number.
            Photos to delete are in neither.

    Returns:
        The path of `cleaned`.

    Raises:
        ValueError: If there is such a copy, photos were moved before, a photo is
            missing, or a name leads out of the folder.
    """
    photos, output = Path(photos), Path(output)
    planned = _in_folder(planned, photos)
    _check(planned, photos, output)
    places: dict = {"cleaned": [], "set_aside": []}
    staying_first = planned.sort_values("action", key=lambda a: ~a.isin(plan.STAY))
    for row in staying_first.itertuples():
        if row.action == "delete":
            continue
        aside = row.action == "set_aside"
        name = row.given_name if aside else row.new_name
        target = Path(name, *Path(row.id).parts[1:])
        places["set_aside" if aside else "cleaned"].append((photos / row.id, target))
    _take_back(output, places)
    for part in ("copy", *places):
        _files.remove_unfinished(output, part)
    for part in places:
        _refuse_existing(output / part)
    _check_present(photos / row_id for row_id in planned["id"])
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f"{_files.PREFIX}copy-", dir=output, ignore_cleanup_errors=True
    ) as whole:
        for part, pairs in places.items():
            with _files.replacing(Path(whole, part)) as beside:
                _copy_to(beside, pairs)
        _place_all([(Path(whole, part), output / part) for part in places])
    return output / "cleaned"


def _take_back(output, places):
    """Takes back what a killed copy had placed when it was not yet complete.

    All parts are written before the first is placed, so a part that is still beside
    its place tells that the others are of the same copy.
    """
    for whole in output.glob(f"{_files.PREFIX}copy-????????"):
        waiting = [part for part in places if (whole / part).is_dir()]
        placed = [part for part in places if part not in waiting]
        for part in placed if waiting else []:
            if (output / part).is_dir():
                os.rename(output / part, whole / part)


def _copy_to(folder, pairs):
    """Copies each file to a path in a new folder."""
    folder.mkdir()
    taken: dict = {}
    for source, target in pairs:
        place = relocation.free(folder / target, taken)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, place)


def _place_all(pairs):
    """Renames folders to their places, all of them or none."""
    try:
        for written, place in pairs:
            _refuse_existing(place)
            os.rename(written, place)
    except BaseException:
        for written, place in pairs:
            if not written.exists():
                os.rename(place, written)
        raise


def move(planned, photos, output):
    """Moves photos within their folder to the class that is suggested.

    Out-of-distribution photos go to `OUTPUT/set_aside/CLASS/...`, and photos to delete
    to `OUTPUT/deleted/CLASS/...`, where a person may delete them. `OUTPUT/moved.csv`
    lists every move before the first is made. `move_back` undoes them, whether or not
    all of them were made. Symbolic links are moved as links to the same file, and links
    in the folder that stay lead to photos that moved. A photo stays, too, if a link in
    a `validation_dir` leads to it.

    Args:
        planned: What `plan` returned. Its ids are paths `CLASS/...` in the folder.
        photos: The folder of photos.
        output: Folder for photos that are set aside, and for the list.

    Returns:
        The path of the list.

    Raises:
        ValueError: If photos were moved before, a photo is missing, or a name leads out
            of the folder.
        OSError: If a photo can't be moved.
    """
    photos, output = Path(photos).resolve(), Path(output).resolve()
    needed = links.ways(Path(row) for row in planned["id"] if os.path.isabs(row))
    planned = _in_folder(planned, photos)
    _check(planned, photos, output)
    journal = output / JOURNAL
    moves = _moves(planned, photos, output, needed)
    _check_present(source for source, _ in moves)
    kept = links.kept(photos, (photos / row for row in planned["id"]), moves)
    plan.write_table(_listed(moves, kept), journal)
    ends = links.ends(moves)
    try:
        for source, target in moves:
            relocation.move(source, target, ends.get(source))
        for link, end in kept.items():
            relocation.relink(link, end)
    except OSError as error:
        raise OSError(
            f"Not all photos could be moved ({error}). Those that were are in "
            f"{journal}: --apply=undo moves them back."
        ) from error
    return journal


def _moves(planned, photos, output, needed):
    """`(from, to)` of each photo that is to move, but for those that are needed."""
    taken: dict = {}
    moves, stay = [], []
    for row in plan.acted_on(planned).itertuples():
        inner = Path(row.id).parts[1:]
        if row.action in ASIDE:
            target = output / ASIDE[row.action] / Path(row.given_name, *inner)
        else:
            target = photos / Path(row.new_name, *inner)
        if needed and links.entry(photos / row.id) in needed:
            stay.append(row.id)
        else:
            moves.append((photos / row.id, relocation.free(target, taken)))
    if stay:
        logging.warning(
            "%d photos stay where they are, such as %s: links in the validation_dir "
            "lead to them. Replace the links by copies, undo, and move again.",
            len(stay),
            stay[:3],
        )
    return moves


def _listed(moves, kept):
    """The table of moves. A link that stays, and gets another end, has two equal paths.

    `link` is where a link led before, `made` the outermost folder that was made.
    """
    rows = [
        (str(a), str(b), os.readlink(a) if a.is_symlink() else "", _first_missing(b))
        for a, b in moves
    ]
    rows += [(str(link), str(link), os.readlink(link), "") for link in kept]
    pandas = _checks.imported("pandas", "An audit is a table of pandas", "report")
    return pandas.DataFrame(rows, columns=["from", "to", "link", "made"], dtype=str)


def _first_missing(path):
    """The outermost folder that has to be made for a file, as text, or `""`."""
    missing, folder = "", path.parent
    while not folder.exists():
        missing, folder = str(folder), folder.parent
    return missing


def _in_folder(planned, photos):
    """The plan without photos of a `validation_dir`, whose ids are `/DIR/CLASS/...`."""
    paths = [Path(row_id) for row_id in planned["id"]]
    inside = [
        not (path.is_absolute() and name in path.parts[1:-1])
        for path, name in zip(paths, planned["given_name"], strict=True)
    ]
    left_out = len(planned) - sum(inside)
    if left_out:
        logging.warning(
            "%d photos of a validation_dir, outside of %s, are left as they are. "
            "--apply=csv says what is suggested for them.",
            left_out,
            photos,
        )
    return planned.loc[inside]


def _check(planned, photos, output):
    """Refuses photos that were moved before, and paths that lead to a wrong folder."""
    journal = output / JOURNAL
    if journal.exists():
        raise ValueError(
            f"Expected photos that were not moved. Received: {journal}, the list of "
            "moves that were made. Undo them with --apply=undo first, or train again "
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
