"""A folder of photos is read as it is, and what is wrong with it is said."""

import os
import sys

import numpy as np
import pytest

from josrc_keras.data import noise
from josrc_keras.data.photos import decoding
from josrc_keras.data.photos import folder as image_folder
from tests.support.photos import SIZE, content, fill, make, read, save
from tests.support.photos import opened as count_opened

pytest.importorskip("PIL")


@pytest.fixture
def photos(tmp_path):
    return make(tmp_path)


@pytest.fixture
def opened(monkeypatch):
    return count_opened(monkeypatch)


def test_images_labels_and_ids_belong_together(tmp_path):
    greys = fill(tmp_path / "photos", dog=20, cat=10, eel=1)
    found = read(tmp_path / "photos")
    assert found.class_names == ("cat", "dog", "eel")
    assert found.skipped == ()
    assert found.validation is None
    assert found.noise_checksum == noise.checksum(found.train.labels)
    seen = []
    for split in (found.train, found.test):
        assert isinstance(split.images, np.memmap)
        assert not split.images.flags.writeable
        assert split.images.shape == (len(split), SIZE, SIZE, 3)
        assert split.images.dtype == np.uint8
        assert split.labels.dtype == np.int64
        assert split.true_labels is None
        for image, label, name in zip(
            split.images, split.labels, split.ids, strict=True
        ):
            assert name.split("/")[0] == found.class_names[label]
            np.testing.assert_array_equal(image, greys[name])
        assert split.ids.tolist() == sorted(split.ids)
        seen += split.ids.tolist()
    assert sorted(seen) == sorted(greys)


def test_a_share_of_each_class_is_for_validation(photos):
    """A tenth of 10, of 20, and of 1; a share of 0.99 leaves one of each class."""
    found = read(photos)
    assert np.bincount(found.test.labels, minlength=3).tolist() == [1, 2, 0]
    found = read(photos, validation_share=0.99)
    assert np.bincount(found.train.labels).tolist() == [1, 1, 1]
    found = read(photos, validation_share=0.001)
    assert np.bincount(found.test.labels, minlength=3).tolist() == [1, 1, 0]


def test_the_seed_chooses_and_other_classes_do_not(photos):
    ids = [read(photos, seed=seed).test.ids.tolist() for seed in (0, 1, 0)]
    assert ids[0] == ids[2]
    assert ids[0] != ids[1]
    fill(photos, ant=3, emu=5)
    again = read(photos).test.ids.tolist()
    assert [name for name in again if name[:3] in ("cat", "dog")] == ids[0]


def test_a_folder_for_validation(photos, tmp_path):
    """Its labels count as the classes of the training images do."""
    fill(tmp_path / "held", eel=2, cat=1)
    (tmp_path / "held/eel/bad.png").write_text("no image")
    save(tmp_path / "held/lost.png")
    found = read(photos, validation_dir=tmp_path / "held", validation_share=0)
    assert len(found.train) == 31
    assert found.test.ids.tolist() == ["cat/000.png", "eel/000.png", "eel/001.png"]
    assert found.test.labels.tolist() == [0, 2, 2]
    (bad, why), (lost, _) = found.skipped
    assert bad == f"{tmp_path}/held/eel/bad.png"
    assert "no image of a known format" in why
    assert lost == f"{tmp_path}/held/lost.png"
    with pytest.raises(ValueError, match=r"1 broken, such as '.*eel/bad\.png' is no"):
        read(photos, validation_dir=tmp_path / "held", broken="refuse")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"cat": 1, "fox": 1}, r"the classes \['fox'\] too.*Rename or remove"),
        ({}, "no usable image. Add some"),
    ],
)
def test_a_folder_for_validation_that_does_not_fit(photos, tmp_path, counts, message):
    (tmp_path / "held" / "empty").mkdir(parents=True)
    fill(tmp_path / "held", **counts)
    with pytest.raises(ValueError, match=rf"\['cat', 'dog', 'eel'\].*{message}"):
        read(photos, validation_dir=tmp_path / "held")


def test_files_are_found_at_any_depth_and_others_ignored(photos, monkeypatch):
    save(photos / "cat/a/b/DEEP.PNG")
    save(photos / "cat/.hidden.png")
    save(photos / "cat/.thumbs/a.png")
    save(photos / "__MACOSX/cat/a.png")
    save(photos / ".git/a.png")
    save(photos / "lost.png")
    (photos / "cat/Thumbs.db").write_text("x")
    (photos / "cat/notes.txt").write_text("x")
    (photos / "read.me").write_text("x")
    lines = []
    monkeypatch.setattr(
        image_folder.logging, "info", lambda text, *values: lines.append(text % values)
    )
    found = read(photos)
    assert "cat/a/b/DEEP.PNG" in {*found.train.ids, *found.test.ids}
    assert len(found.train) + len(found.test) == 32
    assert found.skipped == (("lost.png", "lies in no class folder"),)
    assert (
        "29 training and 3 validation images of 3 classes; 1 skipped, 7 hid"
        in (lines[-1])
    )
    assert len(lines) == 2


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_symbolic_links(photos, tmp_path):
    """To files and folders, not to what they lie in; one to nowhere is broken."""
    save(tmp_path / "else/one.png", 7)
    (photos / "cat/link.png").symlink_to(tmp_path / "else/one.png")
    (photos / "fox").symlink_to(tmp_path / "else")
    (photos / "dog/up").symlink_to(photos / "dog")
    (photos / "dog/top").symlink_to(photos)
    (photos / "dog/gone.png").symlink_to(tmp_path / "gone.png")
    (photos / "dog/self.png").symlink_to(photos / "dog/self.png")
    found = read(photos)
    ids = {*found.train.ids, *found.test.ids}
    assert {"cat/link.png", "fox/one.png"} < ids
    assert not any("up/" in name or "top/" in name for name in ids)
    assert len(ids) == 33
    assert found.skipped == (
        ("dog/gone.png", "can't be read: No such file or directory"),
        ("dog/self.png", "can't be read: Too many levels of symbolic links"),
    )


@pytest.mark.skipif(os.name == "nt", reason="needs pipes")
def test_what_is_no_usable_file_is_skipped_unopened(photos, opened, monkeypatch):
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: "003" not in str(path) and access(path, mode)
    )
    os.mkfifo(photos / "cat/pipe.png")
    (photos / "cat/void.png").touch()
    save(photos / "cat/a.png")
    os.rename(photos / "cat/a.png", os.fsencode(photos) + b"/cat/caf\xe9.png")
    assert read(photos).skipped == (
        ("cat/003.png", "can't be read: Permission denied"),
        ("cat/caf\\xe9.png", "has a name that is not UTF-8"),
        ("cat/pipe.png", "is no regular file"),
        ("cat/void.png", "is empty"),
        ("dog/003.png", "can't be read: Permission denied"),
    )
    assert len(opened) == 29


NAMES = ["日本", "Ärger", "a b", 'it\'s "so"', "<script>", "&amp;", "Cat", "dog", "été"]


def test_names_of_all_kinds(tmp_path):
    for name in NAMES:
        save(tmp_path / "photos" / name / f"{name} #1 %s.png")
        save(tmp_path / "photos" / name / f"{name}\n2.png")
    for _ in range(2):  # Decoded, then from the cache.
        found = read(tmp_path / "photos")
        assert found.class_names == tuple(sorted(NAMES))
        ids = {*found.train.ids.tolist(), *found.test.ids.tolist()}
        assert ids == {
            f"{n}/{n}{end}" for n in NAMES for end in (" #1 %s.png", "\n2.png")
        }


def test_classes_are_in_order_before_their_paths(tmp_path):
    """As texts "a b/..." comes before "a/...", but "a" is before "a b"."""
    for name in ("a b", "a", "a.b"):
        save(tmp_path / "photos" / name / "1.png")
        save(tmp_path / "photos" / name / "2.png")
    found = read(tmp_path / "photos")
    assert found.class_names == ("a", "a b", "a.b")
    assert found.train.labels.tolist() == [0, 1, 2]


def test_the_file_systems_order_does_not_matter(photos, monkeypatch):
    expected = content(read(photos))
    scandir = os.scandir

    class Backwards:
        def __init__(self, folder):
            self.entries = scandir(folder)

        def __enter__(self):
            return reversed(list(self.entries))

        def __exit__(self, *error):
            self.entries.close()

    monkeypatch.setattr(os, "scandir", Backwards)
    monkeypatch.setattr(decoding.accelerator, "core_count", lambda: 7)
    assert content(read(photos, cache=photos.parent / "other")) == expected


def test_one_of_a_hundred_files_is_broken(tmp_path):
    greys = fill(tmp_path / "photos", cat=100, dog=100)
    for name in ("cat/050.png", "dog/007.png"):
        path = tmp_path / "photos" / name
        path.write_bytes(path.read_bytes()[:50])
    for _ in range(2):
        found = read(tmp_path / "photos")
        assert [name for name, _ in found.skipped] == ["cat/050.png", "dog/007.png"]
        assert all("truncated" in reason for _, reason in found.skipped)
        assert len(found.train) + len(found.test) == 198
        for name, image in zip(found.train.ids, found.train.images, strict=True):
            np.testing.assert_array_equal(image, greys[name])
        with pytest.raises(
            ValueError, match=r"2 broken, such as 'cat/050\.png' image.*broken='skip'"
        ):
            read(tmp_path / "photos", broken="refuse")


def test_a_class_without_images_is_left_out(photos, monkeypatch):
    warnings = []
    monkeypatch.setattr(
        image_folder.logging,
        "warning",
        lambda text, *values: warnings.append(text % values),
    )
    (photos / "ant").mkdir()
    save(photos / "bee/bad.png")
    (photos / "bee/bad.png").write_text("no image")
    found = read(photos)
    assert found.class_names == ("cat", "dog", "eel")
    (line,) = warnings
    assert "classes ['ant', 'bee']" in line


def test_folders_that_look_like_splits_are_warned_of(tmp_path, monkeypatch):
    fill(tmp_path / "photos", train=3, val=2)
    warnings = []
    monkeypatch.setattr(
        image_folder.logging,
        "warning",
        lambda text, *values: warnings.append(text % values),
    )
    read(tmp_path / "photos")
    assert "pass another one as `validation_dir`" in warnings[0]


def bad_folder(folder, how):
    if how == "a file":
        folder.write_text("x")
        return
    if how == "missing":
        return
    folder.mkdir()
    if how == "only at the top":
        save(folder / "a.png")
    elif how == "one class":
        fill(folder, cat=3)
        (folder / "dog").mkdir()
    elif how == "all broken":
        for name in ("cat", "dog"):
            for file in ("a.png", "b.png"):
                save(folder / name / file)
                (folder / name / file).write_text("no image")
    elif how == "one class, others broken":
        fill(folder, cat=3, dog=1)
        (folder / "dog/000.png").write_text("no image")
    elif how == "other files":
        (folder / "cat").mkdir()
        (folder / "cat" / "a.raw").touch()
    elif how == "single images":
        fill(folder, cat=1, dog=1)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "which does not exist"),
        ("a file", "which is no folder"),
        ("empty", "with no usable image, and 0 hidden or other files. Put the im"),
        ("other files", "with no usable image, and 1 hidden"),
        ("only at the top", "1 images that lie in no class folder, such as 'a.png'"),
        ("one class", "with images of one class only, 'cat'"),
        ("all broken", "no usable image.*; 4 broken, such as 'cat/a.png' is no image"),
        ("one class, others broken", "one class only, 'cat'; 1 broken, such as 'dog"),
        (
            "single images",
            "one usable image in each of its 2 classes. Add images, or pass",
        ),
    ],
)
def test_bad_folders_say_what_is_wrong(tmp_path, how, message):
    bad_folder(tmp_path / "photos", how)
    with pytest.raises(ValueError, match=rf"Expected .*Received: .*photos.*{message}"):
        read(tmp_path / "photos")
    run = tmp_path / "run"
    assert not run.exists() or list(run.iterdir()) == []
    if how in ("missing", "a file"):
        fill(tmp_path / "good", cat=2, dog=2)
        with pytest.raises(ValueError, match=message):
            read(tmp_path / "good", validation_dir=tmp_path / "photos")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 7}, "8 pixels or more.*image_size=7"),
        ({"image_size": 64.0}, "image_size=64.0"),
        ({"validation_share": 0}, "validation_share=0. Choose 0.1, or pass"),
        ({"validation_share": 1.0}, "validation_share=1.0"),
        ({"broken": "keep"}, "('skip', 'refuse').*broken='keep'"),
        ({"train_size": 29}, "train_size=29"),
        ({"train_size": 0}, "train_size=0"),
    ],
)
def test_arguments_out_of_range(photos, arguments, message):
    with pytest.raises(
        ValueError, match=message.replace("('", r"\('").replace("')", "'\\)")
    ):
        read(photos, **arguments)


def test_a_cache_replaces_nothing_else(photos):
    """Least of all the photos."""
    other = photos.parent / "other"
    fill(other, cat=1)
    for cache in (photos, photos / "cache", photos.parent):
        with pytest.raises(ValueError, match=r"separate folders.*one holds the other"):
            read(photos, cache=cache)
    with pytest.raises(ValueError, match="separate folders"):
        read(photos, validation_dir=photos / "cat")
    for cache in (other, other / "cat/000.png"):
        with pytest.raises(ValueError, match="holds something else"):
            read(photos, cache=cache)
    assert sum(path.is_file() for path in photos.parent.rglob("*")) == 32


def test_some_of_the_training_images_are_of_all_classes(photos, opened):
    whole = read(photos)
    some = read(photos, train_size=20)
    assert len(some.train) == 20
    assert set(some.train.labels) >= {0, 1}
    assert some.train.ids.tolist() == sorted(some.train.ids)
    rows = np.flatnonzero(np.isin(whole.train.ids, some.train.ids))
    np.testing.assert_array_equal(some.train.images, whole.train.images[rows])
    np.testing.assert_array_equal(some.train.labels, whole.train.labels[rows])
    assert some.noise_checksum == whole.noise_checksum
    assert some.class_names == whole.class_names
    assert len(read(photos, train_size=28).train) == 28
    assert len(opened) == 31


def test_without_pillow(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"pip install josrc-keras\[report\]"):
        read(photos)
