"""A folder of photos as records: the images of its cache, in another order."""

import json

import numpy as np
import pytest

from josrc_keras.cleaning import audit_of_run
from josrc_keras.configs import image_folder as image_folder_page
from josrc_keras.configs import photos_resnet50
from josrc_keras.data import records
from josrc_keras.data.photos import folder as image_folder
from josrc_keras.data.records import from_folder
from josrc_keras.runs import build_data, train
from tests.support import photos
from tests.support.forks import Forks

pytest.importorskip("PIL")
CLASSES = {"cat": 24, "dog": 12, "eel": 9}


@pytest.fixture
def folder(tmp_path):
    photos.fill(tmp_path / "photos", **CLASSES)
    return tmp_path / "photos"


@pytest.fixture
def both(folder, tmp_path):
    """What the cache holds, and what the records do."""
    options = {"image_size": photos.SIZE, "validation_share": 0.2, "seed": 3}
    from_folder.write(folder, tmp_path / "records", **options)
    cached = image_folder.read(folder, cache=tmp_path / "cache", **options)
    return cached, records.read(tmp_path / "records")


def test_the_same_photos(both):
    """Near the cache's pixels, for JPEG loses some; labels are equal."""
    cached, written = both
    assert written.class_names == cached.class_names == tuple(CLASSES)
    for name in ("train", "test"):
        ours, theirs = getattr(written, name), getattr(cached, name)
        order = np.argsort(ours.ids)
        other = np.argsort(theirs.ids)
        assert ours.ids[order].tolist() == theirs.ids[other].tolist()
        assert ours.labels[order].tolist() == theirs.labels[other].tolist()
        assert ours.true_labels is None
        images = np.asarray(ours.images)[order].astype(int)
        assert np.abs(images - np.asarray(theirs.images)[other]).mean() < 6


def test_classes_are_mixed_in_a_random_order(folder, both, tmp_path):
    """Of the seed, so that two writes are the same."""
    _, written = both
    labels = written.train.labels
    assert len(set(labels[:12])) == 3
    for seed in (3, 4):
        from_folder.write(
            folder,
            tmp_path / f"again{seed}",
            image_size=photos.SIZE,
            validation_share=0.2,
            seed=seed,
        )
    same, other = (records.read(tmp_path / f"again{seed}").train for seed in (3, 4))
    assert same.ids.tolist() == written.train.ids.tolist()
    assert other.ids.tolist() != same.ids.tolist()


def test_a_folder_to_validate_on(folder, tmp_path):
    photos.fill(tmp_path / "held", cat=3, eel=2)
    from_folder.write(
        folder, tmp_path / "r", image_size=photos.SIZE, validation_dir=tmp_path / "held"
    )
    found = records.read(tmp_path / "r")
    assert (len(found.train), len(found.test)) == (45, 5)
    assert sorted(found.test.labels) == [0, 0, 0, 2, 2]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"validation_share": 0.0}, "Received: .*0"),
        ({"image_size": 0}, "Received: .*0"),
        ({"broken": "delete"}, "Received: broken='delete'"),
    ],
)
def test_what_is_refused(folder, tmp_path, options, text):
    with pytest.raises(ValueError, match=text):
        from_folder.write(folder, tmp_path / "records", **options)
    assert not (tmp_path / "records").exists()


def test_records_within_the_photos_are_refused(folder):
    with pytest.raises(ValueError, match="Received"):
        from_folder.write(folder, folder / "records")


@pytest.mark.slow
def test_from_the_shell_to_an_audit(folder, tmp_path, tmp_path_factory):
    """`josrc-records`, then the page for large photos with a small network."""
    (folder / "cat/broken.jpg").write_text("no image")
    (folder / "dog/none.jpg").write_bytes(b"")
    forks = Forks(
        "josrc_keras.commands.records", tmp_path, tmp_path_factory.mktemp("logs")
    )
    command = ["--config=image_folder", "--config.data.dir=photos", "--output=records"]
    try:
        done = forks.run(*command, "--config.data.image_size=20")
        again = forks.run(*command)
        nothing = forks.run("--config=image_folder", "--output=other")
    finally:
        forks.close()
    assert done[0] == 0, done[2]
    assert "41 + 4 images: records" in done[1]
    assert again[0] == 2 and "Received: records, which exists" in again[2]
    assert nothing[0] == 2 and "config.data.dir=None" in nothing[2]
    config = photos_resnet50.get_config()
    assert image_folder_page.get_config().model.alpha == config.model.alpha
    fields = {
        "augmentation.size": 16,
        "batch_size": 8,
        "data.dir": str(tmp_path / "records"),
        "epochs": 2,
        "network.name": "digits_cnn",
        "network.weights": "random",
        "threshold.warmup_epochs": 1,
    }
    config.update_from_flattened_dict(fields)
    summary = train.train(config, tmp_path / "run", verbose=0)
    assert (summary["train_images"], summary["test_images"]) == (41, 4)
    assert (summary["skipped_images"], summary["test_labels"]) == (2, "as given")
    assert build_data.make_benchmark(config).validation is None
    audit_of_run.write(tmp_path / "run", tmp_path / "audit", max_thumbnails=3)
    found = json.loads((tmp_path / "audit/findings.json").read_text())
    assert (found["images"], found["classes"]) == (45, 3)  # With those to report on.
    assert {each["id"] for each in found["skipped"]} == {
        "cat/broken.jpg",
        "dog/none.jpg",
    }
