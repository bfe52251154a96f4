"""CIFAR-10N and CIFAR-100N, through TFDS's own builders, from fakes of their files."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from josrc_keras.data import noise
from josrc_keras.data.benchmarks import cifar_n
from tests.support import manual_data

ROWS = 400
COLUMNS = {  # In the order of the real file.
    10: {
        "aggre_label": 0.09,
        "worse_label": 0.4025,
        "random_label1": 0.1725,
        "random_label2": 0.18,
        "random_label3": 0.175,
    },
    100: {"noise_label": 0.4025},
}
KINDS = {
    "aggre": "aggre_label",
    "random1": "random_label1",
    "random2": "random_label2",
    "random3": "random_label3",
    "worst": "worse_label",
}


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """`{classes: (folders, true labels, given labels)}` of what TFDS built."""
    found = {}
    for classes, columns in COLUMNS.items():
        folder = tmp_path_factory.mktemp(f"cifar{classes}")
        labels = manual_data.cifar_n(folder, classes, ROWS, columns)
        folders = {"data_dir": folder / "data", "manual_dir": folder / "manual"}
        with pytest.MonkeyPatch.context() as patch:
            no_download(patch, folder / "release")
            read(classes, **folders)
        found[classes] = ({"data_dir": folders["data_dir"]}, *labels)
    return found


def no_download(patch, release):
    """The archive of CIFAR's images is there already, unpacked."""
    manager = tfds.download.DownloadManager
    patch.setattr(manager, "download_and_extract", lambda self, url: release)


def read(classes, **options):
    return {10: cifar_n.cifar10n, 100: cifar_n.cifar100n}[classes](**options)


def check(benchmark, truth, given):
    """Each image has its true and its given label, in the release's order."""
    train = benchmark.train
    np.testing.assert_array_equal(train.ids, np.arange(ROWS))
    np.testing.assert_array_equal(train.images[:, 3, 5, 1], np.arange(ROWS) % 256)
    np.testing.assert_array_equal(train.true_labels, truth)
    np.testing.assert_array_equal(train.labels, given)
    assert train.labels.dtype == train.true_labels.dtype == np.int64
    assert benchmark.noise_checksum == noise.checksum(given)
    test = benchmark.test
    np.testing.assert_array_equal(test.ids, np.arange(10))
    for labels in (test.labels, test.true_labels):
        np.testing.assert_array_equal(labels, np.arange(10))


@pytest.mark.parametrize("kind", KINDS)
def test_cifar10n_labels_come_to_their_images(builds, kind):
    """Shuffled in the file of labels; of each kind another share is wrong."""
    folders, truth, given = builds[10]
    benchmark = read(10, kind=kind, **folders)
    check(benchmark, truth, given[KINDS[kind]])
    assert benchmark.class_names == tuple(f"name {n}" for n in range(10))
    head = read(10, kind=kind, train_size=50, **folders)
    np.testing.assert_array_equal(head.train.labels, benchmark.train.labels[:50])
    assert head.noise_checksum == benchmark.noise_checksum


def test_cifar100n_labels_come_to_their_images(builds):
    folders, truth, given = builds[100]
    benchmark = read(100, **folders)
    check(benchmark, truth, given["noise_label"])
    assert benchmark.class_names == tuple(f"name {n}" for n in range(100))


def test_arguments(builds):
    message = r"kind='worse'\. Use one of \('aggre', 'random1', .*'worst'\)"
    with pytest.raises(ValueError, match=message):
        read(10, kind="worse", **builds[10][0])
    with pytest.raises(ValueError, match=r"images, 400\. Received: train_size=401"):
        read(10, train_size=401, **builds[10][0])


@pytest.mark.parametrize("fault", ["order", "column"])
def test_labels_of_other_images_or_of_another_column(fault, tmp_path, monkeypatch):
    """The labels of the shuffled file in its own order; pandas' column of row numbers.

    With that the second column, here the true labels, is taken for the first kind.
    """
    manual_data.cifar_n(tmp_path, 10, ROWS, COLUMNS[10])
    no_download(monkeypatch, tmp_path / "release")
    manual = tmp_path / "manual"
    if fault == "order":
        np.save(manual / "image_order_c10.npy", np.arange(ROWS))
    else:
        path = manual / "CIFAR-10_human_annotations.csv"
        rows = path.read_text().splitlines()
        shifted = [f"{row},{line}" for row, line in enumerate(rows)]
        path.write_text(manual_data.lines(shifted))
    wrong = {"order": r"(8|9)\d\.\d\d%", "column": r"0\.00%"}[fault]
    message = (
        r"Expected 9\.03% wrong labels among the aggre_labels of cifar10_n\. "
        f"Received: {wrong}, so they are other ones or in another order. Delete "
        f"{tmp_path}/data/cifar10_n/.*and build it again"
    )
    folders = {"data_dir": tmp_path / "data", "manual_dir": manual}
    with pytest.raises(OSError, match=message):
        read(10, kind="aggre", **folders)


@pytest.mark.parametrize("classes", COLUMNS)
@pytest.mark.parametrize("missing", ["folder", "file"])
def test_missing_label_files(classes, missing, tmp_path, monkeypatch):
    """The error has TFDS's own instructions, once; with the file it builds."""
    manual_data.cifar_n(tmp_path, classes, ROWS, COLUMNS[classes])
    no_download(monkeypatch, tmp_path / "release")
    folders = {"data_dir": tmp_path / "data", "manual_dir": tmp_path / "manual"}
    name = f"CIFAR-{classes}_human_annotations.csv"
    path = tmp_path / "manual" / name if missing == "file" else tmp_path / "manual"
    path.rename(tmp_path / "aside")
    with pytest.raises(OSError, match=f"cifar{classes}_n can't be read") as caught:
        read(classes, **folders)
    text = str(caught.value)
    assert text.count(f"Then convert 'CIFAR-{classes}_human_ordered.npy'") == 1
    assert f"manual_dir={tmp_path / 'manual'}" in text
    assert str(path) in text
    (tmp_path / "aside").rename(path)
    assert len(read(classes, **folders).train) == ROWS
