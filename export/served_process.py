"""Runs an exported classifier without this package, for the proof of an export.

It is started as a script, in a process of its own, with FORMAT MODEL INPUTS.npz
OUTPUTS.npz. Each array in INPUTS is a batch `(N, H, W, channels)`. OUTPUTS gets
NAME/OUTPUT for each of its outputs. The batch `encoded` goes as PNG through a
SavedModel's signature for encoded images.
"""

import os
import sys

import numpy as np

AT_ONCE = 64  # Images that are predicted at a time.


def onnx_predictor(path):
    """A function from a batch's name and images to outputs, by onnxruntime."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda name, images: dict(
        zip(names, session.run(names, {"image": images}), strict=True)
    )


def saved_model_predictor(path):
    """The same function, by TensorFlow's own loader."""
    import tensorflow as tf

    signatures = tf.saved_model.load(path).signatures

    def predict(name, images):
        if name == "encoded" and "serving_encoded" in signatures:
            pixels = tf.constant(images.astype("uint8"))
            encoded = tf.stack([tf.io.encode_png(image) for image in pixels])
            outputs = signatures["serving_encoded"](image_bytes=encoded)
        else:
            outputs = signatures["serving_default"](image=tf.constant(images))
        return {name: value.numpy() for name, value in outputs.items()}

    return predict


def litert_predictor(path):
    """The same function, by LiteRT's interpreter, or by TensorFlow's copy of it."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tensorflow.lite.python.interpreter import Interpreter
    run = Interpreter(model_path=path).get_signature_runner("serving_default")
    return lambda name, images: run(image=images)


def keras_predictor(path):
    """The same function, by Keras."""
    import keras

    model = keras.saving.load_model(path)

    return lambda name, images: model.predict_on_batch(images)


PREDICTORS = {
    "onnx": onnx_predictor,
    "saved_model": saved_model_predictor,
    "litert": litert_predictor,
    "keras": keras_predictor,
}


def main(arguments):
    """Predicts every batch in a file of arrays, and writes the outputs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    format_name, model, inputs, outputs = arguments
    predict = PREDICTORS[format_name](model)
    found: dict = {}
    with np.load(inputs) as batches:
        for name in batches.files:
            images = batches[name]
            starts = range(0, len(images), AT_ONCE)
            parts = [predict(name, images[s : s + AT_ONCE]) for s in starts]
            for output in parts[0]:
                values = np.concatenate([part[output] for part in parts])
                if values.dtype.kind in "OS":
                    values = np.array([[_text(v) for v in row] for row in values])
                found[f"{name}/{output}"] = values
    np.savez(outputs, **found)


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    main(sys.argv[1:])
