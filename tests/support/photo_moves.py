"""A folder of photos, a plan of what is to move, and what comes of it."""

import hashlib

from josrc_keras.cleaning import plan as changes

CLEAN, NOISE, FOREIGN, UNDECIDED = changes.ACTIONS

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


def planned(rows=ROWS):
    import pandas

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


def check_moved(photos, output, before):
    """Every photo is where it should be, with all its bytes."""
    expected = CLEANED | thrice(("a/notes.txt", "a/notes.txt"))
    assert names_of(photos) == expected
    assert names_of(output / "set_aside") == ASIDE
    found = contents(photos, output / "set_aside")
    assert found == sorted(hashlib.sha256(data).hexdigest() for data in before if data)


def warnings_of(module, monkeypatch):
    """The warnings that a module logs, a list that grows."""
    lines: list = []
    monkeypatch.setattr(
        module.logging, "warning", lambda text, *values: lines.append(text % values)
    )
    return lines
