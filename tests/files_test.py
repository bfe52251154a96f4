"""Files that are whole or absent."""

import csv
import json

import pytest

from josrc_keras import files


def test_replaces_a_file(tmp_path):
    path = tmp_path / "new" / "a.txt"
    files.write_text(path, "first")
    files.write_text(path, "zweite Fassung: ä")
    assert path.read_text(encoding="utf-8") == "zweite Fassung: ä"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_what_was_there(tmp_path):
    """Half a file is never seen under the name, nor left beside it."""
    path = tmp_path / "a.txt"
    path.write_text("whole")
    with pytest.raises(RuntimeError, match="stop"), files.replacing(path) as beside:
        beside.write_text("ha")
        assert path.read_text() == "whole"
        raise RuntimeError("stop")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_nothing_where_nothing_was(tmp_path):
    with pytest.raises(KeyboardInterrupt), files.replacing(tmp_path / "a") as beside:
        beside.mkdir()
        (beside / "part").write_text("ha")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_replaces_a_folder_whole(tmp_path):
    """No file of the old folder is left in the new one."""
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("old")
    with files.replacing(path) as beside:
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
    with pytest.raises(FileNotFoundError), files.replacing(path):
        pass
    assert (path / "old").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_round_trip(tmp_path):
    value = {"a": [1, 2.5, None], "b": {"c": "d"}}
    files.write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == value
    assert text.endswith("}\n")


def test_csv_keeps_every_column_and_digit(tmp_path):
    """Columns in order of appearance; an absent value is an empty cell."""
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 0.25, "new": 1e-12}]
    files.write_csv(tmp_path / "a.csv", rows)
    with open(tmp_path / "a.csv", newline="") as file:
        assert file.readline() == "epoch,loss,new\n"
        file.seek(0)
        read = list(csv.DictReader(file))
    assert read[0]["new"] == ""
    assert float(read[0]["loss"]) == 0.1 + 0.2
    assert float(read[1]["new"]) == 1e-12
