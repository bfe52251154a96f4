"""Kind: photos as people have them, and images made to exhaust memory."""

import threading

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from josrc_keras.data import image_folder
from josrc_keras.data.photos import cache, decoding

PIXELS = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype("uint8")


@pytest.fixture(autouse=True)
def prepared():
    decoding.require()


@pytest.mark.parametrize("kind", ["text", "profile"])
def test_a_png_with_a_large_chunk_is_decoded(kind, tmp_path):
    """2 MiB, as programs that draw images write; Pillow stops at 1 MiB by itself."""
    info = PngImagePlugin.PngInfo()
    if kind == "text":
        info.add_itxt("workflow", "y" * (2 << 20), zip=True)
    profile = {"profile": {"icc_profile": bytes(2 << 20)}}.get(kind, {})
    path = tmp_path / "drawn.png"
    Image.fromarray(PIXELS).save(path, pnginfo=info, **profile)
    np.testing.assert_array_equal(decoding.decode(path, 16), PIXELS)


def test_a_tiff_is_decoded(tmp_path):
    path = tmp_path / "scan.tiff"
    Image.fromarray(PIXELS).save(path)
    np.testing.assert_array_equal(decoding.decode(path, 16), PIXELS)


def test_a_heic_says_what_it_needs(tmp_path):
    if "HEIF" in Image.OPEN:
        pytest.skip("pillow-heif is installed")
    path = tmp_path / "phone.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    assert "josrc-keras[heif]" in next(decoding.decode_all([path], 8))


def test_threads_share_their_memory():
    """Of four images that need 60 of 100 each, one at a time is decoded."""
    memory, at_once, most = decoding._Memory(100 * decoding.LARGE), [0], [0]
    lock = threading.Lock()

    def work():
        with memory.taken(60 * decoding.LARGE):
            with lock:
                at_once[0] += 1
                most[0] = max(most[0], at_once[0])
            threading.Event().wait(0.02)
            with lock:
                at_once[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert most == [1] and memory.used == 0


def test_an_image_larger_than_all_memory_is_decoded_alone():
    memory = decoding._Memory(decoding.LARGE)
    with memory.taken(9 * decoding.LARGE):
        assert memory.used == 9 * decoding.LARGE
    assert memory.used == 0


def test_altered_pixels_are_decoded_again(tmp_path, caplog):
    """Kind: files of ours that were altered, and believed."""
    photos = tmp_path / "photos"
    for name in "ab":
        (photos / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(PIXELS + number).save(photos / name / f"{number}.bmp")

    def read():
        options = {"image_size": 16, "cache": tmp_path / "cache"}
        return np.array(image_folder.read(photos, **options).train.images)

    before = read()
    path = tmp_path / "cache" / cache.TRAIN
    content = bytearray(path.read_bytes())
    content[200:3000] = bytes(value ^ 255 for value in content[200:3000])
    path.write_bytes(content)
    np.testing.assert_array_equal(read(), before)
    assert "train.npy in" in caplog.text and "was altered" in caplog.text
