"""Kind: a name that a spreadsheet runs as a formula when it opens a CSV file."""

import csv
import itertools

import pytest

from josrc_keras import _files
from josrc_keras.cleaning import moves, plan
from josrc_keras.runs import folder
from tests.support.photo_moves import FOREIGN, NOISE, planned, tree

pandas = pytest.importorskip("pandas")

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", " =", "\t=", "\uff1d", "\uff20")
APOSTROPHES = ("'", "''", "'=", "''=", "'\t", "' =", "'tis", "'")
FORMULAS = [f"{start}1+1|' /C calc'!A0" for start in (*STARTS, *APOSTROPHES)]


def is_run(cell):
    return cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))


@pytest.mark.parametrize("text", [*FORMULAS, "", "plain", "a=b", "'", "it's"])
def test_a_cell_is_no_formula_and_has_its_text_back(text):
    cell = _files.cell_of(text)
    assert not is_run(cell)
    assert _files.value_of(cell) == text


def test_no_two_texts_have_the_same_cell():
    texts = [
        "".join(each) for n in range(5) for each in itertools.product("'= a", repeat=n)
    ]
    assert len({_files.cell_of(text) for text in texts}) == len(texts)
    assert [_files.value_of(_files.cell_of(text)) for text in texts] == texts


def test_numbers_are_no_text():
    assert [_files.cell_of(value) for value in (-1, -0.5, None)] == [-1, -0.5, None]


def cells(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(itertools.chain(*csv.reader(file)))


def test_tables_of_the_audit(tmp_path):
    """Written without a formula, and read as they were."""
    names = [name for name in FORMULAS if "/" not in name] + ["=x", "-y", "'=z"]
    table = pandas.DataFrame({name: names for name in plan.TEXTS})
    table["verdict"], table["label_score"] = NOISE, -0.5
    plan.write_table(table, tmp_path / "audit.csv")
    written = [each for each in cells(tmp_path / "audit.csv") if each != "-0.5"]
    assert not any(map(is_run, written))
    read = plan.read_table(tmp_path / "audit.csv")
    for name in plan.TEXTS:
        assert read[name].tolist() == table[name].tolist()
    assert read["label_score"].tolist() == table["label_score"].tolist()


@pytest.fixture
def hostile(tmp_path):
    """Photos of classes that are formulas, and a plan to move them."""
    photos = tmp_path / "photos"
    rows = [
        ("=a/-1.png", NOISE, "+b"),
        ("+b/=2.png", FOREIGN, ""),
        ("@c/'=.png", NOISE, "=a"),
    ]
    for name, *_ in rows:
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_text(name)
    (photos / "=a/-link.png").symlink_to("-1.png")
    (photos / "=a/=moves.png").symlink_to("-1.png")
    rows += [("=a/=moves.png", NOISE, "@c")]
    return photos, planned(rows)


def test_a_list_of_moves_is_undone(hostile, tmp_path):
    """Links that are formulas are back as they were, too."""
    photos, rows = hostile
    before = tree(photos)
    journal = moves.move(rows, photos, tmp_path / "audit")
    assert not any(map(is_run, cells(journal)))
    assert (photos / "+b/-1.png").read_text() == "=a/-1.png"
    assert moves.move_back(tmp_path / "audit", photos) == 4
    assert tree(photos) == before
    assert (photos / "=a/=moves.png").readlink().name == "-1.png"


def test_a_table_of_new_labels(hostile, tmp_path):
    path = plan.write_csv(hostile[1], tmp_path)
    assert not any(is_run(each) for each in cells(path) if each)


def test_a_history_of_metrics(tmp_path):
    _files.write_csv(tmp_path / "history.csv", [{"epoch": 1, "=loss": -0.5}])
    assert not is_run(cells(tmp_path / "history.csv")[1])
    assert folder.read_history(tmp_path) == [{"epoch": 1.0, "=loss": -0.5}]
