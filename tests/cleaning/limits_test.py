"""Kinds: what a kill leaves of a copy, and what an undo may touch."""

import os

import pytest

from josrc_keras.cleaning import moves, plan

pandas = pytest.importorskip("pandas")

CLEAN, NOISE, OUTSIDE = plan.ACTIONS
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
