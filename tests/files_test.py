"""Files that are whole or absent."""

import csv
import errno
import json
import os
import stat

import pytest

from josrc_keras import _files


def test_replaces_a_file(tmp_path):
    path = tmp_path / "new" / "a.txt"
    _files.write_text(path, "first")
    _files.write_text(path, "zweite Fassung: ä")
    assert path.read_text(encoding="utf-8") == "zweite Fassung: ä"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_what_was_there(tmp_path):
    """Half a file is never seen under the name, nor left beside it."""
    path = tmp_path / "a.txt"
    path.write_text("whole")
    with pytest.raises(RuntimeError, match="stop"), _files.replacing(path) as beside:
        beside.write_text("ha")
        assert path.read_text() == "whole"
        raise RuntimeError("stop")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_nothing_where_nothing_was(tmp_path):
    with pytest.raises(KeyboardInterrupt), _files.replacing(tmp_path / "a") as beside:
        beside.mkdir()
        (beside / "part").write_text("ha")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_replaces_a_folder_whole(tmp_path):
    """No file of the old folder is left in the new one."""
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("old")
    with _files.replacing(path) as beside:
        beside.mkdir()
        (beside / "new").write_text("new")
        assert (path / "old").exists()
    assert [entry.name for entry in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_written_keeps_the_old_folder(tmp_path):
    """A writer that wrote nothing is an error, and the old folder stays."""
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("old")
    with pytest.raises(FileNotFoundError), _files.replacing(path):
        pass
    assert (path / "old").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_a_file_system_that_flushes_no_folders(code, tmp_path, monkeypatch):
    """It is told that by an error, which is no other: a disk that fails has its own."""
    fsync = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, "refused")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    if code == errno.EIO:
        with pytest.raises(OSError, match="refused"):
            _files.write_text(tmp_path / "file", "text")
        return
    _files.write_text(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


def test_json_round_trip(tmp_path):
    value = {"a": [1, 2.5, None], "b": {"c": "d"}}
    _files.write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == value
    assert text.endswith("}\n")


def test_csv_keeps_every_column_and_digit(tmp_path):
    """Columns in order of appearance; an absent value is an empty cell."""
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 0.25, "new": 1e-12}]
    _files.write_csv(tmp_path / "a.csv", rows)
    with open(tmp_path / "a.csv", newline="") as file:
        assert file.readline() == "epoch,loss,new\n"
        file.seek(0)
        read = list(csv.DictReader(file))
    assert read[0]["new"] == ""
    assert float(read[0]["loss"]) == 0.1 + 0.2
    assert float(read[1]["new"]) == 1e-12


LEFT = {
    ".josrc-unfinished-model.onnx-abcd_123": "model.onnx",
    ".josrc-unfinished-model.onnx-zzzzzzzz": "model.onnx",
    ".josrc-unfinished-model.onnx.json-abcd_123": "model.onnx.json",
    ".josrc-unfinished-model.keras-abcd_123": "model.keras",
    ".josrc-unfinished-my-model.onnx-abcd_123": "my-model.onnx",
}
MINE = {"model.onnx", "model.onnx-abcd_123", ".josrc-unfinished-notes", "notes"}


@pytest.fixture
def unfinished(tmp_path):
    """A folder with what killed processes left of several files, and other folders."""
    for name in (*LEFT, *MINE):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").write_text("ha")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.onnx.json", "model.keras", "my-model.onnx", "model"]
)
def test_removes_what_is_unfinished_of_a_name(name, unfinished):
    """Of that file alone; files that are finished stay, whatever their name."""
    _files.remove_unfinished(unfinished, name)
    left = {path.name for path in unfinished.iterdir()}
    assert left == MINE | {entry for entry, of in LEFT.items() if of != name}


def test_removes_all_that_is_unfinished(unfinished):
    _files.remove_unfinished(unfinished)
    assert {path.name for path in unfinished.iterdir()} == MINE
    _files.remove_unfinished(unfinished / "absent", "model.onnx")  # Nothing to do.


@pytest.mark.parametrize("name", ["model[1].onnx", "model*"])
def test_a_name_is_no_pattern(name, unfinished):
    own = unfinished / f".josrc-unfinished-{name}-abcd_123"
    own.mkdir()
    _files.remove_unfinished(unfinished, name)
    assert {path.name for path in unfinished.iterdir()} == MINE | set(LEFT)


def test_what_it_removes_is_what_replacing_leaves(tmp_path):
    """A process that is killed in the middle: here one whose cleaning fails."""
    path = tmp_path / "model.onnx"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(_files.shutil, "rmtree", lambda *arguments, **more: None)
        with _files.replacing(path) as beside:
            beside.write_text("ha")
            raise RuntimeError("killed")
    (left,) = tmp_path.iterdir()
    assert (left / "model.onnx").read_text() == "ha"
    _files.remove_unfinished(tmp_path, "other.onnx")
    assert list(tmp_path.iterdir()) == [left]
    _files.remove_unfinished(tmp_path, "model.onnx")
    assert list(tmp_path.iterdir()) == []


def write_folder(beside):
    beside.mkdir()
    (beside / "inside").write_text("new")


def write_file(beside):
    beside.write_text("new")


def test_replaces_a_file_by_a_folder_and_back(tmp_path):
    path = tmp_path / "model"
    path.write_text("old")
    with _files.replacing(path) as beside:
        write_folder(beside)
        assert path.read_text() == "old"
    assert [p.read_text() for p in path.iterdir()] == ["new"]
    with _files.replacing(path) as beside:
        write_file(beside)
        assert path.is_dir()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("old", [write_file, write_folder])
@pytest.mark.parametrize("new", [write_file, write_folder])
@pytest.mark.parametrize("fails", ["writing", "renaming"])
def test_an_error_keeps_the_old_one(old, new, fails, tmp_path, monkeypatch):
    """File or folder, whichever was to come: in writing, and in the last renaming."""
    path = tmp_path / "model"
    old(path)
    before = {p.relative_to(tmp_path): p.is_dir() for p in tmp_path.rglob("*")}
    replace = _files.os.replace

    def refuse(source, target):
        if target == path and source.name == path.name:
            raise PermissionError("not here")
        replace(source, target)

    if fails == "renaming":
        monkeypatch.setattr(_files.os, "replace", refuse)
        monkeypatch.setattr(_files, "_exchange", lambda *paths: False)
    error = {"writing": RuntimeError, "renaming": PermissionError}[fails]
    with pytest.raises(error), _files.replacing(path) as beside:
        new(beside)
        if fails == "writing":
            raise RuntimeError("stop")
    after = {p.relative_to(tmp_path): p.is_dir() for p in tmp_path.rglob("*")}
    assert after == before


LONG = "n" * 255, "é" * 127, "é" * 100 + "n" * 50


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("write", [write_file, write_folder])
def test_a_name_without_room_for_what_is_written_beside(name, write, tmp_path):
    """Kind: a name that is too long only while it is written."""
    for _ in range(2):
        with _files.replacing(tmp_path / name) as beside:
            write(beside)
            (unfinished,) = (p for p in tmp_path.iterdir() if p.name != name)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    unfinished.mkdir()
    _files.remove_unfinished(tmp_path, name[:-1])
    assert unfinished.exists()
    _files.remove_unfinished(tmp_path, {name, "other"})
    assert not unfinished.exists()


def test_a_folder_of_a_long_name_is_put_back(tmp_path):
    """It is known by what is beside the old one, since the name was shortened."""
    name = LONG[0]
    with _files.replacing(tmp_path / name) as beside:
        write_folder(beside)
        left = beside.parent.with_name(beside.parent.name[:-8] + "12345678")
    left.mkdir()
    write_folder(left / name)
    (tmp_path / name).rename(left / "replaced")
    _files.remove_unfinished(tmp_path, name)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "inside").read_text() == "new"
