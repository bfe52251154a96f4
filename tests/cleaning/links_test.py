"""Photos that are links: they lead to the same photo."""

import os
from pathlib import Path

import pytest

from josrc_keras.cleaning import moves
from tests.support.photo_moves import MOVED, planned, tree

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
