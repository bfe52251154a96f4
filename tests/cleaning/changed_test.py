"""Kind: a verdict that is carried out on a photo that it was not made of."""

import json
import os
import types

import pytest

from josrc_keras.cleaning import audit_of_run, changed, moves
from tests.support.photo_moves import (
    CLEAN,
    NOISE,
    ROWS,
    names_of,
    planned,
    tree,
    warnings_of,
)

pytest.importorskip("pandas")


@pytest.fixture
def audited(photos, output):
    """A run on the photos, with their sizes and times in its index."""
    run = output.parent
    data = {"name": "image_folder", "dir": str(photos), "validation_dir": None}
    (run / "images").mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({"data": data}))
    files = []
    for name, *_ in ROWS:
        status = (photos / name).stat()
        files.append([name, status.st_size, status.st_mtime_ns])
    index = {"key": {"files": [files]}}
    (run / "images/index.json").write_text(json.dumps(index))
    return types.SimpleNamespace(run=run, output=output)


def replace(path, way):
    """Replaces a photo by one of another size, or of the same size later."""
    text = path.read_bytes()
    path.write_bytes(text[::-1] + b"!" if way == "size" else text[::-1])
    if way == "time":
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))


def act_on(plan, audited):
    return audit_of_run.keep_changed(plan, audited.run, audited.output)


@pytest.mark.parametrize("way", ["size", "time"])
@pytest.mark.parametrize("act", [moves.move, moves.copy])
def test_a_photo_that_was_replaced_after_the_audit_stays(
    photos, audited, monkeypatch, act, way
):
    """The log says which, why, and what to do; all others are moved."""
    lines = warnings_of(changed, monkeypatch)
    replace(photos / "b/last.png", way)
    replaced = (photos / "b/last.png").read_text()
    act(act_on(planned(), audited), photos, audited.output)
    cleaned = photos if act == moves.move else audited.output / "cleaned"
    assert names_of(cleaned)["b/last.png"] == replaced
    assert names_of(cleaned)["a/last.png"] == "01/last.png" * 3
    (line,) = lines
    assert line.startswith("1 photos have changed since the audit")
    why = {"size": "had 30 bytes and has 31", "time": "was of "}[way]
    assert f"'b/last.png' {why}" in line
    assert f"Audit again (josrc-audit --run={audited.run})" in line


def test_photos_as_they_were_are_acted_on(photos, audited, monkeypatch):
    """Moved, moved back, and moved again, which changes neither size nor time."""
    lines = warnings_of(changed, monkeypatch)
    before = tree(photos)
    for _ in range(2):
        moves.move(act_on(planned(), audited), photos, audited.output)
        moves.move_back(audited.output, photos)
        assert tree(photos) == before
    assert lines == []


def test_what_was_audited_is_not_what_was_decoded_since(photos, audited, monkeypatch):
    """A later command decodes the photos as they are then, and renews the index."""
    lines = warnings_of(changed, monkeypatch)
    audited.output.mkdir()
    changed.record(audited.run, audited.output)
    replace(photos / "b/last.png", "time")
    index = audited.run / "images/index.json"
    time = (photos / "b/last.png").stat().st_mtime_ns
    files = [["b/last.png", 30, time]]
    index.write_text(json.dumps({"key": {"files": [files]}}))
    plan = act_on(planned(), audited)
    assert plan.set_index("id")["action"]["b/last.png"] == "keep"
    assert len(lines) == 1


def test_held_out_photos_have_their_folder_before_their_path(tmp_path):
    files = [[["a/1.png", 5, 6]], [["a/1.png", 7, 8]]]
    (tmp_path / "images").mkdir()
    index = {"key": {"files": files}}
    (tmp_path / "images/index.json").write_text(json.dumps(index))
    known = changed.recorded(tmp_path, tmp_path, "/held")
    assert known == {"a/1.png": [5, 6], "/held/a/1.png": [7, 8]}


def test_a_run_without_photos_has_nothing_to_compare(tmp_path):
    data = {"name": "records", "validation_dir": None}
    (tmp_path / "config.json").write_text(json.dumps({"data": data}))
    plan = planned()
    assert audit_of_run.keep_changed(plan, tmp_path, tmp_path) is plan
    assert changed.recorded(tmp_path, tmp_path) == {}


def test_a_broken_list_of_sizes_is_refused(photos, audited):
    audited.output.mkdir()
    (audited.output / "photos.json").write_text("[1")
    with pytest.raises(ValueError, match=r"photos\.json .*Audit again: josrc-audit --"):
        act_on(planned(), audited)


def test_photos_that_no_verdict_moves_are_not_looked_at(photos, audited, monkeypatch):
    lines = warnings_of(changed, monkeypatch)
    replace(photos / "a/keep.png", "size")
    act_on(planned([("a/keep.png", CLEAN, "b"), ("a/x.png", NOISE, "b")]), audited)
    assert lines == []


@pytest.mark.parametrize("time", [-(10**18), 0, 4 * 10**18, 10**21, -(10**21)])
def test_a_clock_that_was_far_off(photos, audited, monkeypatch, time):
    """Kind: a time in the future, or before all others, of a photo or of its list."""
    lines = warnings_of(changed, monkeypatch)
    known = changed.recorded(audited.run, audited.output)
    assert changed.keep_changed(planned(), photos, known, audited.run) is not None
    assert lines == []
    known["b/last.png"][1] = time
    changed.keep_changed(planned(), photos, known, audited.run)
    assert "'b/last.png' was of " in lines[0]
