"""`Serving`: its checks, and what artefacts do with images that do not fit it."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from josrc_keras.data.photos import decoding
from josrc_keras.export import Serving, export_classifier
from tests.support.exports import NAMES, client, quick_proof

NETWORK = (None, 8, 12, 3)
ANY_SIZE = (None, None, None, 3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"dtype": "int8"}, r"dtype as one of \('float32', 'uint8'\).*'int8'"),
        ({"resize": "pad"}, r"resize as one of \(None, 'crop', 'stretch'\).*'pad'"),
        ({"outputs": ()}, r"at least one of \('logits', 'probabilities'\).*\(\)"),
        ({"outputs": ("logits", "classes")}, r"Received: \('logits', 'classes'\)"),
        ({"outputs": "logits"}, r"outputs with at least one of.*Received: 'logits'"),
        (
            {"resize_to": (16, 16)},
            r"resize_to=None where images are not resized\. Received: "
            r"resize_to=\(16, 16\) with resize=None\. Choose resize='crop' or",
        ),
        ({"temperature": 0.0}, r"temperature to be positive\. Received: 0\.0"),
        ({"temperature": -1}, r"temperature to be positive\. Received: -1"),
        ({"temperature": np.nan}, r"temperature to be positive\. Received: nan"),
        ({"temperature": np.inf}, r"temperature to be positive\. Received: inf"),
    ],
)
def test_bad_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        Serving(**arguments)


@pytest.mark.parametrize(
    ("arguments", "shape", "text"),
    [
        (
            {"image_size": (12, 8)},
            NETWORK,
            r"image_size \(8, 12\), as the network was built\. Received: \(12, 8\)",
        ),
        (
            {"resize": "crop"},
            ANY_SIZE,
            r"image_size=\(height, width\) to resize to.*any size\. Received: None",
        ),
        (
            {"resize": "stretch", "image_size": (8, None)},
            ANY_SIZE,
            r"to resize to.*Received: \(8, None\)",
        ),
        (
            {"resize": "crop", "resize_to": (16, 11)},
            NETWORK,
            r"resize_to of at least \(8, 12\), the size that is cropped of it and that "
            r"the network sees\. Received: \(16, 11\)\. Choose a larger one, or",
        ),
        (
            {"resize": "stretch", "resize_to": (None, 16)},
            NETWORK,
            r"resize_to of at least \(8, 12\).*Received: \(None, 16\)",
        ),
        ({"top_k": 6}, NETWORK, "top_k from 0 to the 5 classes. Received: 6"),
        ({"top_k": -1}, NETWORK, "top_k from 0 to the 5 classes. Received: -1"),
        (
            {"class_names": ["a", "b"]},
            NETWORK,
            "Expected 5 Serving.class_names, one for each output.*Received: 2",
        ),
    ],
)
def test_what_does_not_fit_the_network(arguments, shape, text):
    with pytest.raises(ValueError, match=text):
        Serving(**arguments).fitted_to(shape, 5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"rescale": (1 / 255,)},
        {"rescale": 1 / 255},
        {"rescale": (1, 2, 3)},
        {"rescale": ((1, 2), (0, 0))},
        {"image_size": 8},
        {"image_size": (8, 12, 3)},
        {"resize": "crop", "resize_to": 16},
        {"class_names": "abcde"},
    ],
)
def test_malformed_argument_is_named(arguments):
    """For a network of three channels and five classes."""
    *_, name = arguments
    with pytest.raises((TypeError, ValueError), match=f"Serving.{name}"):
        Serving(**arguments).fitted_to(NETWORK, 5)


def test_fitted_to_takes_the_size_of_the_network():
    serving = Serving(top_k=2, class_names=list("abcde")).fitted_to(NETWORK, 5)
    assert serving.image_size == (8, 12)
    assert serving.class_names == tuple("abcde") and serving.has_names
    assert serving.input_shape(3) == (None, 8, 12, 3)


@pytest.mark.parametrize(
    ("arguments", "resize_to"),
    [
        ({}, None),
        ({"resize": "crop"}, (8, 12)),
        ({"resize": "crop", "resize_to": [9, 12]}, (9, 12)),
    ],
)
def test_fitted_to_says_what_is_resized_to(arguments, resize_to):
    serving = Serving(**arguments).fitted_to(NETWORK, 5)
    assert serving.resize_to == resize_to
    assert serving.fitted_to(NETWORK, 5) == serving


@pytest.mark.parametrize(
    ("arguments", "size", "shape"),
    [
        ({}, (None, None), (None, None, None, 3)),
        ({"image_size": (9, 7)}, (9, 7), (None, 9, 7, 3)),
        ({"image_size": (9, 7), "resize": "crop"}, (9, 7), (None, None, None, 3)),
    ],
)
def test_fitted_to_a_network_for_any_size(arguments, size, shape):
    serving = Serving(**arguments).fitted_to(ANY_SIZE, 5)
    assert (serving.image_size, serving.input_shape(3)) == (size, shape)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({}, ("logits", "probabilities")),
        ({"outputs": ["probabilities", "logits"]}, ("logits", "probabilities")),
        ({"outputs": ["probabilities"]}, ("probabilities",)),
        (
            {"outputs": ["logits"], "top_k": 1},
            ("logits", "top_classes", "top_probabilities"),
        ),
    ],
)
def test_output_names(arguments, names):
    assert Serving(**arguments).output_names() == names


def test_names_need_both_top_k_and_names():
    assert not Serving(top_k=2).has_names
    assert not Serving(class_names=("a", "b")).has_names


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input(NETWORK[1:]), layers.Flatten(), layers.Dense(5)]
    )


@pytest.fixture(scope="module")
def paths(network, tmp_path_factory):
    """Format to the artefact; also `crop`, a SavedModel that resizes."""
    found = {
        format: tmp_path_factory.mktemp(format) / NAMES[format] for format in NAMES
    }
    found["crop"] = tmp_path_factory.mktemp("crop") / "model"
    with quick_proof():
        for format, path in found.items():
            serving = Serving(resize="crop", outputs=["logits"])
            serving = serving if format == "crop" else None
            format = "saved_model" if format == "crop" else format
            export_classifier(network, path, format, serving=serving)
    return found


DTYPES = {
    "onnx": r"Unexpected input data type.*expected: \(tensor\(float\)\)",
    "saved_model": "expected to be a float tensor",
    "litert": "expected type FLOAT32",
}


@pytest.mark.parametrize(
    ("shape", "onnx_text"),
    [
        ((2, 9, 12, 3), "index: 1 Got: 9 Expected: 8"),
        ((2, 12, 8, 3), "index: 2 Got: 8 Expected: 12"),
        ((2, 8, 12, 1), "index: 3 Got: 1 Expected: 3"),
        ((8, 12, 3), "Invalid rank for input: image Got: 3 Expected: 4"),
    ],
)
def test_images_of_another_shape_are_refused(paths, shape, onnx_text):
    """The text names what came and what was expected."""
    image = np.zeros(shape, "float32")
    with pytest.raises(Exception, match=onnx_text):
        client("onnx", paths["onnx"])(image)
    received = ",".join(map(str, shape))
    text = rf"image \[{received}\] is not compatible with .*\[\?,8,12,3\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        client("saved_model", paths["saved_model"])(image)
    with pytest.raises(ValueError, match="incompatible with the layer: expected"):
        client("keras", paths["keras"])(image)


def test_channels_are_checked_where_sizes_are_free(paths):
    image = np.zeros((2, 20, 20, 1), "float32")
    with pytest.raises(Exception, match=r"\[2,20,20,1\].*\[\?,\?,\?,3\]"):
        client("saved_model", paths["crop"])(image)
    with pytest.raises(RuntimeError, match=r"num_input_elements|failed"):
        client("litert", paths["litert"])(np.zeros((2, 8, 12, 1), "float32"))


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("format", DTYPES)
def test_images_of_another_dtype_are_refused(paths, format, dtype):
    with pytest.raises(Exception, match=DTYPES[format]):
        client(format, paths[format])(np.zeros((2, 8, 12, 3), dtype))


def encoded(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
    return pixels, tf.io.encode_png(pixels).numpy()


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (b"no image", "Unknown image file format"),
        (encoded((8, 12, 3))[1][:40], "Invalid PNG"),
        (encoded((9, 12, 3))[1], r"\[9,12,3\] is not compatible with .*\[8,12,3\]"),
    ],
    ids=["format", "truncated", "size"],
)
def test_broken_encoded_images_are_refused(paths, bad, text):
    """Also where others of the batch are right."""
    serve = tf.saved_model.load(paths["saved_model"]).signatures["serving_encoded"]
    right = encoded((8, 12, 3))[1]
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        serve(image_bytes=tf.constant([right, bad]))


def test_encoded_images_of_several_sizes_and_kinds(network, paths):
    """In one batch: each is cropped by itself; grey becomes colour."""
    serve = tf.saved_model.load(paths["crop"]).signatures["serving_encoded"]
    colour, colour_file = encoded((8, 20, 3))
    grey, grey_file = encoded((10, 12, 1))
    outputs = serve(image_bytes=tf.constant([colour_file, grey_file]))
    assert list(outputs) == ["logits"]
    seen = np.stack([colour[:, 4:16], grey[1:9].repeat(3, axis=2)]).astype("float32")
    expected = network(seen).numpy()
    np.testing.assert_allclose(
        outputs["logits"].numpy(), expected, atol=1e-4, rtol=1e-5
    )


# Pillow's mode and format, and options to save with.
FILES = {
    "png": ("RGB", "png", {}),
    "jpeg": ("RGB", "jpeg", {}),
    "bmp": ("RGB", "bmp", {}),
    "gif": ("L", "gif", {}),
    "grey png": ("L", "png", {}),
    "png with alpha": ("RGBA", "png", {}),
    "grey png with alpha": ("LA", "png", {}),
    "png with a transparent colour": ("RGB", "png", {"transparency": (9, 8, 7)}),
    "png with a transparent palette": ("P", "png", {"transparency": bytes(range(99))}),
}
OPAQUE = list(FILES)[:5]
CHANNELS = {1: ["jpeg", "png"], 3: list(FILES), 4: ["png", "png with alpha", "bmp"]}


@pytest.fixture(scope="module")
def files():
    """Name to the bytes of a square image of random pixels."""
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8, 4)).astype("uint8")
    pixels[0, :3] = [[9, 8, 7, 255], [9, 8, 7, 0], [9, 8, 7, 128]]
    found = {}
    for name, (mode, format, options) in FILES.items():
        photo = image.fromarray(pixels)
        if mode == "P":
            photo = photo.convert("RGB").quantize(99)
        if mode != "P":
            photo = photo.convert(mode)
        file = io.BytesIO()
        photo.save(file, format, **options)
        found[name] = file.getvalue()
    return found


@pytest.fixture(scope="module")
def signatures(tmp_path_factory):
    """Number of channels to `serving_encoded`, whose logits are the pixels."""
    found = {}
    for channels in CHANNELS:
        path = tmp_path_factory.mktemp(f"channels-{channels}") / "model"
        pixels = keras.Sequential([keras.Input((8, 8, channels)), layers.Flatten()])
        with quick_proof():
            export_classifier(pixels, path, "saved_model")
        found[channels] = tf.saved_model.load(path)
    return {c: model.signatures["serving_encoded"] for c, model in found.items()}


def served_pixels(signatures, channels, *images):
    logits = signatures[channels](image_bytes=tf.constant(images))["logits"]
    return logits.numpy().reshape(-1, 8, 8, channels)


@pytest.mark.parametrize("name", [name for name in FILES if name != "jpeg"])
def test_encoded_images_as_in_training_on_photos(name, files, signatures, tmp_path):
    """White behind what is transparent, to the bit."""
    (tmp_path / "photo").write_bytes(files[name])
    expected = decoding.decode(tmp_path / "photo", 8)
    (served,) = served_pixels(signatures, 3, files[name])
    np.testing.assert_array_equal(served, expected)
    dropped = tf.io.decode_image(files[name], 3, expand_animations=False).numpy()
    assert (np.abs(dropped - served).max() > 9) == (name not in OPAQUE)


@pytest.mark.parametrize("channels", CHANNELS)
def test_formats_by_channels(channels, files, signatures):
    """Opaque images as TensorFlow decodes them, in one batch."""
    names = CHANNELS[channels]
    served = served_pixels(signatures, channels, *(files[name] for name in names))
    for name, pixels in zip(names, served, strict=True):
        if channels != 3 or name in OPAQUE:
            decoded = tf.io.decode_image(files[name], channels, expand_animations=False)
            np.testing.assert_array_equal(pixels, decoded.numpy())


@pytest.mark.parametrize(
    ("channels", "name"), [(1, "bmp"), (1, "gif"), (4, "jpeg"), (4, "gif")]
)
def test_other_formats_are_refused(channels, name, files, signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match="channels"):
        served_pixels(signatures, channels, files[name])
