"""Properties of photos: derived values, drawn photos, and planted properties."""

import json

import numpy as np
import pytest

from josrc_keras.probe import quality

pillow = pytest.importorskip("PIL.Image", reason="needs Pillow")
from PIL import ImageFilter  # noqa: E402


def scene(number, width=300, height=200):
    """A drawn photo: shapes of all sizes, with sharp edges."""
    random = np.random.default_rng(number)
    pixels = np.zeros((height, width, 3), "uint8")
    for side in (120, 60, 30, 15, 8, 4):
        for _ in range(2400 // side):
            top, left = random.integers(0, height), random.integers(0, width)
            pixels[top : top + side, left : left + side] = random.integers(0, 256, 3)
    return pixels


def measured_of(*photos):
    return quality.stacked([quality.measure(each) for each in photos])


def test_values_by_hand():
    """Half black and half white: mean and deviation 1/2.

    The Laplacian is 1 on one side of the edge and -1 on the other. Within the border of
    a pixel these are 2 of 14 columns, so that the deviation is sqrt(1 / 7). At a
    quarter of the size they are 2 of 2, and it is 1.
    """
    pixels = np.zeros((12, 16), "uint8")
    pixels[:, 8:] = 255
    found = quality.measure(pixels)
    assert (found.width, found.height) == (16, 12)
    expected = [0.5, 1, 0, 0.5, 7**-0.5]
    np.testing.assert_allclose(found[2:], expected, atol=1e-6)


def test_colours_are_weighed():
    green = np.zeros((40, 40, 3), "uint8")
    green[..., 1] = 255
    found = quality.measure(green)
    np.testing.assert_allclose(found[2:], [0.587, 0.587, 0.587, 0, 0], atol=1e-6)


def test_levels_are_percentiles():
    """Of 1,000 pixels 20 are white: more than 1%; 940 are black: more than 5%."""
    pixels = np.zeros(1000, "uint8")
    pixels[:20], pixels[20:60] = 255, 51
    found = quality.measure(pixels.reshape(20, 50))
    assert (found.dark_level, found.bright_level) == (1, 0)
    pixels[5:20] = 51
    found = quality.measure(pixels.reshape(20, 50))
    assert found.dark_level == pytest.approx(0.2)


def test_photos_of_all_sizes_are_measured_at_one_scale():
    """As arrays, as images and as reduced copies, which say their size."""
    pixels = scene(0, 1024, 768)
    whole = quality.measure(pixels)
    image = pillow.fromarray(pixels)
    assert quality.measure(image) == whole
    assert image.size == (1024, 768)
    half = quality.measure(image.reduce(2), size=(1024, 768))
    assert (half.width, half.height) == (1024, 768)
    np.testing.assert_allclose(half[2:], whole[2:], rtol=0.05, atol=0.005)


def test_one_fault_a_photo_is_found_and_no_other():
    """Each fault is planted once, among 20 good scenes."""
    good = [scene(number) for number in range(20)]
    image = pillow.fromarray(scene(20))
    white = np.full((200, 300), 255, "uint8")
    white[:6] = 0
    faults = {
        "dark": scene(21) // 5,
        "bright": white,
        "blurred": image.filter(ImageFilter.GaussianBlur(3)),
        "empty": np.random.default_rng(0).integers(118, 126, (200, 300, 3), "uint8"),
        "tiny": scene(23, 40, 30),
        "odd_shaped": scene(24, 800, 150),
    }
    flags, limits = quality.issues(measured_of(*good, *faults.values()))
    assert list(flags) == list(limits) == list(faults)
    for place, (name, flag) in enumerate(flags.items()):
        assert np.flatnonzero(flag).tolist() == [20 + place], name
    json.dumps(limits)


def test_sharpness_of_noise_and_of_a_few_pixels():
    """Noise loses three quarters of its deviation at a quarter of the size."""
    noise = np.random.default_rng(0).integers(0, 256, (256, 256), "uint8")
    assert quality.measure(noise).sharpness == pytest.approx(4, rel=0.05)
    assert quality.measure(noise[:11]).sharpness == 0
    assert not quality.issues(measured_of(noise[:11]))[0]["blurred"].any()


@pytest.mark.parametrize("radius", [2, 3, 5])
def test_a_blur_is_found_in_a_large_photo(radius):
    photos = [pillow.fromarray(scene(number, 600, 400)) for number in range(12)]
    blurred = [each.filter(ImageFilter.GaussianBlur(2 * radius)) for each in photos[:3]]
    flags, _ = quality.issues(measured_of(*blurred, *photos[3:]))
    assert flags["blurred"].tolist() == [True] * 3 + [False] * 9


def test_thresholds_follow_the_dataset():
    """Shapes of 4:1 are usual among such; 48 pixels are tiny among 200."""
    panoramas = [scene(number, 400, 100) for number in range(5)]
    flags, limits = quality.issues(measured_of(*panoramas, scene(9, 100, 100)))
    assert flags["odd_shaped"].tolist() == [False] * 5 + [True]
    assert limits["odd_shaped"] == [4 / 3, 4 * 3]
    flags, limits = quality.issues(measured_of(*panoramas, scene(9, 98, 24)))
    assert limits["tiny"] == 200 / 4 and flags["tiny"].tolist() == [False] * 5 + [True]
    digits = [scene(number, 28, 28) for number in range(3)]
    flags, limits = quality.issues(measured_of(*digits))
    assert limits["tiny"] == 32 and flags["tiny"].all()


def test_no_photo():
    flags, limits = quality.issues(quality.stacked([]))
    assert all(flag.shape == (0,) and flag.dtype == bool for flag in flags.values())
    assert limits["dark"] == 0.32 and limits["blurred"] is limits["tiny"] is None


def test_a_drawing_on_white_is_not_empty():
    """A few lines have as little entropy as an empty photo; they are information."""
    pixels = np.full((200, 300), 255, "uint8")
    pixels[50:150:20, 50:250] = 0
    flags, _ = quality.issues(measured_of(pixels, scene(0), scene(1)))
    assert not flags["empty"].any()


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4)), np.zeros((4, 4, 4), "uint8"), np.zeros((0, 4), "uint8")],
)
def test_other_arrays_are_refused(pixels):
    message = rf"Received: {pixels.dtype} \({pixels.shape[0]}, "
    with pytest.raises(ValueError, match=message):
        quality.measure(pixels)


def planted(count=600):
    """Three classes; the second is brighter, and mostly of PNG files."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, count)
    brightness = random.normal(size=count) + 3 * (labels == 1)
    png = random.random(count) < np.where(labels == 1, 0.95, 0.1)
    properties = {
        "brightness": brightness,
        "width": random.integers(100, 110, count),
        "format": np.where(png, "PNG", "JPEG"),
    }
    return properties, labels


def test_properties_that_betray_a_class_are_found():
    """By the area under the curve of pairs, and by name: no other class, no width."""
    properties, labels = planted()
    found = quality.betraying_properties(properties, labels, list("abc"))
    assert json.loads(json.dumps(found)) == found
    names = [(each["property"], each["name"]) for each in found]
    assert names[0] == ("brightness", "b")
    assert sorted(names[1:]) == [("format=JPEG", "b"), ("format=PNG", "b")]
    own = properties["brightness"][labels == 1]
    rest = properties["brightness"][labels != 1]
    area = (own[:, None] > rest).mean()
    assert found[0]["auroc"] == pytest.approx(area, abs=1e-12) and area > 0.95
    assert found[0]["images"] == len(own)
    assert found[0]["mean"] == pytest.approx(own.mean())
    assert found[0]["mean_of_others"] == pytest.approx(rest.mean())
    shares = {each["property"]: each for each in found}["format=PNG"]
    expected = 0.5 + (shares["mean"] - shares["mean_of_others"]) / 2
    assert shares["auroc"] == pytest.approx(expected)


def test_a_weak_or_a_chance_property_does_not_betray():
    """A class of three photos is bright by chance; a property of AUROC 0.7 is weak."""
    random = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [300, 300, 3])
    values = random.normal(size=603) + 0.74 * (labels == 1)
    values[-3:] = [1.5, 1.8, 2.2]
    found = quality.betraying_properties({"x": values}, labels, list("abc"))
    assert found == []


@pytest.mark.parametrize("classes", [1, 20])
def test_noise_does_not_betray(classes):
    random = np.random.default_rng(2)
    labels = random.integers(0, classes, 200)
    properties = {str(i): random.normal(size=200) for i in range(6)}
    properties["format"] = np.full(200, "JPEG")
    assert not quality.betraying_properties(properties, labels, [""] * classes)


@pytest.mark.parametrize(
    ("properties", "labels", "message"),
    [
        ({"x": [1.0]}, [0, 1], r"x as one value for each of the 2 .*shape \(1,\)"),
        ({"x": [1.0, np.nan]}, [0, 1], r"finite numbers as x\. Received: 1 that"),
        ({"x": [1.0, 2.0]}, [0, 2], r"integer labels in \[0, 2\)"),
        ({"x": [1.0, 2.0]}, [0.0, 1.0], r"Received: float64 labels"),
    ],
)
def test_what_does_not_fit_is_refused(properties, labels, message):
    with pytest.raises(ValueError, match=message):
        quality.betraying_properties(properties, labels, ["a", "b"])


def test_photos_with_issues_are_listed_with_what_was_measured():
    grey = np.full((40, 40), 128, "uint8")
    black = np.zeros((40, 40), "uint8")
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), "uint8")
    measured = quality.stacked([quality.measure(each) for each in (noise, grey, black)])
    flagged, _ = quality.issues(measured)
    listed = quality.listed(flagged, measured, ["n", "g", "b"], ["x", "y", "z"])
    assert [(each["id"], each["issues"]) for each in listed] == [
        ("b", ["dark", "empty"]),
        ("g", ["empty"]),
    ]
    assert listed[1]["given_name"] == "y" and listed[1]["width"] == 40
    assert listed[1]["brightness"] == pytest.approx(128 / 255, abs=1e-3)
    assert len(quality.listed(flagged, measured, "ngb", "xyz", most=1)) == 1
