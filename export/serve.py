"""Runs an exported classifier with nothing of this package: the proof of an export.

Started as a script, in a process of its own: FORMAT MODEL INPUTS.npz OUTPUTS.npz. Each
array in INPUTS is a batch `(N, H, W, channels)`; OUTPUTS gets its logits by its name.
"""

import sys

import numpy as np


def onnx_predictor(path):
    """A function from a batch to logits, by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["logits"], {"image": images})[0]


def saved_model_predictor(path):
    """A function from a batch to logits, by TensorFlow's own loader."""
    import tensorflow as tf

    serve = tf.saved_model.load(path).signatures["serving_default"]
    return lambda images: serve(image=tf.constant(images))["logits"].numpy()


PREDICTORS = {"onnx": onnx_predictor, "saved_model": saved_model_predictor}


def main(arguments):
    """Predicts every batch of a file of arrays."""
    format_name, model, inputs, outputs = arguments
    predict = PREDICTORS[format_name](model)
    with np.load(inputs) as batches:
        logits = {name: predict(batches[name]) for name in batches.files}
    np.savez(outputs, **logits)


if __name__ == "__main__":
    main(sys.argv[1:])
