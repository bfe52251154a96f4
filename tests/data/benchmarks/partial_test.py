"""partial: which images of which classes, how many, and with which labels."""

import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from josrc_keras.configs import partial_digits
from josrc_keras.data import noise, partial
from josrc_keras.data.benchmarks.digits import load_digits
from josrc_keras.data.benchmarks.image_noise import weak_labels
from josrc_keras.runs import build_data

pytest.importorskip("sklearn.datasets")

NAMES = [f"class{index}" for index in range(100)]


def digits(**arguments):
    return partial(source="digits", **arguments)


@pytest.fixture(scope="module")
def original():
    """Images and labels of all digits by original row, and the training rows."""
    train, test, _ = load_digits()
    images, labels = np.empty((1797, 8, 8, 1), "uint8"), np.empty(1797, int)
    for part_images, part_labels, rows in (train, test):
        images[rows], labels[rows] = part_images, part_labels
    return images, labels, train[2]


def counts_of(split):
    """Images of each class; those of other classes first."""
    return np.bincount(split.true_labels + 1).tolist()


def test_all_images_of_the_classes(original):
    """As they are, in original order; the test set has no other classes."""
    images, labels, train_rows = original
    benchmark = digits(classes=8)
    train, test = benchmark.train, benchmark.test
    rows = np.arange(1797)
    np.testing.assert_array_equal(train.ids, train_rows[labels[train_rows] < 8])
    np.testing.assert_array_equal(test.ids, rows[(rows % 4 == 0) & (labels < 8)])
    for split in (train, test):
        np.testing.assert_array_equal(split.images, images[split.ids])
        np.testing.assert_array_equal(split.true_labels, labels[split.ids])
    np.testing.assert_array_equal(test.labels, test.true_labels)
    assert benchmark.class_names == tuple("01234567")
    assert benchmark.noise_checksum == noise.checksum(train.labels)
    assert benchmark.validation is None


def first_rows(labels, rows, label, count):
    return [row for row in rows if labels[row] == label][:count]


def test_so_many_of_each_class(original):
    """The first of each in original order; train and test each have their number."""
    _, labels, train_rows = original
    benchmark = digits(classes=6, images_per_class=30, test_images_per_class=11)
    assert counts_of(benchmark.train) == [0] + [30] * 6
    assert counts_of(benchmark.test) == [0] + [11] * 6
    expected = [first_rows(labels, train_rows, label, 30) for label in range(6)]
    np.testing.assert_array_equal(benchmark.train.ids, np.sort(np.ravel(expected)))
    expected = [first_rows(labels, range(0, 1797, 4), label, 11) for label in range(6)]
    np.testing.assert_array_equal(benchmark.test.ids, np.sort(np.ravel(expected)))


# Of 64 images: 64 / 16 ** (i / 4), and 100 / 20 ** (i / 3) rounded.
IMBALANCES = [
    (5, 64, 16.0, [64, 32, 16, 8, 4]),
    (4, 100, 20.0, [100, 37, 14, 5]),
    (2, 50, 10.0, [50, 5]),
    (3, 20, 1000.0, [20, 1, 1]),  # At least one.
    (3, 20, 1.0, [20, 20, 20]),
]


@pytest.mark.parametrize(("classes", "images", "imbalance", "expected"), IMBALANCES)
def test_the_counts_of_an_imbalance(classes, images, imbalance, expected):
    """In equal ratios; the test set is as it was."""
    benchmark = digits(
        classes=classes,
        images_per_class=images,
        imbalance=imbalance,
        test_images_per_class=20,
    )
    assert counts_of(benchmark.train) == [0, *expected]
    assert counts_of(benchmark.test) == [0] + [20] * classes


@pytest.mark.parametrize(
    ("classes", "images", "share", "foreign"),
    [(8, 100, 0.2, 200), (6, 90, 0.4, 360), (5, 30, 0.1, 17), (5, 30, 0.0, 0)],
)
def test_the_share_of_out_of_distribution_images(classes, images, share, foreign):
    """Of all training images; 150 * 0.1 / 0.9 = 16.7, so 17. None in the test set."""
    benchmark = digits(classes=classes, images_per_class=images, ood_share=share)
    train = benchmark.train
    assert counts_of(train) == [foreign] + [images] * classes
    outside = train.true_labels == -1
    assert outside.mean() == pytest.approx(share, abs=0.5 / len(train))
    assert set(train.labels) == set(range(classes))
    assert benchmark.test.true_labels.min() == 0
    if foreign > 100:
        assert set(train.labels[outside]) == set(range(classes))


def test_out_of_distribution_images_are_the_first_in_turn(original):
    """17 images of the classes 5 to 9: four of 5 and 6, three of the others."""
    _, labels, train_rows = original
    train = digits(classes=5, images_per_class=30, ood_share=0.1).train
    outside = train.ids[train.true_labels == -1]
    expected = [
        row
        for label, count in zip(range(5, 10), (4, 4, 3, 3, 3), strict=True)
        for row in first_rows(labels, train_rows, label, count)
    ]
    np.testing.assert_array_equal(outside, np.sort(expected))
    assert (np.diff(train.ids) > 0).all()  # All in original order.


def test_the_first_class_wraps_around(original):
    """Classes 8, 9, 0, 1 by that order; 2 and what follows is out of distribution."""
    images, labels, _ = original
    benchmark = digits(
        classes=4, first_class=8, images_per_class=20, ood_share=0.05, rate=0.0
    )
    assert benchmark.class_names == ("8", "9", "0", "1")
    train, test = benchmark.train, benchmark.test
    place = {8: 0, 9: 1, 0: 2, 1: 3}
    for split in (train, test):
        expected = [place.get(label, -1) for label in labels[split.ids]]
        np.testing.assert_array_equal(split.true_labels, expected)
        np.testing.assert_array_equal(split.images, images[split.ids])
    assert counts_of(train) == [4, 20, 20, 20, 20]
    foreign = labels[train.ids[train.true_labels == -1]]
    np.testing.assert_array_equal(np.sort(foreign), [2, 3, 4, 5])
    assert set(test.true_labels) == {0, 1, 2, 3}


def test_an_imbalance_goes_by_the_order_of_the_classes():
    benchmark = digits(classes=3, first_class=9, images_per_class=36, imbalance=9.0)
    assert benchmark.class_names == ("9", "0", "1")
    assert counts_of(benchmark.train) == [0, 36, 12, 4]


@pytest.mark.parametrize("kind", noise.KINDS)
def test_the_noise_is_drawn_for_what_is_kept(kind):
    options = {"classes": 5, "images_per_class": 60, "ood_share": 0.2}
    train = digits(**options, noise=kind, rate=0.3, seed=7).train
    expected = noise.corrupt(
        train.true_labels, kind=kind, num_classes=5, rate=0.3, seed=7
    )
    np.testing.assert_array_equal(train.labels, expected)
    inside = train.true_labels >= 0
    wrong = (train.labels != train.true_labels)[inside].mean()
    assert wrong == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / 300) ** 0.5)


def test_noise_that_depends_on_the_image():
    """A weak network's mistakes, exactly as many as were asked for."""
    options = {"classes": 8, "images_per_class": 50, "ood_share": 0.2}
    benchmark = digits(**options, noise="image", rate=0.3, seed=2)
    train = benchmark.train
    expected = weak_labels(
        train.images, train.true_labels, num_classes=8, rate=0.3, seed=2
    )
    np.testing.assert_array_equal(train.labels, expected)
    assert benchmark.noise_checksum == noise.checksum(expected)
    inside = train.true_labels >= 0
    assert (train.labels != train.true_labels)[inside].sum() == 120  # 0.3 * 8 * 50


@pytest.mark.parametrize("kind", ["symmetric", "image"])
def test_one_seed_is_one_noise(kind):
    """Of the same images; rate 0 leaves all labels of the classes right."""
    options = {"classes": 6, "images_per_class": 40, "ood_share": 0.1, "noise": kind}
    first, again, other = (digits(**options, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(again.train.labels, first.train.labels)
    assert again.noise_checksum == first.noise_checksum != other.noise_checksum
    np.testing.assert_array_equal(other.train.ids, first.train.ids)
    clean = digits(**options, rate=0.0).train
    inside = clean.true_labels >= 0
    np.testing.assert_array_equal(clean.labels[inside], clean.true_labels[inside])


@pytest.mark.parametrize("kind", ["symmetric", "image"])
def test_train_size_keeps_the_first_images_and_their_labels(kind):
    options = {"classes": 6, "ood_share": 0.1, "noise": kind}
    whole, head = digits(**options), digits(**options, train_size=100)
    assert len(head.train) == 100
    np.testing.assert_array_equal(head.train.ids, whole.train.ids[:100])
    np.testing.assert_array_equal(head.train.labels, whole.train.labels[:100])
    assert head.noise_checksum == whole.noise_checksum
    assert len(head.test) == len(whole.test)


def label_of(rows):
    """The true label of the fake CIFAR-100's row."""
    return (np.asarray(rows) * 37 + 5) % 100


def fake_split(name, rows):
    """TFDS's dict for a split, in another order than that of the ids."""
    order = np.random.default_rng(1).permutation(rows)
    images = np.zeros((rows, 32, 32, 3), "uint8")
    images[..., 0] = (order % 256)[:, None, None]
    images[..., 1] = (order // 256)[:, None, None]
    return {
        "id": tf.constant([f"{name}_{row}" for row in order]),
        "image": tf.constant(images),
        "label": tf.constant(label_of(order)),
    }


@pytest.fixture
def fake(monkeypatch):
    """Replaces `tfds.load`; collects the folders that it was asked for."""
    folders = []
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)  # It may hold the release.

    def load(name, *, split, data_dir, batch_size, with_info):
        folders.append((name, data_dir))
        info = types.SimpleNamespace(
            features={"label": types.SimpleNamespace(names=NAMES)}
        )
        return [fake_split("train", 600), fake_split("test", 200)], info

    monkeypatch.setattr(tfds, "load", load)
    return folders


def test_classes_of_cifar_100(fake):
    """Of each class 6 training images and 2 test images; after 99 follows 0.

    Of 8 * 4 = 32 images with a fifth others, 8: the first of the classes 3 to 10.
    """
    benchmark = partial(
        first_class=95, images_per_class=4, ood_share=0.2, data_dir="somewhere"
    )
    assert fake == [("cifar100", "somewhere")]
    order = [95, 96, 97, 98, 99, 0, 1, 2]
    assert benchmark.class_names == tuple(f"class{label}" for label in order)
    train, test = benchmark.train, benchmark.test
    assert counts_of(train) == [8] + [4] * 8
    assert counts_of(test) == [0] + [2] * 8
    rows = range(600)
    kept = [row for c in order for row in first_rows(label_of(rows), rows, c, 4)]
    kept += [first_rows(label_of(rows), rows, c, 1)[0] for c in range(3, 11)]
    np.testing.assert_array_equal(train.ids, np.sort(kept))
    place = {label: number for number, label in enumerate(order)}
    for split in (train, test):
        red, green = split.images[:, 3, 5, 0], split.images[:, 3, 5, 1]
        np.testing.assert_array_equal(red + 256 * green.astype(int), split.ids)
        expected = [place.get(label, -1) for label in label_of(split.ids)]
        np.testing.assert_array_equal(split.true_labels, expected)


def test_a_configuration_names_all_of_it():
    """Each field of `config.data.partial`, and kind, rate, seed and size beside it."""
    config = partial_digits.get_config()
    fields = {
        "partial.classes": 5,
        "partial.first_class": 7,
        "partial.images_per_class": 50,
        "partial.test_images_per_class": 20,
        "partial.ood_share": 0.2,
        "partial.imbalance": 3.0,
        "noise": "image",
        "rate": 0.4,
        "seed": 6,
        "train_size": 99,
    }
    config.data.update_from_flattened_dict(fields)
    made = build_data.make_benchmark(config)
    names = {name.removeprefix("partial."): value for name, value in fields.items()}
    expected = digits(**names)
    assert made.class_names == expected.class_names == ("7", "8", "9", "0", "1")
    assert made.noise_checksum == expected.noise_checksum
    for name in ("ids", "images", "labels", "true_labels"):
        for split in ("train", "test"):
            np.testing.assert_array_equal(
                getattr(getattr(made, split), name),
                getattr(getattr(expected, split), name),
            )


REFUSED = {
    "source": (
        {"source": "mnist"},
        "Unknown source of images. Received: 'mnist'. Use one of ('digits', "
        "'cifar100').",
    ),
    "one class": (
        {"classes": 1},
        "Expected 2 to 10 classes of digits. Received: classes=1.",
    ),
    "eleven classes": (
        {"classes": 11},
        "Expected 2 to 10 classes of digits. Received: classes=11.",
    ),
    "all out of distribution": (
        {"ood_share": 1.0},
        "Expected a share of out-of-distribution images in [0, 1), and classes left "
        "for them. Received: ood_share=1.0, classes=8 of 10.",
    ),
    "negative share": (
        {"ood_share": -0.1},
        "Expected a share of out-of-distribution images in [0, 1), and classes left "
        "for them. Received: ood_share=-0.1, classes=8 of 10.",
    ),
    "no class left": (
        {"classes": 10, "ood_share": 0.1},
        "Expected a share of out-of-distribution images in [0, 1), and classes left "
        "for them. Received: ood_share=0.1, classes=10 of 10.",
    ),
    "imbalance": (
        {"imbalance": 0.5},
        "Expected an imbalance of at least 1. Received: imbalance=0.5.",
    ),
    "rate": (
        {"rate": 1.5},
        "The noise rate must be in [0, 1]. Received: rate=1.5.",
    ),
    "rate of a weak network": (
        {"noise": "image", "rate": 1.5},
        "The noise rate must be in [0, 1]. Received: rate=1.5.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_arguments_out_of_range_are_refused(name):
    arguments, text = REFUSED[name]
    with pytest.raises(ValueError) as caught:
        partial(**{"source": "digits"} | arguments)
    assert str(caught.value) == text


def test_an_unknown_noise_is_refused():
    with pytest.raises(ValueError, match=r"Unknown noise kind\. Received: 'salt'"):
        digits(noise="salt")


def test_more_images_of_other_classes_than_there_are_are_refused(original):
    """As many as images of the classes: 100 * 8; there are those of 8 and 9."""
    _, labels, train_rows = original
    count = (labels[train_rows] >= 8).sum()
    with pytest.raises(ValueError) as caught:
        digits(images_per_class=100, ood_share=0.5)
    assert str(caught.value) == (
        f"Expected at least 800 images of other classes. Received: {count}. Lower "
        "`ood_share`, or `images_per_class`."
    )


@pytest.mark.parametrize("size", [0, 61])
def test_a_train_size_out_of_range_is_refused(size):
    with pytest.raises(
        ValueError, match=rf"images, 60\. Received: train_size={size}\."
    ):
        digits(classes=6, images_per_class=10, train_size=size)
