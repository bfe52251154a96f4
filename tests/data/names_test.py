"""Kind: names that a person can't tell apart."""

import pytest

from josrc_keras.data import image_folder
from josrc_keras.data.checks import names

ALIKE = {
    "case": ("Cat", "cat"),
    "space at the end": ("cat", "cat "),
    "two spaces": ("red cat", "red  cat"),
    "Cyrillic": ("cat", "c\u0430t"),
    "zero width": ("cat", "ca\u200bt"),
    "full width": ("cat", "\uff43\uff41\uff54"),
    "composed": ("caf\u00e9", "cafe\u0301"),
    "dash": ("t-shirt", "t\u2013shirt"),
    "digit": ("l0", "1o"),
    "sharp s": ("stra\u00dfe", "STRASSE"),
}
DISTINCT = (
    "cat",
    "cats",
    "caf\u00e9",
    "cafe",
    "t shirt",
    "t-shirt",
    "t_shirt",
    "2",
    "z",
)


@pytest.mark.parametrize("kind", ALIKE)
def test_names_that_look_alike_are_refused(kind):
    with pytest.raises(ValueError, match=r"that a person can tell apart\. Received: "):
        names.check_distinct(["dog", *ALIKE[kind]], "photos")


def test_other_names_are_taken():
    names.check_distinct(DISTINCT, "photos")


def test_class_folders_that_look_alike_are_refused(tmp_path):
    for name in ("Cat", "c\u0430t"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    with pytest.raises(ValueError, match=r"'Cat' and 'c\\u0430t' in .*photos"):
        image_folder.read(tmp_path / "photos", image_size=8, cache=tmp_path / "cache")
