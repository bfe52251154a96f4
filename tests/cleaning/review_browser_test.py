"""A review in a real browser, by keys: what is decided, kept, exported and merged."""

import csv
import io
import json

import numpy as np
import pytest

from josrc_keras.cleaning import decisions, moves, report, sight
from tests.support.audit_tables import VERDICTS, make_findings, make_image, make_table
from tests.support.photo_moves import tree

pandas = pytest.importorskip("pandas")
pytest.importorskip("PIL", reason="needs Pillow")
CODES = {"k": "keep", "n": "none", "u": "unsure", "d": "delete"}


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def exported(page, kind="csv"):
    """The rows of the file that the page exports, as dicts of texts."""
    with page.expect_download() as download:
        page.click(f"#export-{kind}")
    text = download.value.path().read_text(encoding="utf-8")
    if kind == "json":
        return json.loads(text)["decisions"]
    return list(csv.DictReader(io.StringIO(text)))


def said(page):
    """Id to decision and new name, as the page exports them."""
    return {row["id"]: (row["decision"], row["new_name"]) for row in exported(page)}


def ranked(table):
    return table.sort_values("label_score", kind="stable").index


def import_text(page, tmp_path, text, name="theirs.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    page.set_input_files("#import-file", str(path))
    page.wait_for_timeout(200)
    return page.locator("#said").inner_text()


def test_one_key_decides_and_the_next_sample_comes(show):
    """In the gallery: the audit's suggestion, each of the words, a class by number."""
    table = make_table(60)
    probs = np.random.default_rng(1).random((60, 6))
    page = show(table, thumbnail=make_image, seen=sight.Sight(probs))
    order = ranked(table)
    page.locator("#results [data-row]").first.focus()
    press(page, *"knud", "2", "1")
    expected = {
        table.id[row]: (CODES[key], "")
        for row, key in zip(order[:4], "knud", strict=True)
    }
    expected[table.id[order[0]]] = ("keep", table.given_name[order[0]])
    for row, place in ((order[4], 1), (order[5], 0)):
        others = np.argsort(-probs[row])
        others = others[others != table.given_label[row]]
        expected[table.id[row]] = ("relabel", f"class {others[place]}")
    focus = page.evaluate("document.activeElement.dataset.row")
    assert int(focus) == order[6]
    assert said(page) == expected
    assert "decided: keep" in page.locator("#results [data-row]").first.get_attribute(
        "aria-label"
    )


def test_agreeing_follows_each_verdict(show):
    """Many at once: those without a suggestion stay open, and the selection ends."""
    table = make_table(90)
    table.loc[:4, "verdict"] = "undecided"
    page = show(table, thumbnail=make_image)
    page.click("#tick-all")
    page.locator("#results [data-row]").first.focus()
    press(page, "a")
    found = said(page)
    for row in table.itertuples():
        if row.verdict == "undecided":
            assert row.id not in found
        elif row.verdict == VERDICTS[2]:
            assert found[row.id] == ("none", "")
        elif row.verdict == VERDICTS[0] or row.given_label == row.predicted_label:
            assert found[row.id] == ("keep", row.given_name)
        else:
            assert found[row.id] == ("relabel", row.predicted_name)
    assert page.locator("#ticked").inner_text() == "0 selected"
    press(page, "z")
    assert page.locator("#done").inner_text().startswith("0 decided")


def test_any_class_as_one_types_and_the_last_one_again(show):
    names = ["cat", "dog", "catfish", "wild cat", "שועל"]
    table = make_table(40, 5, names=names)
    table["given_label"], table["given_name"] = 1, "dog"
    page = show(table, make_findings(table, names), make_image)
    page.locator("#results [data-row]").first.focus()
    press(page, "c")
    page.keyboard.type("CAT")
    options = page.locator("#class-list li")
    assert options.all_inner_texts() == ["cat", "catfish", "wild cat"]
    press(page, "ArrowDown", "ArrowDown", "ArrowUp", "Enter", "r", "c")
    assert options.first.inner_text().split() == ["catfish", "recent"]
    page.keyboard.type("של")
    assert options.count() == 0
    press(page, "Escape", "c")
    page.keyboard.type("שועל")
    assert options.first.get_attribute("dir") == "auto"
    press(page, "Enter")
    new = [new for _, new in said(page).values()]
    assert sorted(new) == ["catfish", "catfish", "שועל"]


def test_undo_redo_and_reload(show):
    """Decisions and the steps to undo stay over a reload; the page says what it did."""
    table = make_table(60)
    page = show(table, thumbnail=make_image)
    page.locator("#results [data-row]").first.focus()
    press(page, *"knu")
    first = said(page)
    page.reload()
    page.locator("#results [data-row]").first.wait_for()
    assert said(page) == first
    assert page.locator(".card.decided").count() == 3
    press(page, "z", "Control+z")
    assert "Undone" in page.locator("#said").inner_text()
    assert len(said(page)) == 1
    press(page, "y")
    assert len(said(page)) == 2
    press(page, "Z", "y")
    assert page.locator("#said").inner_text() == "Nothing to redo."
    assert said(page) == first
    page.locator("#results [data-row]").first.focus()
    press(page, "0")
    assert len(said(page)) == 2


def test_two_tabs_agree(show, open_page, tmp_path):
    table = make_table(60)
    page = show(table, thumbnail=make_image)
    other = open_page(tmp_path / "report.html", page.context)
    page.locator("#results [data-row]").first.focus()
    press(page, "k")
    other.wait_for_timeout(200)
    assert other.locator(".card.decided").count() == 1
    other.locator("#results [data-row]").nth(1).focus()
    press(other, "n")
    press(page, "u")  # The sample after the first, which the other tab has decided.
    page.wait_for_timeout(200)
    assert said(page) == said(other)
    assert len(said(page)) == 2


def test_another_audit_has_its_own_decisions(show):
    """The storage's key tells other ids or labels, and the same ones again."""
    table = make_table(20)
    key = sight.key_of(table)
    other = table.assign(given_name="x")
    assert key == sight.key_of(table.assign(label_score=0.1)) != sight.key_of(other)


def test_files_are_imported_and_conflicts_are_shown(show, tmp_path):
    """What agrees is counted, what differs is kept twice until a person settles it."""
    table = make_table(60)
    page = show(table, thumbnail=make_image)
    rows = ranked(table)
    page.locator("#results [data-row]").first.focus()
    press(page, *"kk")
    mine, names = said(page), table.given_name
    lines = [
        f"{table.id[rows[0]]},{names[rows[0]]},keep,{names[rows[0]]},2026-01-01",
        f'{table.id[rows[1]]},"{names[rows[1]]}",none,,2026-01-01T00:00:00Z',
        f"{table.id[rows[2]]},{names[rows[2]]},delete,,",
        f"absent,{names[0]},keep,,",
        f"{table.id[rows[3]]},other label,keep,,",
        f"{table.id[rows[4]]},{names[rows[4]]},relabel,no class,",
    ]
    text = "\n".join(["id,given_name,decision,new_name,time", *lines])
    line = import_text(page, tmp_path, text)
    assert line == (
        "theirs.csv: 1 added, 1 the same, 1 conflict, 3 of other samples, labels or "
        "classes left out."
    )
    assert said(page) == mine | {table.id[rows[2]]: ("delete", "")}
    assert "1 conflict" in page.locator("#conflict-count").inner_text()
    page.reload()
    page.click("#show-conflicts")
    assert page.locator(".decision.differs").inner_text() == "keep ≠ none of these"
    page.locator("#results [data-row]").first.focus()
    press(page, "Space")
    assert (
        "An imported file says none of these"
        in page.locator("#preview-conflict").inner_text()
    )
    page.click("text=Take none of these")
    press(page, "Escape")
    assert page.locator("#conflicts").is_hidden()
    assert said(page)[table.id[rows[1]]] == ("none", "")
    assert "can't be read as decisions" in import_text(page, tmp_path, "a,b\n1,2\n")


def test_what_is_exported_is_imported_elsewhere(show, open_page, browser, tmp_path):
    """With names that CSV has to quote; JSON and CSV say the same."""
    ids = [f'=a/"{i}", \r\n\'x.png' for i in range(30)]
    table = make_table(30, 3, ids=ids, names=["=1", "'=2", 'a "b"\n'])
    findings = make_findings(table, ["=1", "'=2", 'a "b"\n'])
    page = show(table, findings, make_image)
    page.locator("#results [data-row]").first.focus()
    press(page, *"12nudk12")
    with page.expect_download() as download:
        page.keyboard.press("e")
    file = tmp_path / "decisions.csv"
    download.value.save_as(file)
    as_json = exported(page, "json")
    context = browser.new_context()
    other = open_page(tmp_path / "report.html", context)
    text = file.read_bytes().decode()
    said = f"{len(as_json)} added, 0 the same, 0 conflicts."
    assert len(as_json) > 5 and said in import_text(other, tmp_path, text)
    fields = ("id", "given_name", "decision", "new_name")
    assert [[row[name] for name in fields] for row in exported(other, "json")] == [
        [row[name] for name in fields] for row in as_json
    ]
    read = decisions.read(file)
    assert read[list(fields)].to_dict("records") == [
        {name: row[name] for name in fields} for row in as_json
    ]
    context.close()


def test_a_full_storage_is_said(show):
    page = show(make_table(20), thumbnail=make_image)
    page.evaluate("() => { Storage.prototype.setItem = () => { throw Error(); }; }")
    page.locator("#results [data-row]").first.focus()
    press(page, "k")
    assert page.locator("#not-kept").is_visible()
    assert len(said(page)) == 1


def test_a_photo_takes_one_key(show):
    """The suggestion, or that the label is right, over more than a page of samples."""
    page = show(make_table(130))
    page.locator("#results [data-row]").first.focus()
    for place in range(110):
        page.keyboard.press("k" if place % 3 else "n")
    assert page.locator("#done").inner_text().startswith("110 decided")
    assert page.locator("#page").inner_text() == "Page 2 of 2"


def write_photos(folder, rows=60):
    """Photos `c0/0.png` in folders of classes, and an audit's table of them."""
    pillow = pytest.importorskip("PIL.Image")
    table = make_table(rows, 3, names=["c0", "c1", "c2"])
    table["id"] = [f"{name}/é {i}.png" for i, name in enumerate(table["given_name"])]
    for row, name in enumerate(table["id"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pillow.fromarray(make_image(row, size=40)).save(folder / name)
    return table


def test_a_whole_review_by_keys_alone(open_page, browser, tmp_path):
    """50 decisions of every kind, a reload, undo, export, import, apply, undo."""
    photos, output = tmp_path / "photos", tmp_path / "audit"
    table = write_photos(photos)
    findings = make_findings(table, ["c0", "c1", "c2"])
    report.write_report(
        output / "report.html",
        table,
        findings,
        lambda row: make_image(row, size=40),
        title="Photos",
        seen=sight.Sight(photos=photos),
    )
    context = browser.new_context()
    page = open_page(output / "report.html", context)
    press(page, "f")
    picture = page.locator("#preview-picture img")
    picture.evaluate("image => image.decode()")
    assert picture.get_attribute("src").startswith("../photos/c")  # The photo itself.
    around = page.locator("#preview-picture").bounding_box()
    shown = picture.bounding_box()  # All of it, though it is higher than wide.
    assert around["height"] - 1 <= shown["height"] <= around["height"] + 1
    press(page, *"12knuda1k" * 3)  # 27 decisions.
    press(page, "c")
    page.keyboard.type("c1")
    press(page, "Enter", "Escape")
    page.reload()
    page.locator("#results [data-row]").first.wait_for()
    assert page.locator("#done").inner_text().startswith("28 decided")
    press(page, "f", *"kk", "z", "y", *"1nduk" * 4, "z", "u", "u", "Escape")
    assert page.locator("#done").inner_text().startswith("50 decided")
    with page.expect_download() as download:
        page.keyboard.press("e")
    file = tmp_path / "decisions.csv"
    download.value.save_as(file)
    elsewhere = browser.new_context()
    other = open_page(output / "report.html", elsewhere)
    import_text(other, tmp_path, file.read_text(encoding="utf-8"))
    assert said(other) == said(page)
    for each in (elsewhere, context):
        each.close()
    planned = decisions.planned(table, decisions.read(file), ["c0", "c1", "c2"])
    kinds = set(planned["action"])
    assert kinds == {"keep", "relabel", "set_aside", "look", "delete"}
    before = tree(photos)
    moves.move(planned, photos, output)
    assert tree(photos) != before
    moves.move_back(output, photos)
    assert tree(photos) == before
