"""Kinds: what a kill leaves, what an undo may touch, and names without room."""

import os
import shutil

import pytest

from josrc_keras.cleaning import moves, plan, relocation

pandas = pytest.importorskip("pandas")

CLEAN, NOISE, OUTSIDE, _ = plan.ACTIONS
ROWS = [("a/1.png", CLEAN, "a"), ("a/2.png", NOISE, "b"), ("b/3.png", OUTSIDE, "b")]
ROWS += [("b/4.png", CLEAN, "b")]


@pytest.fixture
def photos(tmp_path):
    for name, *_ in ROWS:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "photos"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "audit"


def planned(rows=ROWS):
    table = pandas.DataFrame(
        [(name, name.split("/")[0], verdict, new) for name, verdict, new in rows],
        columns=["id", "given_name", "verdict", "predicted_name"],
    )
    table["label_score"] = 0.1
    return plan.plan(table)


def files(folder):
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def folders(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_dir()}


@pytest.mark.parametrize("renames", [0, 1])
def test_a_copy_that_was_killed_between_its_parts_is_made_again(
    photos, output, monkeypatch, renames
):
    """`cleaned` alone is no copy, and does not stop the next one."""
    rename, done = os.rename, []

    def killed(source, target):
        if "copy-" in str(source) and len(done) == renames:
            os._exit(9)
        done.append(target)
        rename(source, target)

    child = os.fork()
    if not child:
        monkeypatch.setattr(os, "rename", killed)
        moves.copy(planned(), photos, output)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (output / "cleaned").exists() == bool(renames)
    moves.copy(planned(), photos, output)
    assert files(output) == {
        "cleaned/a/1.png": "a/1.png",
        "cleaned/b/2.png": "a/2.png",
        "cleaned/b/4.png": "b/4.png",
        "set_aside/b/3.png": "b/3.png",
    }


@pytest.mark.parametrize("column", ["from", "to"])
def test_a_forged_list_moves_nothing(photos, output, tmp_path, column):
    """Neither out of the folders of the audit nor into another one."""
    moves.move(planned(), photos, output)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("secret")
    journal = output / moves.JOURNAL
    table = pandas.read_csv(journal, dtype=str, keep_default_na=False)
    place = "secret" if column == "to" else "new"
    table.loc[0, column] = f"{photos}/a/../../elsewhere/{place}"
    table.to_csv(journal, index=False)
    before = files(tmp_path)
    with pytest.raises(ValueError, match=r"not written by this audit.*Nothing was mov"):
        moves.move_back(output, photos)
    assert files(tmp_path) == before


def test_an_empty_class_folder_outlives_an_undo(photos, output):
    (photos / "c").mkdir()
    before = files(photos), folders(photos)
    rows = [*ROWS[:1], ("a/2.png", NOISE, "c"), ("b/3.png", NOISE, "new")]
    moves.move(planned(rows), photos, output)
    assert files(photos)["c/2.png"] == "a/2.png" and (photos / "new").is_dir()
    assert moves.move_back(output, photos) == 2
    assert (files(photos), folders(photos)) == before


LONG = "x" * 250 + ".png"  # This name has 254 bytes.
ACCENTS = "é" * 125 + ".png"  # This one too, in two bytes each.


@pytest.mark.parametrize("name", [LONG, ACCENTS])
@pytest.mark.parametrize(
    ("act", "disks"), [(moves.move, 1), (moves.move, 2), (moves.copy, 1)]
)
def test_a_name_with_no_room_for_a_number(photos, output, request, act, disks, name):
    """Kind: a name that is too long, with a number or beside its place."""
    for part in ("a", "b"):
        (photos / part / name).write_text(part)
    before = files(photos)
    if disks == 2:
        request.getfixturevalue("other_disk")
    rows = [
        (f"a/{name}", NOISE, "b"),
        (f"b/{name}", CLEAN, "b"),
        ("b/3.png", NOISE, "a"),
    ]
    act(planned(rows), photos, output)
    folder = photos if act == moves.move else output / "cleaned"
    (new,) = (each for each in files(folder) if each.endswith("-1.png"))
    assert files(folder)[new] == "a" and len(os.fsencode(new[2:])) in (254, 255)
    assert new[2:-6] == name[: len(new) - 8]
    if act == moves.move:
        assert moves.move_back(output, photos) == 2
        assert files(photos) == before


def test_many_photos_of_one_name_get_numbers_at_once(tmp_path, monkeypatch):
    """Kind: work that grows with the square of the number of photos."""
    asked = []
    monkeypatch.setattr(os.path, "lexists", lambda path: asked.append(path) or False)
    taken: dict = {}
    places = [relocation.free(tmp_path / "0001.png", taken) for _ in range(2000)]
    assert len(set(places)) == 2000 and len(asked) < 4001
    assert places[-1].name == "0001-1999.png"


def test_a_number_that_was_given_away_is_no_other_photo_s(tmp_path):
    taken: dict = {}
    names = ["x.png", "x-1.png", "X.png", "x.png", "x-1.png", "cafe\u0301", "caf\u00e9"]
    places = [relocation.free(tmp_path / name, taken).name for name in names]
    assert places[:3] == ["x.png", "x-1.png", "X-2.png"]
    assert places[3:] == ["x-3.png", "x-1-1.png", "cafe\u0301", "caf\u00e9-1"]


def test_an_undo_looks_into_each_folder_a_few_times(photos, output, monkeypatch):
    """Kind: work that grows with the square, in a folder with many photos."""
    rows = [(f"a/{number}.jpg", OUTSIDE, "a") for number in range(40)]
    for name, *_ in rows:
        (photos / name).write_text(name)
    moves.move(planned(rows), photos, output)
    scans: list = []
    scandir, listdir = os.scandir, os.listdir
    monkeypatch.setattr(os, "scandir", lambda path: scans.append(path) or scandir(path))
    monkeypatch.setattr(os, "listdir", lambda path: scans.append(path) or listdir(path))
    assert moves.move_back(output, photos) == 40
    assert len(scans) < 20


@pytest.mark.parametrize("act", ["move", "undo"])
def test_no_copy_is_left_among_the_photos(photos, output, other_disk, monkeypatch, act):
    """Kind: what a kill between two file systems leaves, wherever it was copying."""
    before = files(photos)
    if act == "undo":
        moves.move(planned(), photos, output)
    child = os.fork()
    if not child:
        monkeypatch.setattr(shutil, "copy2", lambda *paths: os._exit(9))
        moves.move(planned(), photos, output) if act == "move" else moves.move_back(
            output
        )
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    left = [*photos.rglob(".josrc-*"), *output.rglob(".josrc-*")]
    assert len(left) == 1
    moves.move_back(output, photos)
    assert files(photos) == before
    assert not [*photos.rglob(".josrc-*"), *output.rglob(".josrc-*")]


@pytest.mark.parametrize("folders", [1, 2, 3])
def test_folders_that_a_killed_move_made_in_part_are_removed(
    photos, output, monkeypatch, folders
):
    """Kind: an empty folder that is left over, since the one within was not made."""
    before = sorted(photos.rglob("*"))
    mkdir, made = os.mkdir, []

    def interrupt(path, *mode, **options):
        mkdir(path, *mode, **options)
        made.append(path)
        if len(made) == folders:
            raise KeyboardInterrupt

    rows = [("b/3.png", OUTSIDE, "b"), ("a/2.png", NOISE, "new")]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(
            plan, "write_table", written_first(plan.write_table, patch, interrupt)
        )
        moves.move(planned(rows), photos, output)
    moves.move_back(output, photos)
    assert sorted(photos.rglob("*")) == before
    assert [path.name for path in output.iterdir()] == ["moved-back.csv"]


def written_first(write_table, patch, interrupt):
    """Writes the list of moves; folders that are made later are interrupted."""

    def write(table, path):
        write_table(table, path)
        patch.setattr(os, "mkdir", interrupt)

    return write
