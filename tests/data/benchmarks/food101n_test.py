"""Food-101N with Food-101's test split, built from tiny ones."""

import shutil
import tempfile
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from josrc_keras.data.benchmarks import encoded
from josrc_keras.data.benchmarks.food101n import Food101n
from tests.support import manual_data

RELEASE = "Food-101N_release"


class Food101nTest(tfds.testing.DatasetBuilderTestCase):
    """What TFDS asks of every dataset."""

    DATASET_CLASS = Food101n
    SPLITS = {"train": 9, "test": 3}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        manual_data.food101n(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.fixture
def folders(tmp_path):
    manual = manual_data.food101n(tmp_path / "manual")
    return {"manual_dir": manual, "data_dir": tmp_path / "data"}


def test_labels_verification_and_summary(folders):
    """Labels by name, in sorted order: `cheese_plate` is before `cheesecake`."""
    encoded.food101n(**folders)
    benchmark = encoded.food101n(data_dir=folders["data_dir"])
    assert benchmark.class_names == tuple(sorted(manual_data.FOODS))
    assert benchmark.class_names[:3] == ("cheese_plate", "cheesecake", "food_000")
    assert (benchmark.train, benchmark.test) == ("train", "test")
    assert benchmark.validation is None

    labels = {"food_000": 2, "cheesecake": 1, "cheese_plate": 0, "food_005": 7}
    found = {}
    for each in tfds.as_numpy(benchmark.read("train")):
        folder, _, name = each["id"].decode().partition("/")
        number = int(name.removesuffix(".jpg"), 16)
        assert each["label"] == labels[folder]
        assert each["image"] == manual_data.image(20 * number)
        found[number] = each["verified"]
    verified = {0: 1, 1: 0, 2: 1, 3: 0, 5: 0}  # 4 is cut off.
    assert found == {n: verified.get(n, -1) for n in range(10) if n != 4}

    found = {}
    for each in tfds.as_numpy(benchmark.read("test")):
        folder, _, name = each["id"].decode().partition("/")
        assert each["label"] == labels[folder]
        assert each["verified"] == -1
        found[name] = each["image"]
    names = ["11.jpg", "12.jpg", "13.jpg"]
    assert found == {n: manual_data.image(100 + i) for i, n in enumerate(names)}

    summary = benchmark.summary
    assert summary["verified_unlisted"] == [f"food_001/{0xA49E:032x}.jpg"]
    assert summary["listed"] == {"train": 10, "test": 3}
    assert summary["skipped"] == {"train": 1, "test": 0}
    [[split, path, reason]] = summary["skipped_images"]
    assert (split, path) == ("train", f"cheesecake/{4:032x}.jpg")
    assert "truncated" in reason.lower()


@pytest.mark.parametrize(
    "name",
    [
        f"{RELEASE}/meta/classes.txt",
        f"{RELEASE}/meta/imagelist.tsv",
        f"{RELEASE}/meta/verified_train.tsv",
        f"{RELEASE}/meta/verified_val.tsv",
        "food-101/meta/test.txt",
        f"{RELEASE}/images",
        "food-101/images",
    ],
)
def test_what_is_missing_is_named_and_the_build_runs_again(folders, name, tmp_path):
    path = folders["manual_dir"] / name
    path.rename(tmp_path / "aside")
    with pytest.raises(OSError, match="Food101n can't be read") as caught:
        encoded.food101n(**folders)
    text = str(caught.value)
    assert path.name in text.partition("Download instructions:")[0]
    assert "Download Food-101N_release.zip" in text
    (tmp_path / "aside").rename(path)
    assert encoded.food101n(**folders).size("train") == 9


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("classes.txt", "food_000", "Received: 102 lines, 101 different ones"),
        ("verified_train.tsv", "food_000/1.jpg\t2", "a number from 0 to 1 in"),
    ],
)
def test_broken_annotations(folders, name, line, message):
    with open(folders["manual_dir"] / RELEASE / "meta" / name, "a") as file:
        file.write(f"{line}\n")
    with pytest.raises(OSError, match=message):
        encoded.food101n(**folders)


def test_an_image_of_no_class_is_skipped(folders):
    """And counted; a class that has no images is no fault."""
    meta = folders["manual_dir"] / RELEASE / "meta" / "imagelist.tsv"
    meta.write_text(f"{meta.read_text()}soup/1.jpg\n")
    summary = encoded.food101n(**folders).summary
    assert summary["skipped"]["train"] == 2
    assert ["train", "soup/1.jpg", "is of no known class"] in summary["skipped_images"]
