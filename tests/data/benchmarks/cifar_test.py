import os
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from josrc_keras.data import cifar80n_o, cifar100n_c, noise

NAMES = [f"class{index}" for index in range(100)]
BENCHMARKS = [(cifar80n_o, 80), (cifar100n_c, 100)]


def label_of(rows):
    """The true label of the fake's row, so that it can be checked later."""
    return (np.asarray(rows) * 37 + 5) % 100


def fake_split(name, rows):
    """TFDS's dict for a split, in another order than that of the ids."""
    order = np.random.default_rng(1).permutation(rows)
    images = np.zeros((rows, 32, 32, 3), "uint8")
    images[:] = order[:, None, None, None]
    return {
        # Unpadded, so that sorting the text would be another order: 10 before 9.
        "id": tf.constant([f"{name}_{row}" for row in order]),
        "image": tf.constant(images),
        "label": tf.constant(label_of(order)),
        "coarse_label": tf.zeros(rows, tf.int64),
    }


@pytest.fixture
def fake(monkeypatch):
    """Replaces `tfds.load`; collects what it was asked for."""
    calls = []
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)  # It may hold the release.

    def load(name, *, split, data_dir, batch_size, with_info):
        calls.append((name, split, data_dir, batch_size, with_info))
        info = types.SimpleNamespace(
            features={"label": types.SimpleNamespace(names=NAMES)}
        )
        return [fake_split("train", 250), fake_split("test", 200)], info

    monkeypatch.setattr(tfds, "load", load)
    return calls


@pytest.mark.parametrize(("build", "classes"), BENCHMARKS)
def test_rows_come_in_the_order_of_the_ids(fake, build, classes):
    benchmark = build(rate=0.3, seed=4, data_dir="somewhere")
    assert fake == [("cifar100", ["train", "test"], "somewhere", -1, True)]
    train, test = benchmark.train, benchmark.test
    np.testing.assert_array_equal(train.ids, np.arange(250))
    np.testing.assert_array_equal(train.images[:, 5, 7, 2], np.arange(250))
    assert train.images.dtype == np.uint8

    truth = label_of(np.arange(250))
    expected = np.where(truth < classes, truth, -1)
    np.testing.assert_array_equal(train.true_labels, expected)
    assert (expected == -1).any() == (classes == 80)
    given = noise.corrupt(
        truth, kind="symmetric", num_classes=classes, rate=0.3, seed=4
    )
    np.testing.assert_array_equal(train.labels, given)
    assert benchmark.noise_checksum == noise.checksum(given)

    inside = np.flatnonzero(label_of(np.arange(200)) < classes)
    np.testing.assert_array_equal(test.ids, inside)
    np.testing.assert_array_equal(test.images[:, 0, 0, 0], inside)
    np.testing.assert_array_equal(test.labels, label_of(inside))
    np.testing.assert_array_equal(test.true_labels, label_of(inside))
    assert benchmark.class_names == tuple(NAMES[:classes])


@pytest.mark.parametrize(("build", "classes"), BENCHMARKS)
def test_arguments_reach_the_noise(fake, build, classes):
    benchmark = build(noise="blockflip", rate=1.0, train_size=60)
    assert fake[0][2] is None
    train = benchmark.train
    assert len(train) == 60
    inside = train.true_labels >= 0
    truth = train.true_labels[inside]
    following = truth // 5 * 5 + (truth + 1) % 5
    np.testing.assert_array_equal(train.labels[inside], following)
    assert build(seed=1).noise_checksum != build(seed=2).noise_checksum
    with pytest.raises(ValueError, match=r"images, 250\. Received: train_size=251\."):
        build(train_size=251)


@pytest.mark.parametrize(("build", "classes"), BENCHMARKS)
def test_unreadable_folder(build, classes, tmp_path):
    """A prepared dataset whose description is cut off: nothing is downloaded."""
    version = tmp_path / "cifar100" / "3.0.2"
    version.mkdir(parents=True)
    (version / "dataset_info.json").write_text("{", encoding="utf-8")
    message = (
        r"CIFAR-100 can't be read .*Received: data_dir=.*TFDS said: .*JSON.*"
        r"Expected a folder that TFDS has prepared.*Pass the right `data_dir`, or d"
    )
    with pytest.raises(OSError, match=message) as caught:
        build(data_dir=str(tmp_path))
    assert repr(str(tmp_path)) in str(caught.value)
    assert caught.value.__cause__ is not None


def test_an_error_without_a_text_is_named(monkeypatch):
    def load(*args, **kwargs):
        raise ConnectionAbortedError

    monkeypatch.setattr(tfds, "load", load)
    with pytest.raises(OSError, match=r"TFDS said: ConnectionAbortedError\."):
        cifar80n_o()


@pytest.fixture(scope="module")
def real():
    folder = Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()
    if not list(folder.glob("cifar100/*/dataset_info.json")):
        pytest.skip("CIFAR-100 is not prepared: set TFDS_DATA_DIR to a folder with it")
    return cifar80n_o(rate=0.2, seed=0, data_dir=str(folder))


def test_real_cifar80n_o_has_36_percent_wrong_labels(real):
    """All of the 20% outliers and 20% of the others: 0.2 + 0.8 * 0.2 = 0.36.

    Of 40,000 inliers 8,000 +- 80 are flipped, and 80/50,000 = 0.0016.
    """
    train = real.train
    assert np.mean(train.labels != train.true_labels) == pytest.approx(
        0.36, abs=4 * 0.0016
    )
    assert np.sum(train.true_labels == -1) == 10_000
    counts = np.bincount(train.true_labels[train.true_labels >= 0])
    np.testing.assert_array_equal(counts, np.full(80, 500))
    np.testing.assert_array_equal(np.bincount(real.test.labels), np.full(80, 100))
    np.testing.assert_array_equal(train.ids, np.arange(50_000))
    assert train.images.shape == (50_000, 32, 32, 3)
    assert (real.class_names[0], real.class_names[79]) == ("apple", "spider")


def test_real_cifar80n_o_has_the_frozen_labels(real):
    """A change of the draw, or of TFDS's ids, would change every result."""
    assert real.noise_checksum == (
        "bcd85b2115f82a15294b5046721e66494d13980083cf057097f5bbe61ac76eaa"
    )
