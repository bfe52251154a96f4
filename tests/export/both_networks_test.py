"""A method that predicts with two networks is exported with both."""

import keras
import numpy as np
import pytest

from josrc_keras import CoTeaching, DivideMix, networks
from josrc_keras.export import export_classifier, sources


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = DivideMix(networks.digits_cnn(4, width=0.25), 4, 20)
    model.compile("sgd")
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(3)
    return model


def test_the_exported_network_is_the_mean_of_both(trained):
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype("uint8")
    found = sources.networks_of(trained)
    assert list(found) == ["network"]
    expected = (
        np.asarray(trained.student(images)) + np.asarray(trained.peer(images))
    ) / 2
    got = sources.predict(found["network"], images)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got, trained.predict(images, verbose=0), atol=1e-5)
    assert np.abs(got - np.asarray(trained.student(images))).max() > 1e-2


def test_it_is_served_by_onnxruntime(trained, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    export_classifier(trained, path, format="onnx")
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 1)).astype("float32")
    session = onnxruntime.InferenceSession(path)
    outputs = dict(
        zip(
            [output.name for output in session.get_outputs()],
            session.run(None, {session.get_inputs()[0].name: images}),
            strict=True,
        )
    )
    expected = trained.predict(images, verbose=0)
    np.testing.assert_allclose(outputs["logits"], expected, rtol=1e-4, atol=1e-4)


def test_other_pairs_of_networks_export_the_first():
    model = CoTeaching(networks.digits_cnn(4, width=0.25), 4)
    model.compile("sgd")
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(3)
    assert sources.networks_of(model) == {"student": model.student}
