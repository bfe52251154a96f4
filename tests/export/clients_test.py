"""Real clients, in processes of their own, against an oracle in NumPy."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from josrc_keras.export import Serving, export_classifier
from tests.support.exports import NAMES, bilinear, every_format, middle, quick_proof

HEIGHT, WIDTH, CLASSES = 8, 12, 5
NETWORK = (None, HEIGHT, WIDTH, 3)
PER_CHANNEL = ([1 / 255, 1 / 128, 1 / 64], [-0.5, 0.0, 0.25])
CLASS_NAMES = ("null", "fünf", "六", "a b", "Ω\U0001f642")
SERVINGS = {
    "plain": Serving(rescale=PER_CHANNEL),
    "stretch": Serving(resize="stretch", rescale=(1 / 127.5, -1.0), temperature=0.5),
    "crop": Serving(
        "uint8",
        resize="crop",
        rescale=PER_CHANNEL,
        top_k=3,
        class_names=CLASS_NAMES,
        temperature=2.5,
    ),
}
SIZES = {  # Of the images that each is given: to be cropped on each side, and enlarged.
    "plain": [(HEIGHT, WIDTH), (HEIGHT, WIDTH)],
    "stretch": [(20, 17), (5, 7), (HEIGHT, WIDTH)],
    "crop": [(20, 17), (9, 31), (5, 7), (HEIGHT, WIDTH)],
}
FILES = {"png": "saved_model", "jpeg": "saved_model"}  # Given to a SavedModel.
CASES = [
    (name, number) for name, sizes in SIZES.items() for number in range(len(sizes))
]
every_case = pytest.mark.parametrize(("name", "number"), CASES)


@pytest.fixture(scope="module")
def network():
    """A network that does not normalise, with logits some units apart."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input(NETWORK[1:]),
            layers.Conv2D(6, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(CLASSES),
        ]
    )


@pytest.fixture(scope="module")
def batches():
    """`name/number` to smooth whole-pixel images of the sizes above."""
    found = {}
    random = np.random.default_rng(4)
    for name, number in CASES:
        coarse = random.uniform(0, 255, (9, 4, 5, 3))
        pixels = np.round(bilinear(coarse, SIZES[name][number]))
        found[f"{name}/{number}"] = pixels.astype(SERVINGS[name].dtype)
    found["plain/1"] = found["crop/3"].astype("float32")
    return found


def expected_logits(network, name, images):
    """The oracle: NumPy up to the network."""
    serving, pixels = SERVINGS[name], images.astype("float64")
    if serving.resize == "crop":
        pixels = middle(pixels, (HEIGHT, WIDTH))
    pixels = bilinear(pixels, (HEIGHT, WIDTH))
    scale, offset = serving.rescale
    pixels = pixels * np.asarray(scale) + np.asarray(offset)
    return network(pixels.astype("float32"), training=False).numpy()


@pytest.fixture(scope="module")
def paths(network, tmp_path_factory):
    """`(format, name)` to the artefact of each serving in each format."""
    found = {}
    with quick_proof():
        for format in NAMES:
            for name, serving in SERVINGS.items():
                path = tmp_path_factory.mktemp(f"{format}-{name}") / NAMES[format]
                export_classifier(network, path, format, serving=serving)
                found[format, name] = path
    return found


# A client without this package: {name: path}, images, where its outputs go.
CLIENT = """
import json, sys
import numpy as np

paths, batches, outputs = json.loads(sys.argv[1]), np.load("batches.npz"), {}

def onnx(path):
    import onnxruntime
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(names, session.run(names, {"image": images})))

def litert(path):
    from ai_edge_litert.interpreter import Interpreter
    run = Interpreter(path).get_signature_runner("serving_default")
    return lambda images: run(image=images)

def saved_model(path):
    import tensorflow as tf
    serve = tf.saved_model.load(path).signatures["serving_default"]
    return lambda images: {
        name: value.numpy() for name, value in serve(image=tf.constant(images)).items()
    }

def encoded(path, encode, decode):
    import tensorflow as tf
    serve = tf.saved_model.load(path).signatures["serving_encoded"]
    def predict(images):
        files = tf.stack([encode(image.astype("uint8")) for image in images])
        outputs = {name: v.numpy() for name, v in serve(image_bytes=files).items()}
        return outputs | {"decoded": np.stack([decode(file) for file in files])}
    return predict

def png(path):
    import tensorflow as tf
    return encoded(path, tf.io.encode_png, tf.io.decode_png)

def jpeg(path):
    import tensorflow as tf
    return encoded(path, tf.io.encode_jpeg, tf.io.decode_jpeg)

def keras(path):
    from keras.saving import load_model
    return load_model(path).predict_on_batch

for format in paths:
    for name, path in paths[format].items():
        predict = globals()[format](path)
        for key in batches.files:
            if key.split("/")[0] == name:
                for output, values in predict(batches[key]).items():
                    if values.dtype == object:
                        text = lambda v: v.decode() if isinstance(v, bytes) else v
                        values = np.vectorize(text)(values).astype(str)
                    outputs[f"{format}/{key}/{output}"] = values
np.savez(sys.argv[2], **outputs)
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def run_client(paths, batches, folder, *formats):
    """Outputs by `format/name/number/output`, and the modules of that process."""
    np.savez(folder / "batches.npz", **batches)
    given = {
        format: {name: str(paths[FILES.get(format, format), name]) for name in SERVINGS}
        for format in formats
    }
    done = subprocess.run(
        [sys.executable, "-I", "-c", CLIENT, json.dumps(given), "outputs.npz"],
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "outputs.npz") as outputs:
        return dict(outputs), json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def clients(paths, batches, tmp_path_factory):
    """Format to what a fresh process computed, and its modules."""
    found = {}
    for formats in (("onnx",), ("litert",), ("saved_model", "png", "jpeg", "keras")):
        if formats == ("litert",):
            pytest.importorskip("ai_edge_litert")
        folder = tmp_path_factory.mktemp(formats[0])
        done = run_client(paths, batches, folder, *formats)
        found |= dict.fromkeys(formats, done)
    return found


@pytest.mark.parametrize(
    ("format", "absent"),
    [
        ("onnx", {"tensorflow", "keras", "josrc_keras"}),
        ("litert", {"tensorflow", "keras", "josrc_keras"}),
        ("saved_model", {"josrc_keras", "tests"}),
        ("keras", {"josrc_keras", "tests"}),
    ],
)
def test_client_needs_nothing_of_the_training(clients, format, absent):
    _, modules = clients[format]
    assert not absent & set(modules)
    assert "numpy" in modules


@every_case
@pytest.mark.parametrize("format", [*NAMES, *FILES])
def test_logits_and_probabilities(network, clients, batches, format, name, number):
    """Resized, rescaled and cooled as in NumPy; whole pixels in any dtype alike."""
    outputs, _ = clients[format]
    key = f"{format}/{name}/{number}"
    images = batches[f"{name}/{number}"]
    if format == "jpeg":  # Which changes pixels a little, and differently elsewhere.
        decoded = outputs[f"{key}/decoded"]
        assert 0 < np.abs(images - decoded.astype("float32")).mean() < 30
        images = decoded
    logits = expected_logits(network, name, images)
    assert outputs[f"{key}/logits"].dtype == np.float32
    np.testing.assert_allclose(outputs[f"{key}/logits"], logits, atol=1e-4, rtol=1e-5)
    powers = np.exp(logits / SERVINGS[name].temperature)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    served = outputs[f"{key}/probabilities"]
    np.testing.assert_allclose(served, probabilities, atol=1e-4)


@every_format
def test_bytes_equal_floats(clients, format):
    """The same whole pixels, as uint8 and as float32, of the right size."""
    outputs, _ = clients[format]
    floats, bytes = (outputs[f"{format}/{key}/logits"] for key in ("plain/1", "crop/3"))
    np.testing.assert_allclose(floats, bytes, atol=1e-5, rtol=1e-5)


def test_oracle_is_sensitive(network, batches):
    """Cropping, stretching and the temperature are seen at the precision above."""
    images = batches["crop/0"]
    crop, stretch = (expected_logits(network, n, images) for n in ("crop", "stretch"))
    assert np.abs(crop - stretch).max() > 0.1
    assert np.ptp(crop, axis=0).min() > 0.05  # Images differ, so their order counts.


@pytest.mark.parametrize("number", range(len(SIZES["crop"])))
@every_format
def test_top_k(network, clients, batches, format, number):
    """Most probable first; names in Keras's own format are left to the reader."""
    outputs, _ = clients[format]
    key = f"{format}/crop/{number}"
    logits = expected_logits(network, "crop", batches[f"crop/{number}"])
    ranked = np.argsort(-logits, axis=1)[:, :3]
    classes = outputs[f"{key}/top_classes"]
    assert classes.dtype == np.int32
    np.testing.assert_array_equal(classes, ranked)
    powers = np.exp(logits / 2.5)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        outputs[f"{key}/top_probabilities"],
        np.take_along_axis(probabilities, ranked, axis=1),
        atol=1e-4,
    )
    if format == "keras":
        assert f"{key}/top_names" not in outputs
    else:
        names = [[CLASS_NAMES[number] for number in row] for row in ranked]
        assert outputs[f"{key}/top_names"].tolist() == names
    assert len(np.unique(ranked)) >= 3
