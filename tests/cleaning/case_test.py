"""Names that are one name on file systems that ignore case, as on Windows and macOS."""

import unicodedata

import pytest

from josrc_keras.cleaning import moves
from tests.support.photo_moves import CLEAN, FOREIGN, NOISE, contents, planned, tree

pytest.importorskip("pandas")

ROWS = [  # Id, verdict, suggested class: photos of a and 01 meet in b.
    ("a/Up.png", NOISE, "b"),
    ("01/up.PNG", NOISE, "b"),
    ("a/Deep/x.png", NOISE, "b"),
    ("01/deep/X.png", NOISE, "b"),
    ("a/caf\u00e9.png", NOISE, "b"),
    ("01/CAFE\u0301.png", NOISE, "b"),
    ("b/STAYS.png", CLEAN, "b"),
    ("a/stays.png", NOISE, "b"),
    ("a/Out/y.png", FOREIGN, "a"),
    ("b/y.png", FOREIGN, "b"),
    ("01/last.png", CLEAN, "01"),
]


@pytest.fixture
def photos(tmp_path):
    """No two of these are one name on such a file system before they meet."""
    for name, *_ in ROWS:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "photos"


def folded(folder):
    """Each file's path as such a file system compares it."""
    files = [path for path, content in tree(folder).items() if content is not None]
    return [unicodedata.normalize("NFC", path).casefold() for path in files]


@pytest.mark.parametrize("act", [moves.move, moves.copy])
def test_photos_that_meet_have_names_that_differ_in_more_than_case(photos, output, act):
    """So that none is written over, and a copy can be taken to such a file system."""
    before, names = contents(photos), tree(photos)
    act(planned(ROWS), photos, output)
    cleaned = photos if act == moves.move else output / "cleaned"
    for folder, count in ((cleaned, 9), (output / "set_aside", 2)):
        paths = folded(folder)
        assert len(set(paths)) == len(paths) == count
    assert contents(cleaned, output / "set_aside") == before
    of_b = {p for p in folded(cleaned) if p.startswith("b/")}
    numbered = {"b/up-1.png", "b/deep/x-1.png", "b/caf\u00e9-1.png", "b/stays-1.png"}
    plain = {"b/up.png", "b/deep/x.png", "b/caf\u00e9.png", "b/stays.png"}
    assert of_b == numbered | plain
    assert (cleaned / "b/STAYS.png").read_text() == "b/STAYS.png"
    if act == moves.move:
        moves.move_back(output, photos)
        assert tree(photos) == names


def test_photos_of_one_folder_keep_their_bytes_in_a_copy(photos, output):
    """Where the photos lie on a file system that tells `A.jpg` from `a.jpg`."""
    (photos / "01/LAST.png").write_text("second")
    if (photos / "01/last.png").read_text() == "second":
        pytest.skip("needs a file system that tells A from a")
    rows = [*ROWS, ("01/LAST.png", CLEAN, "01")]
    moves.copy(planned(rows), photos, output)
    found = tree(output / "cleaned/01")
    assert found == {"last.png": b"01/last.png", "LAST-1.png": b"second"}
