"""Nothing is written out of the folders that were named."""

import pytest

from josrc_keras.cleaning import moves
from tests.support.photo_moves import (
    CLEANED,
    NOISE,
    ROWS,
    names_of,
    planned,
    tree,
    warnings_of,
)

pytest.importorskip("pandas")


ACTS = [moves.copy, moves.move]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", ["../x", "..", ".", "/etc", "", "b/c"])
def test_no_name_leads_out_of_the_folder(photos, output, act, name):
    """Even where the audit's own table was edited."""
    before = tree(photos)
    plan = planned()
    plan.loc[1, "new_name"] = name
    with pytest.raises(ValueError, match=r"name of a class folder.*'a/same\.png'"):
        act(plan, photos, output)
    assert tree(photos) == before
    assert not output.exists()


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    ("row", "given"),
    [
        ("../secret", ".."),
        ("/etc/passwd", "/"),
        ("a/../../secret", "a"),
        ("a", "a"),
        ("7", "a"),
        ("", ""),
        ("a/keep.png", "b"),
    ],
)
def test_no_id_leads_out_of_the_folder(photos, output, act, row, given):
    (photos.parent / "secret").write_text("mine")
    before = tree(photos.parent)
    plan = planned()
    plan.loc[0, ["id", "given_name", "action"]] = row, given, "set_aside"
    with pytest.raises(ValueError, match="Expected ids that are paths CLASS/"):
        act(plan, photos, output)
    assert tree(photos.parent) == before


@pytest.mark.parametrize("act", ACTS)
def test_photos_of_a_validation_dir_stay(photos, output, monkeypatch, act):
    """They were audited, too, by their whole paths; it says how many were left."""
    lines = warnings_of(moves, monkeypatch)
    held = photos.parent / "held"
    (held / "b").mkdir(parents=True)
    (held / "b/last.png").write_text("held")
    plan = planned([*ROWS, ("b/held.png", NOISE, "a")])
    plan.loc[len(ROWS), "id"] = f"{held}/b/last.png"
    act(plan, photos, output)
    assert tree(held) == {"b": None, "b/last.png": b"held"}
    cleaned = output / "cleaned" if act == moves.copy else photos
    assert names_of(cleaned).items() >= CLEANED.items()
    (line,) = lines
    assert line.startswith(f"1 photos of a validation_dir, outside of {photos}, ")


@pytest.mark.parametrize("act", ACTS)
def test_an_output_within_the_photos_is_refused(photos, act):
    before = tree(photos)
    with pytest.raises(ValueError, match="where it would become a class"):
        act(planned(), photos, photos / "audit")
    assert tree(photos) == before
