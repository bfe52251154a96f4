"""Which images are audited that were not trained on, and by which ids."""

import ml_collections
import numpy as np
import pytest

from josrc_keras.cleaning import audit_of_run
from josrc_keras.data.benchmark import Benchmark, Split

TRAIN = ["cat/1.png", "dog/1.png"]


def split(ids, truth=None):
    labels = np.arange(len(ids)) % 2
    truth = labels if truth == "given" else truth
    return Split(np.zeros((len(ids), 4, 4, 3), np.uint8), labels, truth, np.array(ids))


def benchmark(test, validation=None, train=TRAIN):
    return Benchmark(split(train), test, ("cat", "dog"), "", validation)


def config(name, validation_dir=None):
    data = {"name": name, "validation_dir": validation_dir}
    return ml_collections.ConfigDict({"data": data})


def ids_of(name, found, validation_dir=None):
    held_out = audit_of_run._held_out(config(name, validation_dir), found)
    return [each.ids.tolist() for each in held_out]


@pytest.mark.parametrize("name", ["image_folder", "records"])
def test_photos_to_report_on(name):
    """Of a share of the folder: their ids say where they are."""
    test = split(["cat/2.png", "dog/2.png"])
    assert ids_of(name, benchmark(test)) == [["cat/2.png", "dog/2.png"]]


def test_photos_in_a_validation_dir(tmp_path, monkeypatch):
    """Their ids begin with it, as those of skipped ones do, also without need."""
    test = split(["cat/1.png", "dog/2.png"])
    expected = [[f"{tmp_path}/held/cat/1.png", f"{tmp_path}/held/dog/2.png"]]
    found = benchmark(test)
    assert ids_of("image_folder", found, f"{tmp_path}/held") == expected
    monkeypatch.chdir(tmp_path)
    assert ids_of("image_folder", found, "held") == expected
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ids_of("image_folder", found, "~/held") == expected


def test_records_of_a_validation_dir():
    """They don't say that there was one: ids are told apart where it is needed."""
    test = split(["cat/1.png", "dog/2.png"])
    found = benchmark(test)
    assert ids_of("records", found) == [["test/cat/1.png", "test/dog/2.png"]]
    found = benchmark(test, train=[*TRAIN, "test/cat/1.png"])  # A class called test.
    assert ids_of("records", found) == [["test/test/cat/1.png", "test/test/dog/2.png"]]


def test_records_with_numbers():
    found = benchmark(split([0, 1, 2]), split([2, 3, 4]), train=[0, 1])
    assert ids_of("records", found) == [[2, 3, 4], ["test/0", "test/1", "test/2"]]


def test_true_labels_are_not_audited():
    """Nor those that people checked, as of Clothing1M."""
    truth = split(["cat/2.png", "dog/2.png"], "given")
    assert ids_of("records", benchmark(truth)) == []
    assert ids_of("clothing1m", benchmark(truth, truth)) == []
    noisy = split(["cat/3.png"], np.array([1]))
    assert ids_of("digits8n_o", benchmark(truth, noisy)) == [["cat/3.png"]]


def test_images_stay_with_their_ids():
    test = split(["cat/1.png"])
    (found,) = audit_of_run._held_out(config("records"), benchmark(test))
    assert found.images is test.images and found.labels is test.labels
