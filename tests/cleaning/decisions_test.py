"""Decisions of a person: how files of them are read, and what is planned by them."""

import json

import pytest

from josrc_keras.cleaning import decisions, moves
from tests.support.audit_tables import VERDICTS
from tests.support.photo_moves import names_of, thrice, tree

pandas = pytest.importorskip("pandas")

CSV = """id,given_name,decision,new_name,time
a/1.png,a,relabel,b,2026-01-01T00:00:00.000Z
"a/'2,"".png",a,keep,a,2026-01-01T00:00:01.000Z
'=b/1.png,'=b,none,,2026-01-01T00:00:02.000Z
a/3.png,a,delete,,2026-01-01T00:00:03.000Z
a/4.png,a,unsure,,2026-01-01T00:00:04.000Z
"""
IDS = ["a/1.png", "a/'2,\".png", "=b/1.png", "a/3.png", "a/4.png", "b/5.png"]


def audit(ids=IDS):
    names = [each.split("/")[0] for each in ids]
    table = pandas.DataFrame({"id": ids, "given_name": names, "predicted_name": "b"})
    return table.assign(verdict=VERDICTS[1], label_score=0.1)


def write(folder, text=CSV):
    path = folder / "decisions.csv"
    path.write_text(text, encoding="utf-8")
    return path


def actions(planned):
    rows = zip(planned["id"], planned["action"], planned["new_name"], strict=True)
    return {name: (action, new) for name, action, new in rows}


def test_only_decided_samples_are_acted_on(tmp_path):
    """Each decision has its action; the audit's own verdict of others says nothing."""
    planned = decisions.planned(audit(), decisions.read(write(tmp_path)))
    assert actions(planned) == {
        "a/1.png": ("relabel", "b"),
        "a/'2,\".png": ("keep", "a"),
        "=b/1.png": ("set_aside", ""),
        "a/3.png": ("delete", ""),
        "a/4.png": ("look", "a"),
        "b/5.png": ("keep", "b"),
    }


def test_csv_and_json_say_the_same(tmp_path):
    read = decisions.read(write(tmp_path))
    other = tmp_path / "decisions.json"
    other.write_text(json.dumps({"decisions": read.to_dict("records")}))
    pandas.testing.assert_frame_equal(decisions.read(other), read)
    assert read["id"].tolist() == IDS[:5]


def test_relabelling_to_the_given_label_keeps_it(tmp_path):
    path = write(tmp_path, "id,given_name,decision,new_name\nb/5.png,b,relabel,b\n")
    assert set(decisions.planned(audit(), decisions.read(path))["action"]) == {"keep"}


def test_a_class_that_only_the_findings_know(tmp_path):
    path = write(tmp_path, "id,given_name,decision,new_name\nb/5.png,b,relabel,z\n")
    with pytest.raises(ValueError, match=r"Received: 'z' for 'b/5.png'. Use one of"):
        decisions.planned(audit(), decisions.read(path))
    planned = decisions.planned(audit(), decisions.read(path), ["z"])
    assert actions(planned)["b/5.png"] == ("relabel", "z")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,decision\na/1.png,keep\n", r"without \['given_name', 'new_name'\]"),
        ("id,given_name,decision,new_name\na,a,maybe,\n", r"decisions \['maybe'\]"),
        ("id,given_name,decision,new_name\na,a,keep,\na,a,none,\n", "more than once"),
        ('{"rows": []}', "Expected a file of decisions"),
        ("", "Expected a file of decisions"),
    ],
)
def test_what_is_no_file_of_decisions(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        decisions.read(write(tmp_path, text))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c/1.png,c,keep,", r"ids that it does not have, such as \['c/1.png'\]"),
        ("a/1.png,b,keep,", "with the given label 'b', which has 'a' here"),
    ],
)
def test_decisions_on_another_audit(tmp_path, row, message):
    path = write(tmp_path, f"id,given_name,decision,new_name\n{row}\n")
    with pytest.raises(ValueError, match=message):
        decisions.planned(audit(), decisions.read(path))


def test_the_preview_counts_and_shows_examples(tmp_path):
    planned = decisions.planned(audit(), decisions.read(write(tmp_path)))
    assert decisions.preview(planned) == [
        "6 samples: 2 keep, 1 relabel, 1 set_aside, 1 delete, 1 look.",
        "  1 from 'a' to 'b'",
        "  relabel, for example: 'a/1.png' to 'b'",
        "  set_aside, for example: '=b/1.png'",
        "  delete, for example: 'a/3.png'",
    ]


def test_photos_to_delete_are_put_aside_and_come_back(tmp_path):
    """A move puts them into a folder of their own, and a copy leaves them out."""
    ids = ["a/1.png", "a/2.png", "b/1.png"]
    photos, output = tmp_path / "photos", tmp_path / "out"
    for name in ids:
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_bytes(name.encode() * 3)
    text = "id,given_name,decision,new_name\na/1.png,a,delete,\nb/1.png,b,relabel,a\n"
    planned = decisions.planned(audit(ids), decisions.read(write(tmp_path, text)))
    before = tree(photos)
    moves.copy(planned, photos, output)
    cleaned = thrice(("a/2.png", "a/2.png"), ("a/1.png", "b/1.png"))
    assert names_of(output / "cleaned") == cleaned and tree(photos) == before
    moves.move(planned, photos, output)
    assert names_of(output / "deleted") == thrice(("a/1.png", "a/1.png"))
    assert names_of(photos) == thrice(("a/2.png", "a/2.png"), ("a/1-1.png", "b/1.png"))
    assert moves.move_back(output, photos) == 2
    assert tree(photos) == before
