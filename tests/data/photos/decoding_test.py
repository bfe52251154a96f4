"""Every format and mode gives the pixels that a viewer would show."""

import os
import sys
import warnings

import numpy as np
import pytest

from josrc_keras.data.photos import decoding

Image = pytest.importorskip("PIL.Image")
decoding.require()

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
SIZE = 16


def halves(left=RED, right=BLUE, size=(32, 32), mode="RGB"):
    """An image whose left half has one colour and whose right half another one."""
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def decoded(path, image, size=SIZE, **options):
    image.save(path, **options)
    found = decoding.decode(path, size)
    assert found.shape == (size, size, 3)
    assert found.dtype == np.uint8
    return found


def assert_halves(found, left=RED, right=BLUE, atol=0):
    """The outer thirds of all rows: resizing mixes the colours in the middle."""
    third = found.shape[1] // 3
    for part, colour in ((found[:, :third], left), (found[:, -third:], right)):
        np.testing.assert_allclose(part, np.broadcast_to(colour, part.shape), atol=atol)


@pytest.mark.parametrize(
    ("name", "options", "atol"),
    [
        ("a.png", {}, 0),
        ("a.bmp", {}, 0),
        ("a.gif", {}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.jpg", {"quality": 95}, 4),
        ("a.JPEG", {"quality": 95, "progressive": True}, 4),
    ],
)
def test_formats(tmp_path, name, options, atol):
    assert_halves(decoded(tmp_path / name, halves(), **options), atol=atol)


def test_the_content_counts_not_the_extension(tmp_path):
    halves().save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert_halves(decoding.decode(tmp_path / "a.jpg", SIZE))


def test_cmyk(tmp_path):
    """Full magenta and yellow are red; full cyan and magenta are blue."""
    image = halves((0, 255, 255, 0), (255, 255, 0, 0), mode="CMYK")
    assert_halves(decoded(tmp_path / "a.jpg", image, quality=100), atol=6)


def test_16_bits_are_scaled_and_not_clipped(tmp_path):
    """65535 becomes 255, so v becomes v / 257; Pillow's own conversion clips at 255."""
    ramp = np.linspace(0, 65535, SIZE * SIZE).astype(np.uint16).reshape(SIZE, SIZE)
    found = decoded(tmp_path / "a.png", Image.fromarray(ramp))
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode.startswith("I")
    np.testing.assert_array_equal(found, np.round(ramp / 257)[..., None].repeat(3, 2))
    assert found.min() == 0
    assert found.max() == 255


@pytest.mark.parametrize(
    ("mode", "left", "right", "expected"),
    [
        ("L", 0, 200, ((0, 0, 0), (200, 200, 200))),
        ("1", 0, 1, ((0, 0, 0), WHITE)),
        ("LA", (0, 255), (0, 0), ((0, 0, 0), WHITE)),
        ("RGBA", (*RED, 255), (*BLUE, 0), (RED, WHITE)),
        ("RGBA", (*RED, 255), (*BLUE, 51), (RED, (204, 204, 255))),
    ],
)
def test_modes_of_png(tmp_path, mode, left, right, expected):
    """What is transparent shows white: a fifth of blue leaves 4 / 5 * 255 = 204."""
    image = halves(left, right, mode=mode)
    assert_halves(decoded(tmp_path / "a.png", image), *expected, atol=1)


def test_palette(tmp_path):
    assert_halves(decoded(tmp_path / "a.png", halves().quantize(8)))


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_palette_with_a_transparent_colour(tmp_path, name):
    image = halves().quantize(8)
    seen = image.getpixel((0, 0))
    found = decoded(tmp_path / name, image, transparency=seen)
    assert_halves(found, left=WHITE)


def test_rgb_with_a_transparent_colour(tmp_path):
    found = decoded(tmp_path / "a.png", halves(), transparency=BLUE)
    assert_halves(found, right=WHITE)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_the_first_frame_of_an_animation(tmp_path, name):
    other = halves((0, 255, 0), (0, 255, 0))
    options = {"lossless": True} if name == "a.webp" else {}
    found = decoded(
        tmp_path / name, halves(), save_all=True, append_images=[other], **options
    )
    assert_halves(found)


# What to do to show a photo upright, by what EXIF says that the stored first row and
# first column are in it.
UPRIGHT = {
    1: lambda a: a,  # top, left
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.transpose(1, 0, 2),  # left, top
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],  # right, top
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
    8: lambda a: a.transpose(1, 0, 2)[::-1],  # left, bottom
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_photos_are_turned_upright(tmp_path, orientation, name):
    """Four quarters of four greys, so that every wrong turn shows."""
    stored = np.repeat(np.repeat([[0, 80], [160, 240]], 8, 0), 8, 1)[..., None]
    stored = stored.repeat(3, 2).astype(np.uint8)
    exif = Image.Exif()
    exif[decoding.ORIENTATION] = orientation
    options = {} if name == "a.png" else {"quality": 100}
    found = decoded(tmp_path / name, Image.fromarray(stored), exif=exif, **options)
    np.testing.assert_allclose(
        found[2::8, 2::8], UPRIGHT[orientation](stored)[2::8, 2::8], atol=3
    )


def test_exif_that_can_not_be_read_breaks_nothing(tmp_path):
    image = halves()
    found = decoded(tmp_path / "a.jpg", image, exif=b"Exif\0\0nonsense", quality=95)
    assert_halves(found, atol=4)


@pytest.mark.parametrize("size", [(96, 32), (32, 96)])
def test_the_middle_is_cropped(tmp_path, size):
    """Of three squares, black, red and black, the red one remains."""
    image = Image.new("RGB", size)
    corner = tuple((side - 32) // 2 for side in size)
    image.paste(RED, (*corner, corner[0] + 32, corner[1] + 32))
    found = decoded(tmp_path / "a.png", image)
    assert_halves(found[1:-1, 1:-1], RED, RED)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (5, 4)])
def test_small_images_are_enlarged(tmp_path, size):
    assert_halves(decoded(tmp_path / "a.png", Image.new("RGB", size, RED)), right=RED)


def test_fine_patterns_are_averaged(tmp_path):
    """A chessboard of single pixels is grey, also where a JPEG is read at a quarter."""
    board = np.indices((256, 256)).sum(0) % 2 * 255
    image = Image.fromarray(board.astype(np.uint8))
    for name in ("a.png", "a.jpg"):
        found = decoded(tmp_path / name, image, size=32)
        np.testing.assert_allclose(found[2:-2, 2:-2], 127.5, atol=8)


def test_a_large_jpeg_is_not_decoded_in_full(tmp_path, monkeypatch):
    loaded = []
    to_rgb = decoding._to_rgb
    monkeypatch.setattr(
        decoding, "_to_rgb", lambda image: loaded.append(image.size) or to_rgb(image)
    )
    assert_halves(decoded(tmp_path / "a.jpg", halves(size=(1024, 768))), atol=6)
    assert loaded == [(128, 96)]


def reason(path, size=SIZE):
    (found,) = decoding.decode_all([path], size)
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "bmp", "gif"])
def test_truncated_files_are_broken(tmp_path, extension):
    random = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype="uint8")
    path = tmp_path / f"a.{extension}"
    Image.fromarray(random).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    expected = "decoder" if extension == "webp" else "image file is truncated"
    assert expected in reason(path)


def test_other_reasons(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    assert reason(path) == "can't be read: No such file or directory"
    path.write_text("no image")
    assert reason(path).startswith("is no image of a known format (JPEG, PNG, ")
    # Which Pillow would run Ghostscript for.
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert reason(path).startswith("is no image of a known format")
    halves(size=(100, 100)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "decompression bomb" in reason(path)


def test_large_images_and_odd_ones_do_not_warn(tmp_path, monkeypatch):
    halves(size=(40, 40)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = decoding.decode_all([tmp_path / "a.png"], SIZE)
    assert_halves(found)


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="root reads every file",
)
def test_a_file_without_permission_is_broken(tmp_path):
    halves().save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    assert reason(tmp_path / "a.png") == "can't be read: Permission denied"


def test_want_of_memory_is_not_the_files_fault(tmp_path, monkeypatch):
    def fail(path, size):
        raise MemoryError

    monkeypatch.setattr(decoding, "decode", fail)
    with pytest.raises(MemoryError):
        list(decoding.decode_all([tmp_path / "a.png"], SIZE))


def test_results_come_in_order_and_few_are_made_ahead(monkeypatch):
    """Of a million files only some dozens are begun before the first is used."""
    begun = []

    def decode(path, size):
        begun.append(path)
        if path % 3 == 0:
            raise ValueError(f"broken {path}")
        return np.full((size, size, 3), path % 256, np.uint8)

    monkeypatch.setattr(decoding, "decode", decode)
    monkeypatch.setattr(decoding.accelerator, "core_count", lambda: 3)
    images = decoding.decode_all(iter(range(1_000_000)), 1)
    for path in range(100):
        image = next(images)
        found = image if isinstance(image, str) else image[0, 0, 0]
        assert found == (f"broken {path}" if path % 3 == 0 else path)
    images.close()
    assert len(begun) < 100 + 3 * decoding.AHEAD + 3


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"pip install josrc-keras\[report\]"):
        decoding.require()
