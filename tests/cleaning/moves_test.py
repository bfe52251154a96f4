"""Moves of photos: undone to the last byte, interrupted, to another disk."""

import errno
import hashlib
import os
import shutil

import pytest

from josrc_keras import _files
from josrc_keras.cleaning import moves
from tests.support.photo_moves import (
    CLEAN,
    MOVED,
    NOISE,
    UNDECIDED,
    check_moved,
    contents,
    planned,
    tree,
)

pandas = pytest.importorskip("pandas")


def test_move_and_back(photos, output):
    before = tree(photos)
    journal = moves.move(planned(), photos, output)
    assert journal == output / "moved.csv"
    check_moved(photos, output, before.values())
    assert moves.move_back(output) == MOVED
    assert tree(photos) == before
    assert [path.name for path in output.iterdir()] == ["moved-back.csv"]
    with pytest.raises(ValueError, match=r"does not exist\. `--apply=move` writes it"):
        moves.move_back(output)
    assert tree(photos) == before
    moves.move(planned(), photos, output)  # And again.
    moves.move_back(output)
    assert tree(photos) == before
    moves.copy(planned(), photos, output)  # No folder is left in its way.


@pytest.mark.parametrize("act", [moves.move, moves.copy])
def test_what_was_moved_is_not_touched_again(photos, output, act):
    """Nor is it said to move away what `undo` needs."""
    moves.move(planned(), photos, output)
    before = tree(photos), tree(output)
    with pytest.raises(ValueError, match=r"moved\.csv, .*--apply=undo first"):
        act(planned(), photos, output)
    assert (tree(photos), tree(output)) == before


def test_nothing_to_move(photos, output):
    before = tree(photos)
    moves.move(planned([("a/keep.png", CLEAN, "b")]), photos, output)
    assert moves.move_back(output) == 0
    assert tree(photos) == before


def test_move_of_missing_photos_is_refused(photos, output):
    (photos / "b/last.png").unlink()
    before = tree(photos)
    with pytest.raises(ValueError, match=r"1 missing, such as \['.*b/last\.png'\]"):
        moves.move(planned(), photos, output)
    assert tree(photos) == before
    assert not (output / "moved.csv").exists()


@pytest.mark.parametrize("number", range(MOVED))
def test_interrupted_move_is_undone(photos, output, monkeypatch, number):
    """The list is there before the first move; each photo is in one of two places."""
    before = tree(photos)
    rename, done = os.rename, []

    def interrupt(source, target):
        assert (output / "moved.csv").exists()
        if len(done) == number:
            raise KeyboardInterrupt
        done.append(source)
        return rename(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "rename", interrupt)
        moves.move(planned(), photos, output)
    assert len(done) == number
    everything = contents(photos, output / "set_aside")
    assert everything == sorted(
        hashlib.sha256(data).hexdigest() for data in before.values() if data
    )
    assert moves.move_back(output) == number
    assert tree(photos) == before


def test_move_to_another_file_system(photos, output, other_disk):
    before = tree(photos)
    moves.move(planned(), photos, output)
    check_moved(photos, output, before.values())
    assert moves.move_back(output) == MOVED
    assert tree(photos) == before


def test_a_copy_that_fails_leaves_the_original(photos, output, other_disk, monkeypatch):
    """Or that is not equal: the photo stays, and the error says how to undo."""
    before = tree(photos)
    copy2, done = shutil.copy2, []

    def truncate(source, target):
        copy2(source, target)
        done.append(target)
        if len(done) == 3:
            target.write_bytes(b"")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", truncate)
        message = r"differs from it.*--apply=undo moves them back"
        with pytest.raises(OSError, match=message):
            moves.move(planned(), photos, output)
    assert len(done) == 3
    assert moves.move_back(output) == 2
    assert tree(photos) == before


def test_killed_between_copying_and_removing(photos, output, other_disk, monkeypatch):
    """The photo is in both places, and an unfinished copy lies about: both go."""
    before = tree(photos)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(
            "pathlib.Path.unlink", lambda path: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        moves.move(planned(), photos, output)
    assert (photos / "b/same-1.png").exists() and (photos / "a/same.png").exists()
    unfinished = photos / f"b/{_files.PREFIX}same-1.png-12345678"
    unfinished.mkdir()
    (unfinished / "same-1.png").write_bytes(b"half")
    assert moves.move_back(output) == 1
    assert tree(photos) == before


def test_any_other_error_moves_no_further(photos, output, monkeypatch):
    before = tree(photos)

    def refuse(source, target):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        with pytest.raises(OSError, match=r"Permission denied.*--apply=undo moves"):
            moves.move(planned(), photos, output)
    assert moves.move_back(output) == 0
    assert tree(photos) == before


def test_a_place_that_is_taken_in_the_last_moment(photos, output, monkeypatch):
    """Nothing is written over, even by a file that came after the plan."""
    rename = os.rename

    def late(source, target):
        rename(source, target)
        (photos / "b/deep/er").mkdir(parents=True, exist_ok=True)
        (photos / "b/deep/er/x.png").write_text("new")

    monkeypatch.setattr(os, "rename", late)
    with pytest.raises(OSError, match=r"b/deep/er/x\.png has been taken"):
        moves.move(planned(), photos, output)
    assert (photos / "b/deep/er/x.png").read_text() == "new"
    assert (photos / "a/deep/er/x.png").exists()


def test_names_that_differ_in_case_only(photos, output):
    """Are one name on some disks: the second gets a number."""
    for name in ("a/Up.png", "01/up.PNG"):
        (photos / name).write_text(name)
    rows = [("a/Up.png", NOISE, "b"), ("01/up.PNG", NOISE, "b")]
    moves.move(planned([*rows, ("b/same.png", CLEAN, "b")]), photos, output)
    assert (photos / "b/Up.png").read_text() == "a/Up.png"
    assert (photos / "b/up-1.PNG").read_text() == "01/up.PNG"


@pytest.mark.parametrize("act", [moves.move, moves.copy])
def test_undecided_photos_stay_under_their_name(photos, output, act):
    """Even where a photo of that name comes into their class."""
    (photos / "b/keep.png").write_bytes(b"undecided")
    rows = [("a/keep.png", NOISE, "b"), ("b/keep.png", UNDECIDED, "a")]
    act(planned(rows), photos, output)
    cleaned = photos if act == moves.move else output / "cleaned"
    assert (cleaned / "b/keep.png").read_bytes() == b"undecided"
    assert (cleaned / "b/keep-1.png").read_bytes() == b"a/keep.png" * 3
