"""Photos that are links: they lead to the same photo."""

import os
from pathlib import Path

import pytest

from josrc_keras.cleaning import moves, relocation
from tests.support.photo_moves import (
    CLEAN,
    MOVED,
    NOISE,
    ROWS,
    planned,
    tree,
    warnings_of,
)

pytest.importorskip("pandas")


# Photo: where its link leads, and where its new place is. To one that stays, from
# another depth, to one that moves too, by way of another link, and an absolute one.
LINKS = {
    "a/x.png": ("keep.png", "audit/set_aside/a/x.png"),
    "a/deep/er/x.png": ("../../keep.png", "photos/b/deep/er/x.png"),
    "a/same.png": ("../b/last.png", "photos/b/same-1.png"),
    "01/last.png": ("../a/deep/er/x.png", "photos/a/last-1.png"),
    "a/deep/x.png": ("{photos}/01/stays.png", "audit/set_aside/a/deep/x.png"),
}


@pytest.fixture
def linked(photos):
    """The photos, of which some are symbolic links."""
    if os.name == "nt":
        pytest.skip("needs symbolic links")
    for name, (end, _) in LINKS.items():
        (photos / name).unlink()
        (photos / name).symlink_to(end.format(photos=photos))
    return photos


def check_links_are_back(photos, before):
    assert tree(photos) == before
    for name, (end, _) in LINKS.items():
        assert os.readlink(photos / name) == end.format(photos=photos)


@pytest.mark.parametrize("disks", [1, 2])
def test_links_lead_to_the_same_photo(linked, output, request, disks):
    """From their new places, also where that moves; and come back as they were."""
    if disks == 2:
        request.getfixturevalue("other_disk")
    before = tree(linked)
    moves.move(planned(), linked, output)
    folders = {"photos": linked, "audit": output}
    for name, (_, place) in LINKS.items():
        folder, _, path = place.partition("/")
        assert (folders[folder] / path).is_symlink()
        assert (folders[folder] / path).read_bytes() == before[name]
    assert moves.move_back(output) == MOVED
    check_links_are_back(linked, before)


@pytest.mark.parametrize("number", range(len(LINKS)))
def test_a_link_whose_move_was_interrupted(linked, output, monkeypatch, number):
    """Killed when the new one was there, and the old one as well."""
    before = tree(linked)
    unlink, done = Path.unlink, []

    def interrupt(path):
        if len(done) == number:
            raise KeyboardInterrupt
        done.append(path)
        unlink(path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", interrupt)
        moves.move(planned(), linked, output)
    assert moves.move_back(output) > number
    check_links_are_back(linked, before)


def test_links_in_a_list_of_before(linked, output):
    """They were moved as they are, without a note of where they lead."""
    before = tree(linked)
    (output / "set_aside/a").mkdir(parents=True)
    (linked / "a/x.png").rename(output / "set_aside/a/x.png")
    moved = f'"{linked}/a/x.png","{output}/set_aside/a/x.png"'
    (output / "moved.csv").write_text(f'"from","to"\n{moved}\n')
    assert moves.move_back(output) == 1
    check_links_are_back(linked, before)


# Links that stay: to a photo that moves, by way of a link that moves and of one that
# stays, an absolute one, one in a folder deep down, and one that was never audited.
STAY = {
    "01/stays.png": "../b/last.png",
    "a/keep.png": "x.png",
    "b/same.png": "../01/stays.png",
    "b/absolute.png": "{photos}/a/same.png",
    "01/deep/down.png": "../../b/last.png",
    "stray.lnk": "b/last.png",
}


@pytest.fixture
def kept(photos):
    """The photos, of which links lead to some that move."""
    if os.name == "nt":
        pytest.skip("needs symbolic links")
    (photos / "a/x.png").unlink()
    (photos / "a/x.png").symlink_to("same.png")
    for name, end in STAY.items():
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).unlink(missing_ok=True)
        (photos / name).symlink_to(end.format(photos=photos))
    return photos


@pytest.mark.parametrize("disks", [1, 2])
def test_a_link_that_stays_leads_to_the_photo_that_moved(kept, output, request, disks):
    """Kind: a link that leads nowhere afterwards. A relative one stays relative."""
    before = tree(kept)
    ends = {name: os.readlink(kept / name) for name in STAY}
    if disks == 2:
        request.getfixturevalue("other_disk")
    moves.move(planned(), kept, output)
    for name in STAY:
        assert (kept / name).is_symlink()
        assert (kept / name).read_bytes() == before[name], name
        assert os.path.isabs(os.readlink(kept / name)) == (name == "b/absolute.png")
    assert moves.move_back(output, kept) == MOVED
    assert tree(kept) == before
    assert {name: os.readlink(kept / name) for name in STAY} == ends


def test_links_elsewhere_are_as_they_were(kept, output):
    """None is written anew that leads over no photo that moves."""
    (kept / "b/other.png").symlink_to("../01/last.png")
    (kept / "b/nowhere.png").symlink_to("absent")
    (kept / "b/round.png").symlink_to("round.png")
    moves.move(planned([("a/same.png", NOISE, "b")]), kept, output)
    for name, end in (("other", "../01/last.png"), ("nowhere", "absent")):
        assert os.readlink(kept / f"b/{name}.png") == end
    assert os.readlink(kept / "b/round.png") == "round.png"


def test_an_undo_of_links_alone_is_stopped_and_goes_on(kept, output, monkeypatch):
    before = tree(kept)
    moves.move(planned(), kept, output)
    relink, done = relocation.relink, []

    def interrupt(path, end):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(path)
        relink(path, end)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(relocation, "relink", interrupt)
        moves.move_back(output, kept)
    assert moves.move_back(output, kept) == 0
    assert tree(kept) == before


def test_a_photo_stays_that_a_held_out_link_leads_to(photos, output, monkeypatch):
    """A `validation_dir` is left as it is, and its links must not lead nowhere."""
    lines = warnings_of(moves, monkeypatch)
    held = photos.parent / "held"
    (held / "b").mkdir(parents=True)
    (held / "b/last.png").symlink_to("../../photos/b/last.png")
    plan = planned([*ROWS, ("b/held.png", CLEAN, "b")])
    plan.loc[len(ROWS), "id"] = f"{held}/b/last.png"
    moves.move(plan, photos, output)
    assert (held / "b/last.png").read_text() == "b/last.png" * 3
    assert lines[-1].startswith("1 photos stay where they are, such as ['b/last.png']")
    assert moves.move_back(output, photos) == MOVED - 1


@pytest.mark.parametrize("disks", [1, 2])
def test_a_class_folder_that_is_a_link(photos, output, request, disks):
    """Kind: a move that can't be undone. The folder may be anywhere."""
    away = photos.parent / "away"
    (photos / "b").rename(away)
    (photos / "b").symlink_to(away)
    before = tree(photos.parent)
    if disks == 2:
        request.getfixturevalue("other_disk")
    moves.move(planned(), photos, output)
    assert (away / "same-1.png").read_text() == "a/same.png" * 3
    assert moves.move_back(output, photos) == MOVED
    after = {k: v for k, v in tree(photos.parent).items() if not k.startswith("run")}
    assert after == before
