"""Photos are decoded once, and anew when something changed; nothing is left half."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from josrc_keras.data.photos import cache as image_cache
from josrc_keras.data.photos import decoding
from tests.support.photos import SIZE, content, make, read, save
from tests.support.photos import opened as count_opened

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def photos(tmp_path):
    return make(tmp_path)


@pytest.fixture
def opened(monkeypatch):
    return count_opened(monkeypatch)


def test_a_second_reading_decodes_nothing(photos, opened, tmp_path):
    save(photos / "cat/bad.png")
    (photos / "cat/bad.png").write_text("no image")
    first = content(read(photos))
    assert len(opened) == 32
    assert content(read(photos)) == first
    moved = tmp_path / "moved"
    photos.rename(moved)
    assert content(read(moved)) == first
    assert len(opened) == 32
    files = sorted(path.name for path in (tmp_path / "run/cache").iterdir())
    assert files == sorted(image_cache.FILES)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["cache"]


def touched(photos):
    os.utime(photos / "dog/000.png", ns=(1, 1))


def shortened(photos):
    status = (photos / "dog/000.png").stat()
    Image.new("1", (9, 8)).save(photos / "dog/000.png")
    os.utime(photos / "dog/000.png", ns=(status.st_atime_ns, status.st_mtime_ns))


def damaged(name, size):
    def damage(photos):
        os.truncate(photos.parent / "run/cache" / name, size)

    return damage


def older(photos):
    path = photos.parent / "run/cache" / image_cache.INDEX
    index = json.loads(path.read_text())
    index["key"]["format"] = 0
    path.write_text(json.dumps(index))


CHANGES = {
    "a new file": lambda photos: save(photos / "dog/new.png"),
    "a file less": lambda photos: (photos / "dog/000.png").unlink(),
    "another name": lambda photos: (photos / "dog").rename(photos / "fox"),
    "another time": touched,
    "another size": shortened,
    "no index": damaged(image_cache.INDEX, 0),
    "half an index": damaged(image_cache.INDEX, 100),
    "no images": damaged(image_cache.TRAIN, 0),
    "too few images": damaged(image_cache.VALIDATION, 300),
    "an older format": older,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_decoded_anew(photos, opened, change):
    read(photos)
    opened.clear()
    CHANGES[change](photos)
    found = read(photos)
    assert len(opened) == len(found.train) + len(found.test) > 0
    opened.clear()
    assert content(read(photos)) == content(found)
    assert opened == []


@pytest.mark.parametrize(
    "arguments", [{"image_size": 9}, {"seed": 1}, {"validation_share": 0.2}]
)
def test_other_arguments_decode_anew(photos, opened, arguments):
    first = read(photos)
    opened.clear()
    second = read(photos, **arguments)
    assert len(opened) == 31
    assert second.train.images.shape[1] == arguments.get("image_size", SIZE)
    assert first.train.images[0].shape == (SIZE, SIZE, 3)  # Still there, though gone.


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left")])
def test_an_interrupted_reading_leaves_nothing_half(photos, monkeypatch, error, before):
    """And an older cache as it was."""
    older = content(read(photos)) if before else None
    save(photos / "cat/new.png")
    written = []

    def fail(images, rows, path, gather=image_cache._gather):
        if written:
            raise error
        written.append(path)
        gather(images, rows, path)

    with monkeypatch.context() as patch:
        patch.setattr(image_cache, "_gather", fail)
        with pytest.raises((KeyboardInterrupt, OSError)):
            read(photos)
    run = photos.parent / "run"
    assert [path.name for path in run.iterdir()] == (["cache"] if before else [])
    (photos / "cat/new.png").unlink()
    again = content(read(photos))
    assert again == older if before else len(again[0][0][0]) == 28


def test_an_interrupt_while_decoding(photos, monkeypatch):
    """Leaves nothing behind, and no threads that go on with the rest."""
    begun = []

    def stop(path, size, decode=decoding.decode):
        begun.append(path)
        if len(begun) == 5:
            raise KeyboardInterrupt
        time.sleep(0.02)
        return decode(path, size)

    monkeypatch.setattr(decoding, "AHEAD", 20)
    monkeypatch.setattr(decoding.accelerator, "core_count", lambda: 1)
    monkeypatch.setattr(decoding, "decode", stop)
    with pytest.raises(KeyboardInterrupt):
        read(photos)
    assert list((photos.parent / "run").iterdir()) == []
    assert len(begun) < 10


def test_a_cache_that_another_process_replaced(photos, monkeypatch):
    def write(cache, key, paths, divide, write=image_cache.write):
        write(cache, {**key, "format": 0}, paths, divide)

    monkeypatch.setattr(image_cache, "write", write)
    with pytest.raises(OSError, match=r"Received: .*cache, .*another process"):
        read(photos)


MEMORY = """
import sys
from pathlib import Path
from PIL import Image
from josrc_keras.data import image_cache, image_folder

def anonymous():
    with open("/proc/self/status") as status:
        lines = dict(line.split(":") for line in status)
    return int(lines["RssAnon"].split()[0]) / 1024

def read(folder, count):
    for name in "ab":
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(count // 2):
            file = folder / "photos" / name / f"{number}.bmp"
            Image.new("L", (8, 8)).save(file)
    peak.clear()
    found = image_folder.read(
        folder / "photos", cache=folder / "cache", image_size=128
    )
    return max(*peak, anonymous())

gather, peak = image_cache._gather, []
image_cache._gather = lambda *args: peak.append(anonymous()) or gather(*args)
image_cache.ROWS = 16
few = read(Path(sys.argv[1]) / "few", 100)
print(read(Path(sys.argv[1]) / "many", 1000) - few)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's proc")
@pytest.mark.slow
def test_memory_does_not_hold_the_images(tmp_path):
    """900 images more, of 128 x 128 pixels, are 42 MiB."""
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="-1")
    output = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert float(output.split()[-1]) < 15
