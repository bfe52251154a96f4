"""The proof of an export: what is compared, with what, and each way to fail."""

import copy

import keras
import numpy as np
import pytest
from keras import layers

from josrc_keras.export import ExportError, Serving, export_classifier, proof
from tests.support.exports import network_of

NETWORK = (None, 2, 4, 1)


def serving_of(**arguments):
    """A `Serving` for 2x4 images and three classes."""
    return Serving(**arguments).fitted_to(NETWORK, 3)


def test_batches_of_noise():
    """Without images: the documented sizes, and whole pixels for encoding."""
    batches = proof.make_batches(serving_of(), 1, None)
    counts = {name: len(batch) for name, batch in batches.items()}
    assert counts == {
        "batch_1": 1,
        "batch_2": 2,
        "batch_33": 33,
        "black": 1,
        "white": 1,
        "encoded": 5,
    }
    for batch in batches.values():
        assert batch.dtype == np.float32 and batch.shape[1:] == (2, 4, 1)
    assert (batches["black"] == 0).all() and (batches["white"] == 255).all()
    noise = batches["batch_33"]
    assert 0 <= noise.min() < 20 and 235 < noise.max() <= 255
    assert (noise != np.round(noise)).any()
    assert (batches["encoded"] == np.round(noise[:5])).all()
    assert len(np.unique(noise, axis=0)) == 33


def test_batches_of_few_images_repeat_them():
    images = np.arange(24).reshape(3, 2, 4, 1)
    batches = proof.make_batches(serving_of(), 1, images)
    np.testing.assert_array_equal(batches["batch_2"], images[:2])
    np.testing.assert_array_equal(batches["batch_33"], np.concatenate([images] * 11))
    assert "all" not in batches


def test_all_images_are_compared():
    images = np.random.default_rng(0).uniform(0, 255, (34, 2, 4, 1))
    batches = proof.make_batches(serving_of(), 1, images)
    np.testing.assert_array_equal(batches["all"], images.astype("float32"))


def test_some_are_compared_where_all_are_too_many(monkeypatch):
    """Evenly spaced ones: 8 pixels of 4 bytes, 100 images."""
    images = np.arange(100.0)[:, None, None, None] * np.ones((1, 2, 4, 1))
    monkeypatch.setattr(proof, "MOST", 40 * 8 * 4)
    batches = proof.make_batches(serving_of(), 1, images)
    np.testing.assert_array_equal(batches["all"][:, 0, 0, 0], np.arange(0, 100, 3))


def test_bytes_are_rounded():
    """Whole pixels for uint8, and for encoding also where the input is float32."""
    images = np.array([0.2, 12.6, 255, 254.4] * 2).reshape(1, 2, 4, 1)
    batches = proof.make_batches(serving_of(dtype="uint8"), 1, images)
    assert {batch.dtype.name for batch in batches.values()} == {"uint8"}
    assert batches["batch_1"][0, 0, :, 0].tolist() == [0, 13, 255, 254]
    images[0, 0, 0, 0] = -5
    floats = proof.make_batches(serving_of(), 1, images)
    assert floats["encoded"][0, 0, :, 0].tolist() == [0, 13, 255, 254]
    assert floats["batch_1"][0, 0, 0, 0] == -5


def test_another_size_where_images_are_resized():
    images = np.arange(60).reshape(2, 5, 6, 1)
    batches = proof.make_batches(serving_of(resize="crop"), 1, images)
    assert batches["other_size"].shape == (2, 15, 12, 1)
    assert batches["other_size"][1, 4, 3, 0] == images[1, 1, 1, 0]
    assert batches["black"].shape == (1, 5, 6, 1)


def test_network_for_any_size_sees_64_pixels():
    serving = Serving().fitted_to((None, None, None, 3), 2)
    assert proof.make_batches(serving, 3, None)["batch_2"].shape == (2, 64, 64, 3)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((2, 4, 1), r"shape \(N, H, W, 1\)\. Received: shape \(2, 4, 1\)"),
        ((0, 2, 4, 1), r"Received: shape \(0, 2, 4, 1\)"),
        ((3, 2, 4, 3), r"shape \(N, H, W, 1\)\. Received: shape \(3, 2, 4, 3\)"),
        (
            (3, 4, 2, 1),
            r"of \(2, 4\) pixels.*\(3, 4, 2, 1\)\. Pass Serving\(resize=\.\.\.\)",
        ),
    ],
)
def test_images_of_another_shape_are_refused(shape, text):
    with pytest.raises(ValueError, match=text):
        proof.make_batches(serving_of(), 1, np.zeros(shape))


def test_pixels_out_of_range_are_refused():
    with pytest.raises(ValueError, match="pixels"):
        proof.make_batches(serving_of(dtype="uint8"), 1, np.full((3, 2, 4, 1), 300.0))


@pytest.fixture
def three_pixels():
    """A network whose three logits are the channels of its one pixel."""
    return keras.Sequential([keras.Input((1, 1, 3)), keras.layers.Flatten()])


def test_expected_outputs_by_hand(three_pixels):
    """Rescaled to 1, 3, 5; cooled to 0.5, 1.5, 2.5; e^-2, e^-1 and 1 over their sum."""
    serving = Serving(rescale=(2, -1), temperature=2.0, top_k=2)
    images = np.array([1, 2, 3], "uint8").reshape(1, 1, 1, 3)
    outputs = proof.expected_outputs(three_pixels, serving, images)
    assert outputs["logits"].tolist() == [[1, 3, 5]]
    close = {"atol": 1e-7}
    probabilities = [[0.09003057, 0.24472847, 0.66524096]]
    np.testing.assert_allclose(outputs["probabilities"], probabilities, **close)
    assert outputs["top_classes"].tolist() == [[2, 1]]
    top = [[0.66524096, 0.24472847]]
    np.testing.assert_allclose(outputs["top_probabilities"], top, **close)


@pytest.mark.parametrize(("resize", "first"), [("crop", 10), ("stretch", 20)])
def test_expected_outputs_are_resized(three_pixels, resize, first):
    """1x4 pixels to one: the second, or what is halfway between the middle ones."""
    serving = Serving(resize=resize).fitted_to((None, 1, 1, 3), 3)
    image = np.array([[0, 0, 5], [10, 0, 5], [30, 0, 5], [90, 0, 5]], "float32")
    outputs = proof.expected_outputs(three_pixels, serving, image[None, None])
    assert outputs["logits"].tolist() == [[first, 0, 5]]


SERVING = Serving(top_k=2, class_names=("a", "b", "c"))


def outputs_of(logits):
    """Expected outputs for logits, in NumPy."""
    logits = np.asarray(logits, "float32")
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return {
        "logits": logits,
        "probabilities": probabilities,
        "top_classes": ranked,
        "top_probabilities": np.take_along_axis(probabilities, ranked, axis=1),
    }


@pytest.fixture
def pair():
    """Expected and served outputs of two batches, the same."""
    expected = {
        "one": outputs_of([[3, 1, 1]]),  # Its last two are as probable.
        "two": outputs_of([[0, 2, 1], [1, 0, 4]]),
    }
    served = copy.deepcopy(expected)
    for outputs in served.values():
        names = np.array(SERVING.class_names)
        outputs["top_names"] = names[outputs["top_classes"]]
    return expected, served


def test_the_same_is_reported_so(pair):
    report = proof.compare(*pair, SERVING, 1e-4)
    assert report == {"max_difference": 0.0, "agreement": 1.0, "images": 3}


def test_equal_probabilities_may_swap(pair):
    expected, served = pair
    served["one"]["top_classes"] = np.array([[0, 2]])
    served["one"]["top_names"] = np.array([["a", "c"]])
    report = proof.compare(expected, served, SERVING, 1e-4)
    assert report["max_difference"] == 0


@pytest.mark.parametrize(
    ("output", "value", "text"),
    [
        (
            "logits",
            [[0, 2, 1], [1, 0.002, 4]],
            r"logits that differ by up to 0\.002,.*",
        ),
        ("probabilities", [[0.1, 0.6, 0.3], [0, 0, 1]], r"probabilities that differ"),
        (
            "top_classes",
            [[1, 0], [2, 0]],
            r"top_classes that differ by up to 0\.1[0-9]*",
        ),
        (
            "top_probabilities",
            [[0.6, 0.2], [1, 0]],
            r"top_probabilities that differ by",
        ),
        ("top_names", [["b", "c"], ["c", "b"]], r"other names.*\['a', 'b'\].*"),
        ("logits", [[0, np.nan, 1], [1, 0, 4]], r"NaN or infinity among its logits"),
        ("top_probabilities", [[np.inf, 0], [1, 0]], r"infinity among its top_probab"),
    ],
)
def test_each_other_output_is_refused(pair, output, value, text):
    expected, served = pair
    served["two"][output] = np.asarray(value)
    with pytest.raises(ExportError, match=text):
        proof.compare(expected, served, SERVING, 1e-4)


def test_refusal_says_how_far_and_what_to_do(pair):
    expected, served = pair
    served["two"]["logits"] = np.array([[0, 2, 3], [1, 0, 4]])
    text = r"same arg max for 66\.7%\. Expected: at most 0\.0004\..*with Rescaling\."
    with pytest.raises(ExportError, match=text):
        proof.compare(expected, served, SERVING, 1e-4)


@pytest.mark.parametrize("name", ["logits", "probabilities", "top_classes"])
def test_missing_output_is_refused(pair, name):
    expected, served = pair
    del served["two"][name]
    with pytest.raises(ExportError, match=rf"lacks outputs.*none named \['{name}'\]"):
        proof.compare(expected, served, SERVING, 1e-4)


@pytest.mark.parametrize("cut", [np.s_[:1], np.s_[:, :2]], ids=["images", "classes"])
def test_output_of_another_shape_is_refused(pair, cut):
    expected, served = pair
    for outputs in served.values():
        outputs["logits"] = outputs["logits"][cut]
    with pytest.raises(ExportError, match="logits"):
        proof.compare(expected, served, SERVING, 1e-4)


@pytest.mark.parametrize(("off", "fine"), [(0.9, True), (1.1, False)])
def test_tolerance_is_relative_to_large_logits(off, fine):
    """A hundredth of the largest logit, 100, is 1."""
    serving = Serving(outputs=["logits"])
    expected = {"all": outputs_of([[100, 3, 1]])}
    served = {"all": {"logits": np.array([[100, 3 + off, 1]])}}
    if fine:
        report = proof.compare(expected, served, serving, 0.01)
        assert report["max_difference"] == pytest.approx(off)
    else:
        with pytest.raises(ExportError, match=r"1\.1, .* at most 1\."):
            proof.compare(expected, served, serving, 0.01)


def test_probabilities_alone():
    """Without logits the difference and the arg max are of the probabilities."""
    serving = Serving(outputs=["probabilities"])
    expected = {"all": outputs_of([[3, 1, 1]])}
    served = {"all": {"probabilities": expected["all"]["probabilities"] + 0.25}}
    report = proof.compare(expected, served, serving, 0.3)
    assert report == {
        "max_difference": pytest.approx(0.25),
        "agreement": 1.0,
        "images": 1,
    }


@pytest.mark.parametrize(("wrong", "fine"), [(1, True), (2, False)])
def test_nine_in_ten_must_agree_in_reduced_precision(wrong, fine):
    """Whatever the logits are otherwise."""
    serving = Serving(outputs=["logits"])
    logits = np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1, 2, 0]]
    expected = {"all": outputs_of(logits)}
    changed = 7 * logits
    changed[:wrong] = np.roll(changed[:wrong], 1, axis=1)
    served = {"all": {"logits": changed}}
    if fine:
        report = proof.compare(expected, served, serving, None)
        assert (report["agreement"], report["max_difference"]) == (0.9, 7.0)
    else:
        text = (
            r"other classes in this precision.*for 80\.0%, and .*at least 90% and 75%"
        )
        with pytest.raises(ExportError, match=text):
            proof.compare(expected, served, serving, None)


@pytest.mark.parametrize(
    ("counts", "kept", "by_class"),
    [
        # Always class 0, which has most of the images.
        ((190, 10, 0), (190, 0, 0), (1 + 4 / 14) / 2),
        ((194, 3, 3), (194, 0, 0), (1 + 4 / 7 + 4 / 7) / 3),
        # All but the only image of a class or two, or but a few of each.
        ((199, 1, 0), (199, 0, 0), (1 + 4 / 5) / 2),
        ((198, 1, 1), (198, 0, 0), (1 + 4 / 5 + 4 / 5) / 3),
        ((180, 10, 10), (176, 9, 8), (180 / 184 + 13 / 14 + 12 / 14) / 3),
    ],
)
def test_each_class_must_agree_in_reduced_precision(counts, kept, by_class):
    """The rest of each class is served as class 0, or as class 1 if it is that."""
    serving = Serving(outputs=["logits"])
    ours = np.repeat(range(3), counts)
    theirs = ours.copy()
    for number, (count, same) in enumerate(zip(counts, kept, strict=True)):
        start = sum(counts[:number])
        theirs[start + same : start + count] = number == 0
    assert proof.class_agreement(ours, theirs) == pytest.approx(by_class)
    expected = {"all": outputs_of(np.eye(3)[ours])}
    served = {"all": {"logits": np.eye(3)[theirs]}}
    agreement = np.mean(ours == theirs)
    assert agreement >= 0.9
    if by_class >= 0.75:
        report = proof.compare(expected, served, serving, None)
        assert report["agreement"] == agreement
    else:
        text = (
            rf"for {agreement:.1%}, and as a smoothed mean over the predicted classes "
            rf"for {by_class:.1%}\. Expected: at least 90% and 75%\. Use prec"
        )
        with pytest.raises(ExportError, match=text):
            proof.compare(expected, served, serving, None)


@pytest.mark.parametrize(
    ("format", "package", "text"),
    [
        ("onnx", "onnxruntime", "InvalidProtobuf"),
        ("litert", "ai_edge_litert", "not a valid Flatbuffer"),
    ],
)
def test_broken_file_is_refused(format, package, text, tmp_path):
    """The last line of what the fresh process said is passed on."""
    pytest.importorskip(package)
    path = tmp_path / "model"
    path.write_bytes(b"nothing")
    text = f"exported {format} could not be loaded in a fresh process: .*{text}"
    with pytest.raises(ExportError, match=text):
        proof.served_outputs(format, path, {"one": np.zeros((1, 2, 4, 1))})


@pytest.mark.parametrize("format", ["saved_model", "onnx"])
def test_the_proof_writes_nothing_into_the_home_directory(
    format, tmp_path, monkeypatch
):
    """Kind: files that a process which we start leaves, here of Keras and fonts."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("KERAS_HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    network = network_of(layers.Rescaling(1 / 255))
    export_classifier(network, tmp_path / "model.onnx", format)
    assert not list((tmp_path / "home").iterdir())
