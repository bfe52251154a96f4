"""Copies of photos by a plan: whole or absent."""

import errno
import os
import shutil

import pytest

from josrc_keras import _files
from josrc_keras.cleaning import moves
from tests.support.photo_moves import (
    ASIDE,
    CLEANED,
    ROWS,
    names_of,
    planned,
    tree,
)

pytest.importorskip("pandas")


def test_copy(photos, output):
    """What was in a class keeps its name; the originals are as they were."""
    before = tree(photos)
    os.utime(photos / "a/keep.png", (1, 2))
    assert moves.copy(planned(), photos, output) == output / "cleaned"
    assert names_of(output / "cleaned") == CLEANED
    assert names_of(output / "set_aside") == ASIDE
    assert sorted(p.name for p in output.iterdir()) == ["cleaned", "set_aside"]
    assert (output / "cleaned/a/keep.png").stat().st_mtime == 2
    assert tree(photos) == before


@pytest.mark.parametrize("part", ["cleaned", "set_aside"])
def test_copy_refuses_what_exists(photos, output, part):
    (output / part).mkdir(parents=True)
    (output / part / "mine").write_text("mine")
    with pytest.raises(ValueError, match=rf"no file or folder at .*{part}\. Received"):
        moves.copy(planned(), photos, output)
    assert tree(output) == {part: None, f"{part}/mine": b"mine"}


def test_copy_of_missing_photos_is_refused(photos, output):
    (photos / "a/keep.png").unlink()
    with pytest.raises(ValueError, match=r"1 missing, such as \['.*a/keep\.png'\]"):
        moves.copy(planned(), photos, output)
    assert not output.exists()


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_copy_that_fails_leaves_nothing(photos, output, monkeypatch, number):
    """Whichever photo is the first that the disk does not take."""
    before = tree(photos)
    copy2, done = shutil.copy2, []

    def fail(source, target):
        if len(done) == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(source)
        return copy2(source, target)

    monkeypatch.setattr(shutil, "copy2", fail)
    with pytest.raises(OSError, match="No space left"):
        moves.copy(planned(), photos, output)
    assert tree(output) == {}
    assert tree(photos) == before


@pytest.mark.parametrize("part", ["cleaned", "set_aside"])
@pytest.mark.parametrize("error", [OSError("No space left"), KeyboardInterrupt()])
def test_copy_that_gets_no_name_leaves_nothing(
    photos, output, monkeypatch, part, error
):
    """Neither of the two folders without the other; the next try succeeds."""

    def fail(function):
        def renamed(source, target):
            if target == output / part:
                raise error
            return function(source, target)

        return renamed

    with monkeypatch.context() as patch, pytest.raises(type(error)):
        for name in ("rename", "replace"):
            patch.setattr(os, name, fail(getattr(os, name)))
        moves.copy(planned(), photos, output)
    assert tree(output) == {}
    moves.copy(planned(), photos, output)
    assert names_of(output / "cleaned") == CLEANED


def test_what_a_killed_copy_left_is_removed(photos, output):
    """Of this version and of before; nothing else."""
    others = [f"{_files.PREFIX}audit.csv-12345678", "mine"]
    for name in ("copy", "cleaned", "set_aside"):
        half = output / f"{_files.PREFIX}{name}-12345678"
        (half / "cleaned/a").mkdir(parents=True)
        (half / "cleaned/a/keep.png").write_bytes(b"half")
    for name in others:
        (output / name).mkdir()
    moves.copy(planned(), photos, output)
    left = sorted(path.name for path in output.iterdir())
    assert left == sorted(["cleaned", "set_aside", *others])
