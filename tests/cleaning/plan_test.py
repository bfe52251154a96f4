"""What is planned for each sample, and the tables that it is read from."""

import numpy as np
import pytest
from absl import logging

from josrc_keras.cleaning import plan

pandas = pytest.importorskip("pandas")

CLEAN, NOISE, FOREIGN, UNDECIDED = plan.ACTIONS
NAMES = ["01", "1.0", "NA", "null", "nan", "True", "Ärger", "a, b", 'so "so"', " x "]


def table(*rows):
    """An audit's table, or a part of it: `(id, given, verdict, predicted)` each."""
    result = pandas.DataFrame(rows, columns=plan.TEXTS)
    result["label_score"] = np.linspace(0.1, 0.9, len(rows))
    return result


AUDIT = table(
    ("a/1.png", "a", CLEAN, "b"),
    ("a/2.png", "a", NOISE, "b"),
    ("a/3.png", "a", FOREIGN, "b"),
    ("b/1.png", "b", NOISE, "b"),
    ("b/2.png", "b", CLEAN, "b"),
)


def actions(planned):
    rows = zip(planned["id"], planned["action"], planned["new_name"], strict=True)
    return {name: (action, new) for name, action, new in rows}


def test_each_verdict_has_its_action():
    """A suggestion of the label that it has already changes nothing."""
    planned = plan.plan(AUDIT)
    assert actions(planned) == {
        "a/1.png": ("keep", "a"),
        "a/2.png": ("relabel", "b"),
        "a/3.png": ("set_aside", ""),
        "b/1.png": ("keep", "b"),
        "b/2.png": ("keep", "b"),
    }
    assert planned["label_score"].tolist() == AUDIT["label_score"].tolist()
    assert planned["given_name"].tolist() == AUDIT["given_name"].tolist()


def test_nothing_is_done_about_undecided_rows():
    """Their action is counted apart, and they keep their label."""
    audit = AUDIT.copy()
    audit.loc[1, "verdict"] = UNDECIDED
    planned = plan.plan(audit)
    assert actions(planned)["a/2.png"] == ("look", "a")
    assert plan.acted_on(planned)["id"].tolist() == ["a/3.png"]


def test_chosen_rows_that_are_undecided_stay_with_a_warning(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *v: lines.append(text % v))
    chosen = table(("a/1.png", "a", UNDECIDED, "b"), ("a/3.png", "a", FOREIGN, "b"))
    planned = actions(plan.plan(AUDIT, chosen))
    assert planned["a/1.png"] == ("look", "a") and planned["a/2.png"][0] == "keep"
    assert lines == [
        "1 of the chosen rows are called undecided, and stay as they are. Change "
        "`verdict` in the file to act on them."
    ]


def test_only_chosen_rows_change_as_they_were_edited():
    """In any order; the audit's own verdict of all others does not count."""
    chosen = table(
        ("b/2.png", "b", NOISE, "a"),
        ("a/1.png", "a", FOREIGN, "b"),
    )
    assert actions(plan.plan(AUDIT, chosen)) == {
        "a/1.png": ("set_aside", ""),
        "a/2.png": ("keep", "a"),
        "a/3.png": ("keep", "a"),
        "b/1.png": ("keep", "b"),
        "b/2.png": ("relabel", "a"),
    }
    nothing = plan.plan(AUDIT, chosen.head(0))
    assert set(nothing["action"]) == {"keep"}


def test_chosen_rows_that_are_clean_are_kept_with_a_warning(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *v: lines.append(text % v))
    chosen = table(("a/1.png", "a", CLEAN, "b"), ("a/2.png", "a", NOISE, "b"))
    planned = actions(plan.plan(AUDIT, chosen))
    assert planned["a/1.png"] == ("keep", "a")
    assert planned["a/2.png"] == ("relabel", "b")
    assert len(lines) == 1 and lines[0].startswith("1 of the chosen rows are called cl")


HOSTILE = ["../../x", "/etc", "", ".", "..", "b/c", "c", "nan", "B"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_new_label_is_a_class_of_the_audit(name):
    chosen = table(("a/2.png", "a", NOISE, name))
    with pytest.raises(ValueError, match=r"Use one of \['a', 'b'\]") as error:
        plan.plan(AUDIT, chosen)
    assert f"Received: {name!r} for 'a/2.png'" in str(error.value)


def test_the_label_of_what_is_not_relabelled_does_not_matter():
    chosen = table(("a/2.png", "a", FOREIGN, "../x"), ("a/3.png", "a", CLEAN, ""))
    assert actions(plan.plan(AUDIT, chosen))["a/2.png"] == ("set_aside", "")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a/9.png", "a", NOISE, "b")], r"does not have, such as \['a/9\.png'\]"),
        ([("a/2.png", "a", NOISE, "b")] * 2, r"\['a/2\.png'\] more than once"),
    ],
)
def test_strange_rows_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        plan.plan(AUDIT, table(*rows))


def rows_of_all_names():
    """A row a name; ids with commas, quotes, line breaks and so on."""
    ends = ['a, "b".png', "new\nline.png", "cr\rhere.png", "日本 é.jpg", "=1+1 #%s.png"]
    return [
        (f"{name}/{number}{ends[number % len(ends)]}", name, NOISE, other)
        for number, (name, other) in enumerate(zip(NAMES, NAMES[::-1], strict=True))
    ]


def test_texts_come_back_as_they_were(tmp_path):
    """Names like numbers and like missing values, and ids with any character."""
    before = table(*rows_of_all_names())
    plan.write_table(before, tmp_path / "audit.csv")
    found = plan.read_table(tmp_path / "audit.csv")
    for name in plan.TEXTS:
        assert found[name].tolist() == before[name].tolist()
    np.testing.assert_array_equal(found["label_score"], before["label_score"])


def test_the_plan_as_a_table(tmp_path):
    planned = plan.plan(table(*rows_of_all_names()))
    path = plan.write_csv(planned, tmp_path)
    assert path == tmp_path / "relabel.csv"
    found = pandas.read_csv(path, dtype=str, keep_default_na=False)
    assert list(found) == ["id", "given_name", "action", "new_name", "label_score"]
    assert found["id"].tolist() == planned["id"].tolist()
    assert found["new_name"].tolist() == NAMES[::-1]
    assert set(found["action"]) == {"relabel"}


def test_missing_scores_are_missing(tmp_path):
    before = table(*rows_of_all_names())
    before["clean_share"] = np.nan
    plan.write_table(before, tmp_path / "audit.csv")
    assert plan.read_table(tmp_path / "audit.csv")["clean_share"].isna().all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,verdict\na/1.png,clean\n", r"without \['given_name', 'predicted_name'\]"),
        ("id;given_name;verdict;predicted_name\n", r"without \['id', 'given_name', 'v"),
        (
            "id,given_name,verdict,predicted_name\na/1.png,a,wrong,b\n",
            r"with the verdicts \['wrong'\] besides",
        ),
        (
            "id,given_name,verdict,predicted_name\na/1.png,a\nb,b,x,y\n",
            r"verdicts \['', 'x'\] besides",
        ),
        ("a\n1,2,3\n4\n5,6,7,8,9\n", "Received: .*rows.csv"),
        ("", "No columns to parse"),
        (b"\xff\xfei\x00d\x00", "can't decode"),
    ],
)
def test_a_file_that_is_no_audit(tmp_path, text, message):
    path = tmp_path / "rows.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        plan.read_table(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"Received: .*absent\.csv \(.*No such file"):
        plan.read_table(tmp_path / "absent.csv")


def test_what_a_spreadsheet_adds(tmp_path):
    """A byte order mark, another order, and columns of its own."""
    lines = ["\ufeffverdict,id,note,given_name,predicted_name"]
    lines += [f"{NOISE},a/2.png,hm,01,NA"]
    (tmp_path / "rows.csv").write_text("\r\n".join(lines), encoding="utf-8")
    found = plan.read_table(tmp_path / "rows.csv")
    assert found[list(plan.TEXTS)].values.tolist() == [["a/2.png", "01", NOISE, "NA"]]
