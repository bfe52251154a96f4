"""Copies and moves of photos: whole, undone to the last byte, and nothing lost."""

import errno
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from josrc_keras import _files
from josrc_keras.cleaning import moves
from josrc_keras.cleaning import plan as changes

pandas = pytest.importorskip("pandas")

CLEAN, NOISE, FOREIGN = changes.ACTIONS
# Id, verdict, suggested class. "a/same.png" gets the name of one that stays in b.
ROWS = [
    ("a/keep.png", CLEAN, "b"),
    ("a/same.png", NOISE, "b"),
    ("a/deep/er/x.png", NOISE, "b"),
    ("a/deep/x.png", FOREIGN, "b"),
    ("a/x.png", FOREIGN, "a"),
    ("b/same.png", CLEAN, "b"),
    ('b/it\'s, "q"\n\r日本.png', NOISE, "01"),
    ("b/last.png", NOISE, "a"),
    ("01/last.png", NOISE, "a"),
    ("01/stays.png", CLEAN, "a"),
]
MOVED = 7


@pytest.fixture
def photos(tmp_path):
    """A folder whose files have their ids as bytes, one of them not audited."""
    folder = tmp_path / "photos"
    for name in [*(row[0] for row in ROWS), "a/notes.txt"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 3)
    return folder


@pytest.fixture
def output(tmp_path):
    return tmp_path / "run" / "audit"


def planned(rows=ROWS):
    table = pandas.DataFrame(
        [(name, name.split("/")[0], verdict, new) for name, verdict, new in rows],
        columns=["id", "given_name", "verdict", "predicted_name"],
    )
    table["label_score"] = 0.1
    return changes.plan(table)


def tree(folder):
    """Path to bytes; folders and what is not regular have None."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def contents(*folders):
    """The sorted checksums of all files in some folders."""
    found = [p for folder in folders for p in folder.rglob("*") if p.is_file()]
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in found)


def names_of(folder):
    return {name: data.decode() for name, data in tree(folder).items() if data}


def thrice(*names):
    return {place: name * 3 for place, name in names}


CLEANED = thrice(
    ("a/keep.png", "a/keep.png"),
    ("b/same.png", "b/same.png"),
    ("b/same-1.png", "a/same.png"),
    ("b/deep/er/x.png", "a/deep/er/x.png"),
    ('01/it\'s, "q"\n\r日本.png', 'b/it\'s, "q"\n\r日本.png'),
    ("a/last.png", "b/last.png"),
    ("a/last-1.png", "01/last.png"),
    ("01/stays.png", "01/stays.png"),
)
ASIDE = thrice(("a/deep/x.png", "a/deep/x.png"), ("a/x.png", "a/x.png"))


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


def check_moved(photos, output, before):
    """Every photo is where it should be, with all its bytes."""
    expected = CLEANED | thrice(("a/notes.txt", "a/notes.txt"))
    assert names_of(photos) == expected
    assert names_of(output / "set_aside") == ASIDE
    found = contents(photos, output / "set_aside")
    assert found == sorted(hashlib.sha256(data).hexdigest() for data in before if data)


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


@pytest.fixture
def other_disk(monkeypatch):
    """Every rename is across file systems."""

    def refuse(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", refuse)


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


def warnings_of(module, monkeypatch):
    """The warnings that a module logs, a list that grows."""
    lines: list = []
    monkeypatch.setattr(
        module.logging, "warning", lambda text, *values: lines.append(text % values)
    )
    return lines


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


ACTS = [moves.copy, moves.move]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", ["../x", "..", ".", "/etc", "", "b/c"])
def test_no_name_leads_out_of_the_folder(photos, output, act, name):
    """Even where the audit's own table was edited."""
    before = tree(photos)
    plan = planned()
    plan.loc[1, "new_name"] = name
    with pytest.raises(ValueError, match=r"name of a class folder.*'a/same\.png'"):
        act(plan, photos, output)
    assert tree(photos) == before
    assert not output.exists()


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    ("row", "given"),
    [
        ("../secret", ".."),
        ("/etc/passwd", "/"),
        ("a/../../secret", "a"),
        ("a", "a"),
        ("7", "a"),
        ("", ""),
        ("a/keep.png", "b"),
    ],
)
def test_no_id_leads_out_of_the_folder(photos, output, act, row, given):
    (photos.parent / "secret").write_text("mine")
    before = tree(photos.parent)
    plan = planned()
    plan.loc[0, ["id", "given_name", "action"]] = row, given, "set_aside"
    with pytest.raises(ValueError, match="Expected ids that are paths CLASS/"):
        act(plan, photos, output)
    assert tree(photos.parent) == before


@pytest.mark.parametrize("act", ACTS)
def test_photos_of_a_validation_dir_stay(photos, output, monkeypatch, act):
    """They were audited, too, by their whole paths; it says how many were left."""
    lines = warnings_of(moves, monkeypatch)
    held = photos.parent / "held"
    (held / "b").mkdir(parents=True)
    (held / "b/last.png").write_text("held")
    plan = planned([*ROWS, ("b/held.png", NOISE, "a")])
    plan.loc[len(ROWS), "id"] = f"{held}/b/last.png"
    act(plan, photos, output)
    assert tree(held) == {"b": None, "b/last.png": b"held"}
    cleaned = output / "cleaned" if act == moves.copy else photos
    assert names_of(cleaned).items() >= CLEANED.items()
    (line,) = lines
    assert line.startswith(f"1 photos of a validation_dir, outside of {photos}, ")


@pytest.mark.parametrize("act", ACTS)
def test_an_output_within_the_photos_is_refused(photos, act):
    before = tree(photos)
    with pytest.raises(ValueError, match="where it would become a class"):
        act(planned(), photos, photos / "audit")
    assert tree(photos) == before
