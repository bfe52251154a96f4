"""Artefacts of networks: made quickly, and used as clients use them."""

import contextlib
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras.export import proof, served_process

onnxruntime = pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")

NAMES = {
    "onnx": "model.onnx",
    "saved_model": "model",
    "litert": "model.tflite",
    "keras": "model.keras",
}
every_format = pytest.mark.parametrize("format", NAMES)


@contextlib.contextmanager
def quick_proof():
    """Proofs that do not start a process, which costs five seconds with TensorFlow."""

    def run(command, **options):
        try:
            served_process.main(command[3:])
        except Exception as error:
            return types.SimpleNamespace(returncode=1, stderr=f"log\n{error!r}\n")
        return types.SimpleNamespace(returncode=0, stderr="")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "subprocess", types.SimpleNamespace(run=run))
        yield


def client(format, path):
    """A function from an array to a dict of outputs, as a user would write it."""
    if format == "onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return lambda x: dict(zip(names, session.run(None, {"image": x}), strict=True))
    if format == "litert":
        litert = pytest.importorskip("ai_edge_litert.interpreter")
        run = litert.Interpreter(str(path)).get_signature_runner("serving_default")
        return lambda x: run(image=x)
    if format == "keras":
        call = keras.saving.load_model(path)
    else:
        signatures = tf.saved_model.load(path).signatures
        call = lambda x: signatures["serving_default"](image=tf.constant(x))  # noqa: E731
    return lambda x: {name: value.numpy() for name, value in call(x).items()}


def logits_of(network, batch):
    logits = network(np.asarray(batch, "float32"), training=False)
    return keras.ops.convert_to_numpy(logits)


def check_same(ours, theirs):
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-5)
    np.testing.assert_array_equal(ours.argmax(axis=1), theirs.argmax(axis=1))


def size(path):
    parts = [path, *path.rglob("*")]
    return sum(part.stat().st_size for part in parts if part.is_file())


def network_of(*layers, policy="float32", shape=(8, 8, 1)):
    """A classifier of given layers, whose last one gives three logits."""
    policy = keras.DTypePolicy(policy)
    image = keras.Input(shape)
    x = image
    for layer in layers:
        x = layer(x)
    x = keras.layers.Conv2D(4, 3, dtype=policy)(x)
    x = keras.layers.BatchNormalization(dtype=policy)(x)
    x = keras.layers.GlobalMaxPooling2D(dtype=policy)(x)
    return keras.Model(image, keras.layers.Dense(3, dtype=policy)(x))


def bilinear(images, size):
    """Images `(N, H, W, C)` at another size: half-pixel centres, edges repeated."""
    for axis, count in enumerate(size, start=1):
        old = images.shape[axis]
        at = np.clip((np.arange(count) + 0.5) * old / count - 0.5, 0, old - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        first = np.take(images, low, axis)
        second = np.take(images, np.minimum(low + 1, old - 1), axis)
        images = first * (1 - share) + second * share
    return images


def middle(images, size):
    """The largest part in the middle with the proportions of `size`."""
    old = images.shape[1:3]
    new = [
        min(old[0], old[1] * size[0] // size[1]),
        min(old[1], old[0] * size[1] // size[0]),
    ]
    top, left = (old[0] - new[0]) // 2, (old[1] - new[1]) // 2
    return images[:, top : top + new[0], left : left + new[1]]
