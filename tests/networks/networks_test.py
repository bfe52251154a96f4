import importlib.util
import sys

import keras
import numpy as np
import pytest
from keras import layers

from josrc_keras import networks


@pytest.fixture
def policy(request):
    """Sets the global policy for a test."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def pixels(rows=3, shape=(32, 32, 3)):
    return np.random.default_rng(0).integers(0, 256, (rows, *shape)).astype("uint8")


CNN7_WEIGHTS = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 196), (196, 16)]


@pytest.mark.parametrize(
    ("head", "classes", "expected"),
    [
        ("linear", 80, 536_736),
        ("mlp", 80, 690_336),
        ("linear", 100, 541_876),
        ("mlp", 100, 700_596),
    ],
)
def test_cnn7_has_the_papers_size(head, classes, expected):
    """Counted by hand.

    Convolutions without bias, 9 weights for each pair of channels:
    9 (3*64 + 64*64 + 64*128 + 128*128 + 128*196 + 196*16) = 513,792.
    Batch norm, 4 a channel: 4 (64 + 64 + 128 + 128 + 196 + 16) = 2,384.
    Linear: 256 C + C. MLP: 256*512 + 4*512 + 512 C + C = 133,120 + 513 C.
    """
    convolutions = sum(9 * a * b for a, b in CNN7_WEIGHTS)
    norms = sum(4 * b for _, b in CNN7_WEIGHTS)
    top = {"linear": 257 * classes, "mlp": 133_120 + 513 * classes}[head]
    assert convolutions + norms + top == expected
    network = networks.cnn7(classes, head=head)
    assert network.count_params() == expected
    assert network.get_layer("features").output.shape == (None, 256)
    assert network.output_shape == (None, classes)
    norms = [
        layer
        for layer in network.layers
        if isinstance(layer, layers.BatchNormalization)
    ]
    assert len(norms) == {"linear": 6, "mlp": 7}[head]
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-5)}


@pytest.mark.parametrize(("head", "expected"), [("linear", 67_624), ("mlp", 202_792)])
def test_digits_cnn_has_the_size_by_hand(head, expected):
    """9 (32 + 32*32 + 32*64 + 64*64) = 64,800, norms 4 * 192 = 768, 256 features.

    C = 8. Linear: 257 * 8 = 2,056. MLP: 133,120 + 513 * 8 = 137,224.
    """
    assert networks.digits_cnn(8, head=head).count_params() == expected


@pytest.mark.parametrize(
    ("build", "width", "expected"),
    [
        (networks.cnn7, 1.0, (64, 64, 128, 128, 196, 16)),
        (networks.cnn7, 0.25, (16, 16, 32, 32, 49, 16)),
        (networks.cnn7, 2, (128, 128, 256, 256, 392, 16)),
        (networks.cnn7, 0.001, (1, 1, 1, 1, 1, 16)),
        (networks.digits_cnn, 1.0, (32, 32, 64, 64)),
        (networks.digits_cnn, 0.3, (10, 10, 19, 19)),  # 9.6 and 19.2, rounded.
        (networks.digits_cnn, 0.01, (1, 1, 1, 1)),
    ],
)
def test_width_multiplies_filters(build, width, expected):
    """All of them but `cnn7`'s last, on which the size of the features depends."""
    network = build(7, head="mlp", width=width)
    convolutions = [
        layer for layer in network.layers if isinstance(layer, layers.Conv2D)
    ]
    assert tuple(layer.filters for layer in convolutions) == expected
    (count,) = network.get_layer("features").output.shape[1:]
    assert count == expected[-1] * (16 if build is networks.cnn7 else 4)
    assert network.get_layer("hidden").units == 2 * count
    assert network.output_shape == (None, 7)


@pytest.mark.parametrize(
    ("build", "arguments", "expected"),
    [
        (networks.cnn7, {"num_classes": 80, "width": 1.0}, 690_336),
        (networks.cnn7, {"num_classes": 8, "width": 0.25}, 175_596),
        (networks.digits_cnn, {"num_classes": 8, "width": 1.0}, 67_624),
    ],
)
def test_size_by_width(build, arguments, expected):
    """A width of 1 is the paper's size, as above. A quarter is counted by hand.

    9 (3*16 + 16*16 + 16*32 + 32*32 + 32*49 + 49*16) = 37,728; norms 4 * 161 = 644;
    the head, which keeps its 256 features, 133,120 + 513 * 8 = 137,224.
    """
    assert build(**arguments).count_params() == expected


@pytest.mark.parametrize("build", [networks.cnn7, networks.digits_cnn])
@pytest.mark.parametrize("width", [0, -0.5, float("nan")])
def test_width_must_be_positive(build, width):
    message = rf"`width` must be positive\. Received: width={width}\."
    with pytest.raises(ValueError, match=message):
        build(2, width=width)


@pytest.mark.parametrize(
    ("name", "fan_in"), [("conv1", 27), ("conv4", 1152), ("conv5", 1152)]
)
def test_convolutions_start_uniform_in_1_over_root_fan_in(name, fan_in):
    kernel = networks.cnn7(2).get_layer(name).get_weights()[0] * np.sqrt(fan_in)
    assert 0.98 < np.abs(kernel).max() <= 1 + 1e-6
    assert kernel.std() == pytest.approx(3**-0.5, rel=0.03)


def test_the_default_head_is_the_published_codes():
    names = [layer.name for layer in networks.cnn7(2).layers]
    assert names[-5:] == [
        "hidden",
        "hidden_norm",
        "hidden_relu",
        "logits",
        "logits_float32",
    ]


def test_raw_pixels_are_normalised_inside():
    """(x / 255 - mean) / deviation with ImageNet's values, black and white included."""
    network = networks.cnn7(2)
    images = pixels()
    images[0], images[1] = 0, 255
    first = keras.Model(network.input, network.get_layer("normalise").output)
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    expected = (images.astype("float64") / 255 - mean) / deviation
    np.testing.assert_allclose(first(images), expected, rtol=1e-5, atol=1e-5)
    digits = networks.digits_cnn(2)
    first = keras.Model(digits.input, digits.get_layer("normalise").output)
    images = pixels(shape=(8, 8, 1))
    np.testing.assert_allclose(first(images), images / 255, rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
@pytest.mark.parametrize("name", ["cnn7", "digits_cnn"])
def test_logits_are_float32_under_mixed_precision(policy, name):
    network = networks.NETWORKS[name](5)
    convolution = network.get_layer("conv2")
    assert convolution.compute_dtype == policy.removeprefix("mixed_")
    assert convolution.kernel.dtype == "float32"
    for training in (False, True):
        logits = network(pixels(shape=network.input_shape[1:]), training=training)
        assert logits.dtype == "float32"
        assert np.isfinite(logits).all()


def test_mlp_head_normalises_its_hidden_layer():
    """With He's start and batch statistics, logits have variance 2 E[relu(z)^2] = 1."""
    network = networks.cnn7(50)
    network(pixels(2), training=False)
    logits = np.asarray(network(pixels(32), training=True))
    assert logits.std(axis=0).mean() == pytest.approx(1.0, rel=0.35)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: networks.cnn7(2, head="deep"), r"Received: head='deep'\. Use one of"),
        (
            lambda: networks.cnn7(2, input_shape=(32, 7, 3)),
            r"at least 8x8 pixels\. Received: input_shape=\(32, 7, 3\)\. Use `digits",
        ),
    ],
)
def test_bad_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def network_of(*stack, shape=(4, 4, 1), name="mine"):
    return keras.Sequential([keras.Input(shape), layers.Flatten(), *stack], name=name)


def with_two_inputs():
    inputs = [keras.Input((4,)), keras.Input((4,))]
    return keras.Model(inputs, layers.Dense(3)(layers.Add()(inputs)), name="mine")


class Subclassed(keras.Model):
    """A model whose input shape Keras doesn't know."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, images):
        return self.dense(images)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: network_of(layers.Dense(3), layers.Softmax()),
            ValueError,
            r"the network 'mine', which returns probabilities: it ends in softmax\.",
        ),
        (
            lambda: network_of(layers.Dense(4)),
            ValueError,
            r"shape \(N, 3\)\. Received: 'mine', whose output has shape \(N, 4\)",
        ),
        (
            lambda: keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(3, 1)]),
            ValueError,
            r"Expected a network with logits.*output has shape \(N, 4, 4, 3\)",
        ),
        (
            lambda: keras.Sequential([layers.Dense(3)], name="mine"),
            ValueError,
            r"'mine' has no weights yet\. Start it with `keras\.Input\(shape\)`",
        ),
        (Subclassed, ValueError, r"has no weights yet.*or call it once on a batch"),
        (
            lambda: layers.Dense(3),
            TypeError,
            r"Expected a keras\.Model.*Received: <Dense.*Pass for example `josrc_keras",
        ),
        (
            with_two_inputs,
            ValueError,
            r"one image input\. Received: 'mine' with input shape \(\(None, 4\), \(No",
        ),
    ],
)
def test_check_network_refuses(build, error, message):
    with pytest.raises(error, match=message):
        networks.check_network(build(), 3)


def test_check_network_returns_what_is_fine():
    subclassed = Subclassed()
    subclassed(np.zeros((1, 4)))
    for network in (
        network_of(layers.Dense(3)),
        subclassed,
        networks.cnn7(3),
    ):
        before = network.get_weights()
        assert networks.check_network(network, 3) is network
        for ours, theirs in zip(network.get_weights(), before, strict=True):
            np.testing.assert_array_equal(ours, theirs)


RESNETS = ["resnet18", "resnet50"]
hub = pytest.mark.skipif(
    importlib.util.find_spec("keras_hub") is None,
    reason="needs josrc-keras[pretrained]",
)


@hub
@pytest.mark.parametrize(
    ("name", "backbone", "channels", "statistics"),
    [("resnet18", 11_176_512, 512, 9_600), ("resnet50", 23_508_032, 2048, 53_120)],
)
def test_resnets_have_the_published_sizes(name, backbone, channels, statistics):
    """Those of torchvision, 11,689,512 and 25,557,032, less their last layer.

    It has 1000 (f + 1): 513,000 for 512 features, 2,049,000 for 2,048. To the rest
    come means and variances, two a channel, and the head: linear (f + 1) C; MLP
    2 f^2, its norm 4 * 2 f, and (2 f + 1) C.
    """
    network = networks.NETWORKS[name](7, head="linear")
    inside = network.get_layer("backbone")
    assert sum(np.prod(w.shape) for w in inside.trainable_weights) == backbone
    assert inside.count_params() == backbone + statistics
    head = 7 * (channels + 1)
    assert network.count_params() == backbone + statistics + head
    assert network(pixels(2), training=False).shape == (2, 7)
    mlp = networks.NETWORKS[name](7)  # The default, as `cnn7`'s.
    head = 2 * channels**2 + 8 * channels + 7 * (2 * channels + 1)
    assert mlp.count_params() == backbone + statistics + head
    norms = [
        layer
        for layer in mlp._flatten_layers()
        if isinstance(layer, layers.BatchNormalization)
    ]
    assert len(norms) == {"resnet18": 20, "resnet50": 53}[name] + 1
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-5)}


@hub
def test_resnets_take_images_of_any_size():
    """Logits `(N, C)`, of normalised pixels: black is -mean / deviation."""
    network = networks.check_network(networks.resnet18(5), 5)
    assert network.input_shape == (None, None, None, 3)
    for shape in ((32, 32, 3), (40, 56, 3)):
        assert network(pixels(2, shape), training=False).shape == (2, 5)
    first = keras.Model(network.input, network.get_layer("normalise").output)
    expected = -np.array([0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    black = first(np.zeros((1, 3, 3, 3), "float32"))[0, 0, 0]
    np.testing.assert_allclose(black, expected, rtol=1e-5)
    fixed = networks.resnet18(5, input_shape=(48, 32, 3))
    assert fixed.input_shape == (None, 48, 32, 3)


@hub
@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
def test_resnet_logits_are_float32_under_mixed_precision(policy):
    network = networks.resnet18(5)
    computed = {
        layer.compute_dtype
        for layer in network.get_layer("backbone")._flatten_layers()
        if isinstance(layer, layers.Conv2D)
    }
    assert computed == {"bfloat16"}
    logits = network(pixels(), training=False)
    assert logits.dtype == "float32" and np.isfinite(logits).all()


@pytest.mark.parametrize("name", RESNETS)
def test_resnets_need_keras_hub(name, monkeypatch):
    for module in ("keras_hub", "keras_hub.models"):
        monkeypatch.setitem(sys.modules, module, None)
    text = rf"{name} comes with keras-hub.*`pip install josrc-keras\[pretrained\]`"
    with pytest.raises(ImportError, match=text):
        networks.NETWORKS[name](5)


@pytest.mark.parametrize("name", RESNETS)
@pytest.mark.parametrize("width", [0.5, 2, 0])
def test_resnets_have_one_width(name, width):
    text = rf"{name} has one width\. Received: width={width}\. Use 1\."
    with pytest.raises(ValueError, match=text):
        networks.NETWORKS[name](5, width=width)
