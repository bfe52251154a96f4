"""Moves of photos are undone, where something changed since, too."""

import os

import pytest

from josrc_keras.cleaning import moves
from tests.support.photo_moves import FOREIGN, MOVED, NOISE, planned, tree, warnings_of

pytest.importorskip("pandas")


def test_undo_where_a_place_was_taken(photos, output):
    """Refused before anything moves; then, with the place free, done."""
    before = tree(photos)
    moves.move(planned(), photos, output)
    (photos / "a/same.png").write_text("another")
    now = tree(photos), tree(output)
    with pytest.raises(ValueError, match=r"1 that another photo has taken.*same\.png"):
        moves.move_back(output)
    assert (tree(photos), tree(output)) == now
    (photos / "a/same.png").unlink()
    assert moves.move_back(output) == MOVED
    assert tree(photos) == before


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_undo_where_a_link_to_the_photo_took_its_place(photos, output, link):
    """It has the photo's bytes, and to remove the photo would lose them."""
    before = tree(photos)
    moves.move(planned(), photos, output)
    link(photos / "b/same-1.png", photos / "a/same.png")
    now = tree(photos), tree(output)
    with pytest.raises(ValueError, match=r"taken since, or a link.*same\.png"):
        moves.move_back(output)
    assert (tree(photos), tree(output)) == now
    (photos / "a/same.png").unlink()
    assert moves.move_back(output) == MOVED
    assert tree(photos) == before


@pytest.mark.parametrize("mount_point", [False, True])
def test_undo_without_the_folder_of_photos(photos, output, mount_point):
    """On a disk that is not there: nothing is moved below its mount point."""
    before = tree(photos)
    moves.move(planned(), photos, output)
    away = photos.rename(photos.with_name("away"))
    if mount_point:
        photos.mkdir()
    now = tree(output)
    with pytest.raises(ValueError, match=r"photos, which does not exist or is empty"):
        moves.move_back(output)
    assert tree(output) == now
    assert mount_point == photos.exists() and not any(photos.glob("*"))
    away.replace(photos)
    assert moves.move_back(output) == MOVED
    assert tree(photos) == before


def test_undo_where_an_empty_class_folder_was_removed(photos, output):
    """Its other folders show that the photos are there."""
    moves.move(planned([("01/last.png", NOISE, "b")]), photos, output)
    (photos / "01/stays.png").unlink()
    (photos / "01").rmdir()
    assert moves.move_back(output) == 1
    assert (photos / "01/last.png").exists()


def test_every_list_of_moves_is_kept(photos, output):
    lists = []
    for name in ("a/same.png", "b/last.png"):
        moves.move(planned([(name, FOREIGN, "")]), photos, output)
        lists.append((output / "moved.csv").read_bytes())
        moves.move_back(output)
    names = "moved-back.csv", "moved-back-1.csv"
    assert tree(output) == dict(zip(names, lists, strict=True))


def test_undo_tells_what_is_lost(photos, output, monkeypatch):
    """What is not where it was moved to stays in the list, and can come back."""
    lines = warnings_of(moves, monkeypatch)
    before = tree(photos)
    moves.move(planned(), photos, output)
    lost = (output / "set_aside/a/x.png").rename(photos.parent / "lost.png")
    assert moves.move_back(output) == MOVED - 1
    assert len(lines) == 1 and lines[0].startswith("1 photos are where they were")
    assert "set_aside/a/x.png" in lines[0] and "moved.csv" in lines[0]
    assert sorted(path.name for path in output.iterdir()) == ["moved.csv"]
    (photos / "b/same-1.png").write_text("new")  # Where another one was moved to.
    assert moves.move_back(output) == 0
    assert (output / "moved.csv").exists()
    (output / "set_aside/a").mkdir(parents=True)
    lost.rename(output / "set_aside/a/x.png")
    assert moves.move_back(output) == 1
    assert tree(photos) == before | {"b/same-1.png": b"new"}
    assert sorted(path.name for path in output.iterdir()) == ["moved-back.csv"]
