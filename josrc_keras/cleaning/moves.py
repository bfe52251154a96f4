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
from josrc_keras.cleaning import plan, relocation

JOURNAL = "moved.csv"


def copy(planned, photos, output):
    """Writes a cleaned copy of the photos that were audited, completely or not at all.

    What a killed copy left behind is removed.

    Args:
        planned: What `plan` returned. Its ids are paths `CLASS/...` in the folder.
        photos: The folder of photos.
        output: Folder that gets `cleaned/CLASS/...`, and for out-of-distribution photos
            `set_aside/CLASS/...`, by given class. Where two photos would have the same
            name, the one that was in that class keeps it, and others get a number.

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
    for row in planned.sort_values("action", key=lambda a: a != "keep").itertuples():
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
    for source, target in pairs:
        place = relocation.free(folder / target)
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

    Out-of-distribution photos go to `OUTPUT/set_aside/CLASS/...`. `OUTPUT/moved.csv`
    lists every move before the first is made. `move_back` undoes them, whether or not
    all of them were made. Symbolic links are moved as links to the same file.

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
    planned = _in_folder(planned, photos)
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
        moves.append((photos / row.id, relocation.free(target, taken)))
    _check_present(source for source, _ in moves)
    links = [os.readlink(a) if a.is_symlink() else "" for a, _ in moves]
    made = [_first_missing(b.parent) for _, b in moves]
    rows = [
        (str(a), str(b), c, d) for (a, b), c, d in zip(moves, links, made, strict=True)
    ]
    pandas = _checks.imported("pandas", "An audit is a table of pandas", "report")
    table = pandas.DataFrame(rows, columns=["from", "to", "link", "made"])
    plan.write_table(table, journal)
    ends = _ends(moves)
    try:
        for source, target in moves:
            relocation.move(source, target, ends.get(source))
    except OSError as error:
        raise OSError(
            f"Not all photos could be moved ({error}). Those that were are in "
            f"{journal}: --apply=undo moves them back."
        ) from error
    return journal


def _first_missing(folder):
    """The outermost folder that has to be made for this one, as text, or `""`."""
    missing = ""
    while not folder.exists():
        missing, folder = str(folder), folder.parent
    return missing


def _ends(moves):
    """The file that each link is to lead to, in the place that it is moved to."""
    moved = {os.path.realpath(a): str(b) for a, b in moves if not a.is_symlink()}
    ends = {a: os.path.realpath(a) for a, _ in moves if a.is_symlink()}
    return {a: moved.get(end, end) for a, end in ends.items()}


def move_back(output, photos=None):
    """Moves every photo in `OUTPUT/moved.csv` back.

    The list is then renamed to `moved-back.csv`, with a number if that exists. Photos
    that are no longer where they were moved to stay in the list. Put them there, and
    call `move_back` again.

    Args:
        output: Folder of the list.
        photos: The folder of photos, out of which and into which nothing else is moved,
            whatever the list says; None takes the list's word.

    Returns:
        The number of photos that were moved back.

    Raises:
        ValueError: If there is no list, the folder of photos is gone, or another photo
            has taken a place.
    """
    journal = Path(output) / JOURNAL
    if not journal.exists():
        raise ValueError(
            f"Expected a list of moves to undo. Received: {journal}, which does not "
            "exist. `--apply=move` writes it."
        )
    pandas = _checks.imported("pandas", "An audit is a table of pandas", "report")
    table = pandas.read_csv(journal, dtype=str, keep_default_na=False)
    links = table.get("link", [""] * len(table))  # Older lists lack this column.
    moves = [
        (Path(a), Path(b), c)
        for a, b, c in zip(table["from"], table["to"], links, strict=True)
    ]
    _check_folder([before for before, *_ in moves])
    if photos is not None:
        _check_inside(moves, Path(photos), Path(output))
    moved = [each for each in moves if os.path.lexists(each[1])]
    taken = [str(a) for a, b, c in moved if os.path.lexists(a) and not _twice(a, b, c)]
    if taken:
        raise ValueError(
            f"Expected the places of moved photos to be free. Received: {len(taken)} "
            "that another photo has taken since, or a link, such as "
            f"{taken[:3]}. Move it away, and undo again. Nothing was moved."
        )
    for before, now, link in moved:
        if os.path.lexists(before):
            now.unlink()
        else:
            relocation.move(now, before, link if link and now.is_symlink() else None)
    made = table.get("made", [None] * len(table))  # Older lists lack it, too.
    for (_, now, _), first in zip(moves, made, strict=True):
        _files.remove_unfinished(now.parent, now.name)
        if first != "":
            relocation.remove_empty(now.parent, first)
    lost = [not os.path.lexists(before) for before, *_ in moves]
    if any(lost):
        plan.write_table(table[lost], journal)
        logging.warning(
            "%d photos are where they were moved to no longer, such as %s. Put them "
            "there and undo again, or delete %s, which lists them, if they are gone.",
            sum(lost),
            list(table["to"][lost][:3]),
            journal,
        )
    else:
        os.replace(journal, relocation.free(journal.with_name("moved-back.csv")))
    return len(moved)


def _check_inside(moves, photos, output):
    """Refuses a list that would move anything but photos of this audit."""
    photos, aside = photos.resolve(), output.resolve() / "set_aside"
    for before, now, _ in moves:
        source, target = now.parent.resolve(), before.parent.resolve()
        known = source.is_relative_to(photos) or source.is_relative_to(aside)
        if not known or not target.is_relative_to(photos):
            raise ValueError(
                f"Expected a list of photos of {photos} and of {aside}. Received: "
                f"{output / JOURNAL}, by which {now} would be moved to {before}. The "
                "list was not written by this audit, or the photos were moved since. "
                "Nothing was moved."
            )


def _check_folder(places):
    """Refuses places whose folder of photos is gone, such as a disconnected disk's."""
    if not places:
        return
    # This is the folder of the class folders, or a class folder if all lay deeper.
    folder = min(places, key=lambda place: len(place.parts)).parents[1]
    if not folder.is_dir() or not any(folder.iterdir()):
        raise ValueError(
            "Expected the folder of photos that they are moved back to. Received: "
            f"{folder}, which does not exist or is empty. Connect the disk that it is "
            f"on, or make {places[0].parent} if you removed it, and undo again. "
            "Nothing was moved."
        )


def _twice(before, now, link):
    """Whether a photo is in both places, since a move was stopped half-way."""
    if link:
        return before.is_symlink() and now.is_symlink() and os.readlink(before) == link
    if before.is_symlink() or not relocation.equal(before, now):
        return False
    return not before.samefile(now)


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
