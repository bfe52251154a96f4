"""What is listed of a folder, by extension, and what the log says of the rest."""

import os

import numpy as np
import pytest

from josrc_keras.data.photos import decoding
from josrc_keras.data.photos import listing as folder_listing
from tests.support import photos

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".heic": "HEIF",
    ".heif": "HEIF",
}


@pytest.fixture
def lines(monkeypatch):
    """The warnings that are logged, a list that grows."""
    found: list = []
    monkeypatch.setattr(
        folder_listing.logging,
        "warning",
        lambda text, *values: found.append(text % values),
    )
    return found


def test_every_format_has_an_extension():
    assert set(FORMATS) == set(folder_listing.EXTENSIONS)
    assert set(FORMATS.values()) == set(decoding.FORMATS)


@pytest.mark.parametrize("extension", FORMATS)
def test_extensions(tmp_path, extension, lines):
    """In any case; what is listed can be decoded."""
    image = pytest.importorskip("PIL.Image")
    features = pytest.importorskip("PIL.features")
    kind = FORMATS[extension]
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    decoding.require()
    if kind == "HEIF" and kind not in image.SAVE:
        pytest.skip("pillow-heif is not installed")
    (tmp_path / "cat").mkdir()
    names = [f"cat/A{extension.upper()}", f"cat/a{extension}"]
    for name in names:
        image.new("RGB", (16, 16), (200, 30, 30)).save(tmp_path / name, kind)
    listing = folder_listing.read(tmp_path)
    assert [path for path, *_ in listing.files] == names
    assert (listing.ignored, listing.others, lines) == (0, {}, [])
    for found in decoding.decode_all([tmp_path / name for name in names], photos.SIZE):
        assert found.shape == (photos.SIZE, photos.SIZE, 3)
        assert np.abs(found.astype(int) - (200, 30, 30)).max() < 10


def test_other_extensions_are_counted(tmp_path, lines):
    """Of files in class folders, at any depth, that are not hidden."""
    photos.fill(tmp_path, cat=1, dog=1)
    (tmp_path / "dog/deep").mkdir()
    for name in ("cat/a.PSD", "cat/b.psd", "dog/deep/c.psd", "dog/d.raw", "dog/no"):
        (tmp_path / name).touch()
    for name in ("notes.txt", "cat/.hidden.psd", ".DS_Store"):
        (tmp_path / name).touch()
    listing = folder_listing.read(tmp_path)
    assert listing.others == {".psd": 3, ".raw": 1, "": 1}
    assert listing.ignored == 8
    (line,) = lines
    assert line.startswith(
        f"{tmp_path}: 5 files in class folders are ignored by their extension: "
        "3 .psd, 1 without, 1 .raw. Photos are .jpg, "
    )


def test_of_many_extensions_the_log_has_ten(tmp_path, lines):
    photos.fill(tmp_path, cat=1)
    for number in range(12):
        (tmp_path / f"cat/a.{number:02d}").touch()
    folder_listing.read(tmp_path)
    assert "1 .08, 1 .09 and others. Photos" in lines[0]


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_extensions_that_are_no_text(tmp_path, lines):
    """And a link to nowhere."""
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/a.txt").symlink_to("gone")
    with open(os.fsencode(tmp_path) + b"/cat/a.\xe9", "wb"):
        pass
    folder_listing.read(tmp_path)
    assert r"1 .txt, 1 .\xe9. Photos" in lines[0]
    lines[0].encode()
