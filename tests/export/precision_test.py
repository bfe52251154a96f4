"""Half precision and eight bits: smaller, and as right on real digits."""

import keras
import numpy as np
import pytest

from josrc_keras import data, networks
from josrc_keras.export import ExportError, Serving, export_classifier, precision
from tests.support.exports import client, size

onnx = pytest.importorskip("onnx", reason="needs josrc-keras[onnx]")

SUFFIXES = {"onnx": ".onnx", "litert": ".tflite"}
REDUCED = [(format, kind) for format in SUFFIXES for kind in ("float16", "int8")]
CLASS_NAMES = ("null", "eins", "zwei", "drei", "vier", "fünf", "六", "sieben")
SERVINGS = {
    "plain": None,
    "full": Serving("uint8", resize="stretch", top_k=2, class_names=CLASS_NAMES),
}
MADE = [(*each, "full") for each in REDUCED] + [("onnx", "float16", "plain")]
MADE += [(f, kind, "plain") for f in SUFFIXES for kind in ("float32", "int8")]
every_reduced = pytest.mark.parametrize(("format", "kind"), REDUCED)


@pytest.fixture(scope="module")
def digits():
    """200 images that are not trained on, and their labels."""
    test = data.digits8n_o().test
    return test.images[:200].astype("float32"), test.labels[:200]


@pytest.fixture(scope="module")
def network():
    """A network that reads rightly labelled digits well."""
    keras.utils.set_random_seed(0)
    network = networks.digits_cnn(8)
    train = data.digits8n_o().train
    known = train.true_labels >= 0
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(3e-3), loss)
    network.fit(
        train.images[known],
        train.true_labels[known],
        batch_size=64,
        epochs=4,
        verbose=0,
    )
    return network


@pytest.fixture(scope="module")
def logits(network, digits):
    logits = network(digits[0], training=False).numpy()
    assert np.mean(logits.argmax(axis=1) == digits[1]) > 0.95
    return logits


@pytest.fixture(scope="module")
def artefacts(network, digits, tmp_path_factory):
    """`(format, precision, serving)` to `(path, report, outputs for the digits)`."""
    found = {}
    for format, suffix in SUFFIXES.items():
        for kind in ("float32", "float16", "int8"):
            for name, serving in SERVINGS.items():
                if (format, kind, name) not in MADE:
                    continue
                path = tmp_path_factory.mktemp(f"{format}-{kind}") / f"{name}{suffix}"
                report = export_classifier(
                    network,
                    path,
                    format,
                    serving=serving,
                    precision=kind,
                    images=digits[0],
                    test=digits,
                )
                images = digits[0] if serving is None else digits[0].astype("uint8")
                found[format, kind, name] = path, report, client(format, path)(images)
    return found


@every_reduced
def test_artefact_is_smaller(artefacts, format, kind):
    """Half of float32, or a good third: scales, names and nodes take some of it."""
    least, most = {"float16": (0.45, 0.56), "int8": (0.2, 0.4)}[kind]
    exact = size(artefacts[format, "float32", "plain"][0])
    for name in (name for f, k, name in MADE if (f, k) == (format, kind)):
        assert least < size(artefacts[format, kind, name][0]) / exact < most


@pytest.mark.parametrize(
    ("format", "kind", "name"), [each for each in MADE if each[1] != "float32"]
)
def test_predictions_stay(artefacts, digits, logits, format, kind, name):
    """On real digits; rounding is seen in the logits, or it was no reduction."""
    _, report, outputs = artefacts[format, kind, name]
    predicted = outputs["logits"].argmax(axis=1)
    assert np.mean(predicted == logits.argmax(axis=1)) >= 0.97
    difference = np.abs(outputs["logits"] - logits).max()
    assert 1e-4 < difference < {"float16": 0.02, "int8": 3}[kind]
    assert report["precision"] == kind
    assert report["max_difference"] >= difference * 0.999
    assert report["accuracy"] == np.mean(predicted == digits[1])
    assert report["test"]["accuracy"] == np.mean(logits.argmax(axis=1) == digits[1])


@every_reduced
def test_interface_stays(artefacts, format, kind):
    """Numbers that come out are float32 and int32; names belong to the classes."""
    outputs = artefacts[format, kind, "full"][2]
    for name in ("logits", "probabilities", "top_probabilities"):
        assert outputs[name].dtype == np.float32
    assert outputs["top_classes"].dtype == np.int32
    names = [[CLASS_NAMES[k] for k in row] for row in outputs["top_classes"]]
    served = np.vectorize(lambda n: n.decode() if isinstance(n, bytes) else n)
    assert served(outputs["top_names"]).tolist() == names


@every_reduced
def test_probabilities_are_those_of_its_logits(artefacts, format, kind):
    """So are the two most probable classes: softmax and top-k lose nothing."""
    outputs = artefacts[format, kind, "full"][2]
    logits = outputs["logits"].astype("float64")
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["probabilities"], probabilities, atol=1e-3)
    chosen = np.take_along_axis(logits, outputs["top_classes"], axis=1)
    np.testing.assert_array_equal(chosen, -np.sort(-logits, axis=1)[:, :2])
    chosen = np.take_along_axis(probabilities, outputs["top_classes"], axis=1)
    np.testing.assert_allclose(outputs["top_probabilities"], chosen, atol=1e-3)


@pytest.mark.parametrize(("kind", "type"), [("float16", "FLOAT16"), ("int8", "INT8")])
def test_onnx_weights_have_the_type_asked_for(artefacts, kind, type):
    """Nine tenths of the numbers that it holds."""
    tensors = onnx.load(artefacts["onnx", kind, "plain"][0]).graph.initializer
    counts = {}
    for tensor in tensors:
        name = onnx.TensorProto.DataType.Name(tensor.data_type)
        counts[name] = counts.get(name, 0) + int(np.prod(tensor.dims))
    assert counts[type] > 0.9 * sum(counts.values())


@pytest.mark.parametrize("format", ["saved_model", "keras"])
@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_other_formats_have_one_precision(network, tmp_path, format, kind):
    text = rf"precision for {format} as one of \('float32',\)\. Received: '{kind}'"
    with pytest.raises(ValueError, match=text):
        export_classifier(network, tmp_path / "model", format, precision=kind)
    assert list(tmp_path.iterdir()) == []


@every_reduced
def test_real_images_are_needed(network, tmp_path, format, kind):
    path = tmp_path / f"model{SUFFIXES[format]}"
    text = rf"real images beside precision='{kind}'.*none\. Pass validation="
    with pytest.raises(ValueError, match=text):
        export_classifier(network, path, format, precision=kind)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_other_predictions_are_refused(network, digits, tmp_path, monkeypatch, kind):
    """The last layer's weights change their sign on the way."""
    convert = precision.convert_onnx

    def wrong(model, *rest):
        for tensor in model.graph.initializer:
            if len(tensor.dims) == 2:
                values = -onnx.numpy_helper.to_array(tensor)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        return convert(model, *rest)

    monkeypatch.setattr(precision, "convert_onnx", wrong)
    text = "predicts other classes in this precision.*Use precision='float32'"
    with pytest.raises(ExportError, match=text):
        export_classifier(
            network, tmp_path / "model.onnx", precision=kind, images=digits[0]
        )
    assert list(tmp_path.iterdir()) == []
