"""What is decided for all formats: network, temperature, and what is reported."""

import keras
import numpy as np
import pytest

from josrc_keras import JoSRC
from josrc_keras.export import Serving, calibration, preparation, sources

CLASSES = 4
SHAPE = (2, 2, 1)  # Images of four pixels: class c has pixel c bright.


def network(turn=0, norm=False, policy="float32"):
    """Predicts `(c + turn) % 4` for an image of class c: its pixels are the logits.

    Batch normalisation comes first if asked for, and changes nothing yet.
    """
    policy = keras.DTypePolicy(policy)
    image = keras.Input(SHAPE)
    x = keras.layers.Rescaling(1 / 255, dtype=policy)(image)
    x = keras.layers.Flatten(dtype=policy)(x)
    if norm:
        x = keras.layers.BatchNormalization(epsilon=1e-7, dtype=policy)(x)
    model = keras.Model(image, keras.layers.Dense(CLASSES, dtype=policy)(x))
    kernel = 10 * np.roll(np.eye(CLASSES), turn, axis=1)
    model.set_weights([*model.get_weights()[:-2], kernel, np.zeros(CLASSES)])
    return model


def josrc(teacher=0, student=1, **arguments):
    """A JoSRC that passes for trained, whose networks are so many classes wrong."""
    model = JoSRC(network(**arguments), CLASSES, smoothing=0.3)
    model.student.set_weights(network(student, **arguments).get_weights())
    model.teacher.set_weights(network(teacher, **arguments).get_weights())
    model.compile(keras.optimizers.SGD(0.1))
    model.optimizer.iterations.assign(1)
    return model


def images_of(classes):
    """One bright pixel, by class."""
    rows = 255 * np.eye(CLASSES)[np.asarray(classes)]
    return rows.reshape(-1, *SHAPE).astype("uint8")


TRUE = np.arange(24) % CLASSES
RIGHT = (images_of(TRUE), TRUE)
TWELVE = (RIGHT[0][:12], TRUE[:12])
TURNED = (images_of(TRUE), (TRUE + 1) % CLASSES)


def unclear(count=2000, seed=0):
    """Images of random pixels and labels by chance in proportion to `exp(pixels)`."""
    generator = np.random.default_rng(seed)
    pixels = generator.uniform(0, 255, (count, CLASSES))
    powers = np.exp(4 * pixels / 255)
    below = np.cumsum(powers / powers.sum(axis=1)[:, None], axis=1)
    labels = (below < generator.random(count)[:, None]).sum(axis=1)
    return pixels.reshape(-1, *SHAPE).astype("float32"), labels


def oracle_logits(images, turn=0):
    pixels = images.reshape(-1, CLASSES).astype("float64") / 255
    return np.roll(10 * pixels, turn, axis=1)


def oracle_report(logits, labels, temperature):
    """Accuracy, mean confidence, and the error of 15 bins, one after the other."""
    powers = np.exp(logits / temperature)
    probs = powers / powers.sum(axis=1)[:, None]
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    error = 0.0
    for number in range(15):
        inside = (confidence >= number / 15) & (confidence < (number + 1) / 15)
        if inside.any():
            gap = abs(confidence[inside].mean() - right[inside].mean())
            error += inside.mean() * gap
    return right.mean(), confidence.mean(), error


@pytest.mark.parametrize(
    ("teacher", "student", "chosen"), [(0, 1, "teacher"), (1, 0, "student")]
)
@pytest.mark.parametrize("with_test", [False, True])
def test_the_better_network_is_chosen(teacher, student, chosen, with_test):
    """By validation alone, whatever the test images would say."""
    model = josrc(teacher, student)
    prepared = preparation.prepare(
        model, validation=RIGHT, test=TURNED if with_test else None
    )
    assert prepared.findings["source"] == chosen
    assert prepared.network is getattr(model, chosen)
    accuracy = {"teacher": 1.0 - teacher, "student": 1.0 - student}
    assert prepared.findings["validation"] == {
        "images": 24 if with_test else 12,
        "label_noise": 0.0,
        "accuracy": accuracy,
    }
    assert prepared.findings["test"]["accuracy"] == (0.0 if with_test else 1.0)


def test_of_equals_the_teacher():
    """Each predicts one of two labels; and without data there is nothing to say."""
    labels = np.where(np.arange(24) % 8 < 4, TRUE, (TRUE + 1) % CLASSES)
    model = josrc()
    prepared = preparation.prepare(model, validation=(images_of(TRUE), labels))
    accuracy = prepared.findings["validation"]["accuracy"]
    assert accuracy == {"teacher": 0.5, "student": 0.5}
    assert prepared.network is model.teacher
    prepared = preparation.prepare(josrc(teacher=1, student=0))
    assert prepared.findings == {"source": "teacher"}
    assert (prepared.images, prepared.test) == (None, None)
    assert prepared.serving == Serving(image_size=(2, 2))


@pytest.mark.parametrize("source", ["teacher", "student"])
def test_the_source_asked_for(source):
    """Even if it is the worse one; a model of one network has no choice."""
    other = {"teacher": 1, "student": 1} | {source: 2}
    model = josrc(**other)
    model_of = getattr(model, source)
    assert preparation.prepare(model, source).network is model_of
    prepared = preparation.prepare(model, source, validation=TURNED)
    assert prepared.network is model_of
    assert prepared.findings["validation"]["accuracy"][source] == 0.0
    plain = network()
    prepared = preparation.prepare(plain, source)
    assert (prepared.network, prepared.findings["source"]) == (plain, "network")


def test_even_rows_choose_and_odd_rows_report():
    """The teacher is right for rows 0, 2, ..., the student for the others."""
    labels = np.where(np.arange(23) % 2, (TRUE[:23] + 1) % CLASSES, TRUE[:23])
    images = images_of(TRUE[:23])
    prepared = preparation.prepare(josrc(), validation=(images, labels))
    found = prepared.findings
    assert (found["source"], found["validation"]["images"]) == ("teacher", 12)
    assert found["validation"]["accuracy"] == {"teacher": 1.0, "student": 0.0}
    assert (found["test"]["images"], found["test"]["accuracy"]) == (11, 0.0)
    np.testing.assert_array_equal(prepared.test[0], images[1::2])
    np.testing.assert_array_equal(prepared.test[1], labels[1::2])
    np.testing.assert_array_equal(prepared.images, images[::2])  # The rest is tested.


def test_one_image_is_all_there_is():
    found = preparation.prepare(josrc(), validation=(RIGHT[0][:1], TRUE[:1])).findings
    assert found["validation"]["images"] == found["test"]["images"] == 1


@pytest.mark.parametrize("calibrate", [False, True])
def test_whether_the_test_images_are_chosen_on(calibrate):
    """The same ones, but for a plain network there is the temperature alone."""
    copied = RIGHT[0].copy(), RIGHT[1]
    for test, same in ((RIGHT, True), (copied, True), (None, False), (TWELVE, False)):
        for model, chosen in ((josrc(), True), (network(), calibrate)):
            prepared = preparation.prepare(
                model, validation=RIGHT, test=test, calibrate=calibrate
            )
            found = prepared.findings["test"]["chosen_on"]
            assert found is (same and chosen)
    only = preparation.prepare(josrc(), test=RIGHT).findings["test"]
    assert only["chosen_on"] is False


@pytest.mark.parametrize("label_noise", [None, 0.3])
def test_noisy_labels_report_nothing(label_noise):
    """All of them choose; accuracy is reported of right labels only."""
    prepared = preparation.prepare(
        josrc(), validation=RIGHT, label_noise=label_noise, calibrate=True
    )
    found = prepared.findings
    assert "test" not in found and prepared.test is None
    assert found["validation"]["images"] == found["calibration"]["images"] == 24
    assert found["validation"]["label_noise"] == label_noise
    expected = 0.0 if label_noise is None else label_noise  # Estimated: all agree.
    assert found["calibration"]["label_noise"] == expected
    prepared = preparation.prepare(
        josrc(), validation=RIGHT, test=TURNED, label_noise=label_noise
    )
    assert prepared.findings["test"]["images"] == 24
    assert len(prepared.images) == 24  # Those of `test` are compared as well.


@pytest.mark.parametrize("calibrate", [False, True])
def test_report_by_numpy(calibrate):
    """Accuracy, confidence and both errors on the odd rows; T from the even ones."""
    images, labels = unclear()
    prepared = preparation.prepare(
        network(), validation=(images, labels), calibrate=calibrate
    )
    temperature = prepared.serving.temperature
    logits = oracle_logits(images)
    if calibrate:
        assert temperature == pytest.approx(2.5, rel=0.15)  # Logits 10, labels 4.
        fitted, _ = calibration.fit_temperature(logits[::2], labels[::2])
        assert temperature == pytest.approx(fitted, rel=0.01)
        found = prepared.findings["calibration"]
        assert found == {"temperature": temperature, "label_noise": 0.0, "images": 1000}
    else:
        assert temperature == 1.0 and "calibration" not in prepared.findings
    test = prepared.findings["test"]
    accuracy, confidence, error = oracle_report(logits[1::2], labels[1::2], temperature)
    assert test["images"] == 1000
    assert test["accuracy"] == pytest.approx(accuracy)
    assert test["mean_confidence"] == pytest.approx(confidence, abs=1e-5)
    assert test["calibration_error"] == pytest.approx(error, abs=1e-5)
    before = oracle_report(logits[1::2], labels[1::2], 1.0)[2]
    assert test["calibration_error_uncalibrated"] == pytest.approx(before, abs=1e-5)
    assert before > 0.1 and (not calibrate or error < before)


def test_the_chosen_network_is_calibrated():
    """The student is right and the teacher far off, where T is large."""
    images, labels = unclear()
    turned = (labels + 1) % CLASSES
    prepared = preparation.prepare(
        josrc(), validation=(images, turned), test=(images, turned), calibrate=True
    )
    assert prepared.findings["source"] == "student"
    assert prepared.serving.temperature == pytest.approx(2.5, rel=0.15)
    worse = preparation.prepare(
        josrc(), "teacher", validation=(images, turned), calibrate=True
    )
    assert worse.serving.temperature > 10


def test_a_given_temperature_stays_without_calibration():
    prepared = preparation.prepare(
        network(), serving=Serving(temperature=3.0), validation=unclear()
    )
    assert prepared.serving.temperature == 3.0
    images, labels = (part[1::2] for part in unclear())
    expected = oracle_report(oracle_logits(images), labels, 3.0)[2]
    error = prepared.findings["test"]["calibration_error"]
    assert error == pytest.approx(expected, abs=1e-5)


def test_images_to_compare_on():
    """Those given, else those of validation; `test` alone where there is no other."""
    other = images_of([3, 2])
    prepared = preparation.prepare(network(), validation=RIGHT, images=other)
    np.testing.assert_array_equal(prepared.images, other)
    prepared = preparation.prepare(network(), test=RIGHT)
    np.testing.assert_array_equal(prepared.images, RIGHT[0])
    assert "validation" not in prepared.findings
    prepared = preparation.prepare(network(), validation=(other, [3, 2]), test=RIGHT)
    np.testing.assert_array_equal(prepared.images, other)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"calibrate": True}, r"validation=\(images, labels\) to calibrate on.*none"),
        (
            {"source": "best"},
            r"source as one of \(None, 'teacher', 'student'\).*'best'",
        ),
        (
            {"validation": (RIGHT[0], TRUE[:-1])},
            r"validation=\(images, labels\) with an integer label for each image\. "
            r"Received: 24 images and labels of shape \(23,\) and type int64\.",
        ),
        (
            {"test": (RIGHT[0], np.eye(CLASSES)[TRUE])},
            r"test=\(.*24 images and labels of shape \(24, 4\) and type float64\.",
        ),
        ({"test": (RIGHT[0], TRUE / 1)}, r"shape \(24,\) and type float64\."),
        ({"test": (RIGHT[0][:0], TRUE[:0])}, r"0 images and labels of shape \(0,\)"),
        (
            {"validation": (RIGHT[0], TRUE + 1)},
            r"validation labels in \[0, 3\]\. Received: labels from 1 to 4\.",
        ),
        (
            {"test": (RIGHT[0], TRUE - 1)},
            r"test labels in \[0, 3\]\. Received: labels from -1 to 2\.",
        ),
        ({"serving": Serving(top_k=5)}, r"top_k from 0 to the 4 classes\. Received: 5"),
        (
            {"validation": RIGHT, "label_noise": 1.5, "calibrate": True},
            r"label_noise in \[0, 1\), or None\. Received: 1\.5\.",
        ),
    ],
)
def test_bad_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        preparation.prepare(josrc(), **arguments)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_rounding_of_half_precision(policy):
    """Its own logits against those of float32, on the images."""
    images, labels = unclear(100)
    model = network(policy=policy)
    prepared = preparation.prepare(model, validation=(images, labels))
    assert prepared.network is not model
    exact = oracle_logits(images)
    logits = sources.predict(prepared.network, images)
    np.testing.assert_allclose(logits, exact, atol=1e-5)
    rounded = sources.predict(model, images)
    found = prepared.findings["rounding"]
    seen = slice(None, None, 2)
    difference = np.abs(rounded - exact)[seen].max()
    assert 1e-3 < difference < 0.2
    assert found["max_difference"] == pytest.approx(difference, abs=1e-5)
    agreement = np.mean(rounded[seen].argmax(axis=1) == exact[seen].argmax(axis=1))
    assert found["agreement"] == pytest.approx(agreement)
    accuracy = prepared.findings["test"]["accuracy"]  # Of what is exported.
    assert accuracy == np.mean(exact[1::2].argmax(axis=1) == labels[1::2])
    assert "rounding" not in preparation.prepare(network(), test=RIGHT).findings


def test_new_statistics_are_used():
    """Of the chosen network: the means and variances of the images, by NumPy."""
    images, labels = unclear(256)
    model = josrc(norm=True)
    prepared = preparation.prepare(
        model, "student", validation=(images, labels), new_statistics=images
    )
    assert prepared.network is not model.student
    pixels = images.reshape(4, 64, CLASSES).astype("float64") / 255
    mean, variance = pixels.mean(axis=(0, 1)), pixels.var(axis=1).mean(axis=0)
    scaled = (images[:9].reshape(-1, CLASSES) / 255 - mean) / np.sqrt(variance + 1e-7)
    expected = np.roll(10.0 * scaled, 1, axis=1)
    logits = sources.predict(prepared.network, images[:9])
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)
    old = oracle_logits(images[:9], turn=1)
    np.testing.assert_allclose(
        sources.predict(model.student, images[:9]), old, atol=1e-4
    )
    with pytest.raises(ValueError, match="batch normalisation, to estimate"):
        preparation.prepare(network(), new_statistics=images)


def test_the_network_with_new_statistics_is_calibrated():
    """Its logits are wider than the old ones: the temperature must be too."""
    images, labels = unclear(600)
    prepared = preparation.prepare(
        network(norm=True),
        validation=(images, labels),
        calibrate=True,
        new_statistics=images,
    )
    logits = sources.predict(prepared.network, images[::2])
    expected, _ = calibration.fit_temperature(logits, labels[::2])
    assert prepared.serving.temperature == pytest.approx(expected, rel=0.02)


def test_label_noise_is_the_share_of_wrong_labels():
    """Half of the labels wrong, as `symmetric` noise at a rate of 0.5 makes them."""
    images, labels = unclear(6000)
    generator = np.random.default_rng(1)
    wrong = generator.random(len(labels)) < 0.5
    moved = (labels + generator.integers(1, CLASSES, len(labels))) % CLASSES
    prepared = preparation.prepare(
        network(),
        validation=(images, np.where(wrong, moved, labels)),
        calibrate=True,
        label_noise=0.5,
    )
    assert prepared.serving.temperature == pytest.approx(2.5, rel=0.2)


@pytest.mark.parametrize("shape", [(24, 3, 3, 1), (24, 2, 2, 3), (24, 2, 2)])
@pytest.mark.parametrize("name", ["validation", "test"])
def test_images_of_the_wrong_shape(name, shape):
    """What was received is named, as for `images`."""
    pair = np.zeros(shape), TRUE
    with pytest.raises(ValueError, match=r"Expected .*images.*Received: .*shape \(24"):
        preparation.prepare(network(), **{name: pair})
