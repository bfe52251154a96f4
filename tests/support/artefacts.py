"""What runs hold and artefacts return, for the tests of the command."""

import keras
import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")


def logits_of(network, images):
    logits = network(np.asarray(images, "float32"), training=False)
    return keras.ops.convert_to_numpy(logits)


def networks_in(run):
    model = keras.saving.load_model(run / "model.keras")
    return {"teacher": model.teacher, "student": model.student}


def session_of(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def serve(path, images):
    session = session_of(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": images}), strict=True))


def percent(share):
    return f"{share:.1%}"
