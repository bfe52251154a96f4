"""Undoes moves of photos by the list that was written before them."""

import os
from pathlib import Path

from absl import logging

from josrc_keras import _checks, _files
from josrc_keras.cleaning import plan, relocation

JOURNAL = "moved.csv"
ASIDE = {"set_aside": "set_aside", "delete": "deleted"}  # Folders, by action.


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
    table = plan.with_texts(table, _files.value_of)
    links = table.get("link", [""] * len(table))  # Older lists lack this column.
    moves = [
        (Path(a), Path(b), c)
        for a, b, c in zip(table["from"], table["to"], links, strict=True)
    ]
    _check_folder([before for before, now, _ in moves if before != now])
    if photos is not None:
        _check_inside(moves, Path(photos), Path(output))
    relinked = [each for each in moves if each[0] == each[1]]
    moved = [each for each in moves if each[0] != each[1] and os.path.lexists(each[1])]
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
    for link, _, end in relinked:
        if link.is_symlink() and os.readlink(link) != end:
            relocation.relink(link, end)
    made = table.get("made", [None] * len(table))  # Older lists lack it, too.
    _remove_left(moves, made)
    lost = [a != b and not os.path.lexists(a) for a, b, _ in moves]
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


def _remove_left(moves, made):
    """Removes what a killed move or undo was copying, and folders that moves made."""
    names: dict = {}
    for path in (path for before, now, _ in moves for path in (before, now)):
        names.setdefault(path.parent, set()).add(path.name)
    for folder, inside in names.items():
        _files.remove_unfinished(folder, inside)
    ends = {
        (now.parent, first)
        for (_, now, _), first in zip(moves, made, strict=True)
        if first != ""
    }
    for folder, first in ends:
        relocation.remove_empty(folder, first)


def _check_inside(moves, photos, output):
    """Refuses a list that would move anything but photos of this audit.

    A class folder may be a link to a folder elsewhere, so paths are taken as they are.
    """
    photos = photos.resolve()
    aside = [output.resolve() / name for name in ASIDE.values()]
    for before, now, _ in moves:
        plain = ".." not in (*before.parts, *now.parts)
        known = any(now.is_relative_to(each) for each in (photos, *aside))
        if not plain or not known or not before.is_relative_to(photos):
            raise ValueError(
                f"Expected a list of photos of {photos} and of {aside[0]}. Received: "
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
