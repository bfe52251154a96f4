"""weak_labels: how many labels are wrong, which, and as what."""

import numpy as np
import pytest

from josrc_keras.data.benchmarks.image_noise import weak_labels

CLASSES = 3
BLOBS = ((1, 1), (1, 5), (5, 3))  # Top left corner of each class's bright square.
CLEAR, MIXED = 60, 12  # Images of each class; the mixed ones come after all others.


def blob_image(draw, **weights):
    """An 8x8 image of noisy squares, `class0=0.5` for one of half the light."""
    image = np.full((8, 8, 1), 40.0)
    for number, (row, column) in enumerate(BLOBS):
        light = 160 * weights.get(f"class{number}", 0) + draw.normal(0, 4, (2, 2, 1))
        image[row : row + 2, column : column + 2] += light
    return image.clip(0, 255).astype("uint8")


def blobs():
    """Clear images, then such as have more of the next class than of their own.

    Returns:
        Images, true labels, and the class that each mixed image looks like, -1 for the
        clear ones.
    """
    draw = np.random.default_rng(0)
    images, labels, alike = [], [], []
    for label in np.repeat(range(CLASSES), CLEAR):
        images.append(blob_image(draw, **{f"class{label}": 1}))
        labels.append(label)
        alike.append(-1)
    for label in np.repeat(range(CLASSES), MIXED):
        following = (label + 1) % CLASSES
        parts = {f"class{label}": 0.4, f"class{following}": 0.6}
        images.append(blob_image(draw, **parts))
        labels.append(label)
        alike.append(following)
    return np.array(images), np.array(labels), np.array(alike)


@pytest.fixture(scope="module")
def blob_data():
    return blobs()


def label(images, labels, rate, seed=0, num_classes=CLASSES):
    return weak_labels(images, labels, num_classes=num_classes, rate=rate, seed=seed)


RATES = [(0.0, 0), (0.1, 22), (0.25, 54), (0.5, 108), (1.0, 216)]


@pytest.mark.parametrize(("rate", "wrong"), RATES)
def test_the_number_of_wrong_labels_is_exact(blob_data, rate, wrong):
    """Of 3 * (60 + 12) = 216 images; a tenth is 21.6, so 22."""
    images, labels, _ = blob_data
    given = label(images, labels, rate)
    assert (given != labels).sum() == wrong
    assert (given.dtype, given.shape) == ("int64", (216,))
    assert set(given) == {0, 1, 2}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_ambiguous_images_are_the_wrong_ones(blob_data, seed):
    """With room for all of them: each as the class that it has more of."""
    images, labels, alike = blob_data
    given = label(images, labels, 36 / 216, seed)
    np.testing.assert_array_equal(given != labels, alike >= 0)
    np.testing.assert_array_equal(given[alike >= 0], alike[alike >= 0])


def test_what_is_wrong_at_a_rate_is_wrong_at_a_higher_one(blob_data):
    """The surest mistakes first, and each as the same class."""
    images, labels, alike = blob_data
    few, more = (label(images, labels, rate) for rate in (0.1, 0.5))
    wrong = few != labels
    assert (alike[wrong] >= 0).all()
    np.testing.assert_array_equal(more[wrong], few[wrong])


def test_one_seed_is_one_set_of_labels(blob_data):
    """And another one divides the images otherwise."""
    images, labels, _ = blob_data
    first = label(images, labels, 0.1, seed=3)
    np.testing.assert_array_equal(label(images, labels, 0.1, seed=3), first)
    assert (label(images, labels, 0.1, seed=4) != first).any()


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_out_of_distribution_images_get_what_they_look_like(blob_data, rate):
    """They are no share of the wrong labels, and the network does not learn them."""
    images, labels, _ = blob_data
    foreign = np.flatnonzero(np.arange(len(labels)) % 6 == 0)
    foreign = foreign[foreign < CLASSES * CLEAR]  # Clear ones, whatever their number.
    hidden = labels.copy()
    hidden[foreign] = -1
    given = label(images, hidden, rate)
    np.testing.assert_array_equal(given[foreign], labels[foreign])
    inside = hidden >= 0
    wrong = (given != hidden)[inside].sum()
    assert wrong == round(rate * inside.sum())


def test_out_of_distribution_images_are_not_learnt_from():
    """90 of them look like class 1, of which there are 30: all are taken for it."""
    draw = np.random.default_rng(0)
    looks = np.repeat([0, 1, 1], [30, 30, 90])
    images = np.array([blob_image(draw, **{f"class{look}": 1}) for look in looks])
    labels = np.where(np.arange(150) < 60, looks, -1)
    np.testing.assert_array_equal(label(images, labels, 0.0, num_classes=2), looks)


def test_an_image_is_judged_by_a_network_that_has_not_seen_it():
    """16 grey images with a bright pixel each, by which a network could know them.

    Who has not seen them can't tell their class, so they are mistaken first.
    """
    draw = np.random.default_rng(0)
    labels = np.arange(76) % 2
    images = np.array([blob_image(draw, **{f"class{look}": 1}) for look in labels])
    images[:16] = 40
    pixels = images.reshape(76, 64)
    pixels[np.arange(16), 32 + np.arange(16)] = 255
    given = label(images, labels, 16 / 76, num_classes=2)
    np.testing.assert_array_equal(np.flatnonzero(given != labels), np.arange(16))


def test_large_images_are_seen_as_small_ones(blob_data):
    """Each pixel four times as wide and high, in three channels: the same blocks."""
    images, labels, _ = blob_data
    large = images.repeat(4, axis=1).repeat(4, axis=2).repeat(3, axis=3)
    assert large.shape[1:] == (32, 32, 3)
    given = label(large, labels, 36 / 216)
    np.testing.assert_array_equal(given, label(images, labels, 36 / 216))


@pytest.mark.parametrize("side", [1, 9, 17])
def test_sides_of_any_length(side):
    """Where the blocks do not divide the image: its brightness tells the classes."""
    labels = np.arange(40) % 2
    draw = np.random.default_rng(0)
    noise = draw.normal(0, 5, (40, side, side, 1))
    images = (60 + 120 * labels[:, None, None, None] + noise).astype("uint8")
    images[:4] = 255 - images[:4]  # Bright dark ones, and dark bright ones.
    given = label(images, labels, 0.1, num_classes=2)
    np.testing.assert_array_equal(np.flatnonzero(given != labels), [0, 1, 2, 3])


def test_the_arguments_are_left_alone(blob_data):
    images, labels, _ = blob_data
    before = images.copy(), labels.copy()
    label(images, labels, 0.5)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(labels, before[1])


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_out_of_range_is_refused(blob_data, rate):
    images, labels, _ = blob_data
    with pytest.raises(ValueError) as caught:
        label(images, labels, rate)
    assert str(caught.value) == (
        f"The noise rate must be in [0, 1]. Received: rate={rate}."
    )


@pytest.mark.parametrize("inside", [0, 1])
def test_too_few_images_to_learn_from_are_refused(blob_data, inside):
    images, labels, _ = blob_data
    hidden = np.where(np.arange(len(labels)) < inside, labels, -1)
    with pytest.raises(ValueError) as caught:
        label(images, hidden, 0.5)
    assert str(caught.value) == (
        "A weak network needs images to learn from. Received: "
        f"{inside} in-distribution images."
    )
