"""What training on photos starts from, and how long it says that it will take."""

import json

import keras
import numpy as np
import pytest

from josrc_keras.configs import base, image_folder, photos_finetune
from josrc_keras.networks import backbones, by_name, freezing
from josrc_keras.runs import build_model, duration, start
from josrc_keras.runs import train as experiment
from tests.support import photos
from tests.support.runs import without_plots

pytest.importorskip("PIL.Image", reason="needs josrc-keras[report]")

SIZE = 8


def backbone_file(path, size=SIZE):
    """A tiny backbone with batch normalisation, saved by Keras."""
    keras.utils.set_random_seed(0)
    image = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(6, 3, activation="relu")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    keras.Model(image, x).save(path)
    return path


def settled(**fields):
    config = image_folder.get_config()
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in fields.items()}
    )
    return start.settled(config)


def followed(config):
    network = config.network
    return (
        (network.name, network.weights, network.frozen, network.head),
        (config.data.image_size, config.augmentation.padding),
        (config.epochs, config.learning_rate_decay.start_epoch),
    )


def test_a_backbone_is_the_default_where_its_weights_are(monkeypatch):
    monkeypatch.setattr(backbones, "is_at_hand", lambda name: True)
    assert followed(settled()) == (
        ("efficientnet_lite0", "imagenet", "backbone", "linear"),
        (224, 14),
        (10, 5),
    )
    assert settled(network__name="efficientnet_lite2").data.image_size == 260


def test_without_weights_it_says_what_that_costs(monkeypatch, caplog):
    monkeypatch.setattr(backbones, "is_at_hand", lambda name: False)
    from_scratch = (("cnn7", "random", "nothing", "mlp"), (64, 4), (40, 20))
    assert followed(settled()) == from_scratch
    for said in ("takes hours", "pip install josrc-keras[photos]", "FILE.keras"):
        assert said in caplog.text
    caplog.clear()
    assert followed(settled(network__name="cnn7")) == from_scratch
    assert not caplog.text


def test_what_is_set_stays():
    config = settled(network__name="efficientnet_lite0", data__image_size=32, epochs=3)
    assert followed(config)[1:] == ((32, 2), (3, 1))
    assert (
        settled(network__name="cnn7", data__image_size=160).augmentation.padding == 10
    )
    assert start.settled(base.get_config()) == base.get_config()


def test_a_file_brings_its_size_and_keeps_its_weights(tmp_path):
    path = backbone_file(tmp_path / "own.keras")
    config = settled(network__name=str(path))
    assert followed(config)[:2] == (
        (str(path), "imagenet", "backbone", "linear"),
        (SIZE, 1),
    )
    model = build_model.make_model(config, 3, 1, (SIZE, SIZE, 3), 12)
    assert freezing.is_frozen(model.student) and freezing.is_frozen(model.teacher)
    assert len(model.student.trainable_variables) == 2  # Of the head.
    # Two views of the student without a backward pass, and two of the teacher.
    assert model.passes() == 4
    tuned = settled(network__name=str(path), network__frozen="normalisation")
    model = build_model.make_model(tuned, 3, 1, (SIZE, SIZE, 3), 12)
    assert not model.student.get_layer("norm").trainable
    assert len(model.student.trainable_variables) == 4 and model.passes() == 8


def test_a_classifier_from_a_file_keeps_its_head(tmp_path):
    path = str(backbone_file(tmp_path / "own.keras"))
    made = by_name(path)(3, "linear", (SIZE, SIZE, 3), weights="imagenet")
    made.save(tmp_path / "made.keras")
    again = by_name(str(tmp_path / "made.keras"))
    copy = again(3, input_shape=(SIZE, SIZE, 3), weights="imagenet")
    pixels = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3))
    np.testing.assert_allclose(copy(pixels), made(pixels), atol=1e-6)
    with pytest.raises(ValueError, match=r"of 4 classes. Rec.*made.keras, of 3"):
        again(4, input_shape=(SIZE, SIZE, 3), weights="imagenet")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data__image_size": 9}, r"image_size=8"),
        ({"network__weights": "random", "network__frozen": "nothing"}, "of its own"),
        ({"network__frozen": "all"}, "Expected frozen as one of"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, fields, message):
    path = backbone_file(tmp_path / "own.keras")
    config = settled(network__name=str(path), **fields)
    shape = (config.data.image_size,) * 2 + (3,)
    with pytest.raises(ValueError, match=message):
        build_model.make_model(config, 3, 1, shape, 12)
    config = settled(network__name="cnn7", network__frozen="backbone")
    with pytest.raises(ValueError, match="Only pretrained weights can be kept"):
        build_model.make_model(config, 3, 1, (16, 16, 3), 12)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with photos, a backbone and a run of its head; what the run said."""
    from tensorflow.python.framework import config as determinism

    folder = tmp_path_factory.mktemp("frozen")
    photos.fill(folder / "photos", cat=12, dog=12)
    backbone_file(folder / "own.keras")
    said = []
    with pytest.MonkeyPatch.context() as patch:
        without_plots(patch)
        patch.setattr(duration, "PROPOSED", 0.0)
        log = duration.logging
        patch.setattr(log, "info", lambda text, *values: said.append(text % values))
        summary = experiment.train(config_of(folder), folder / "run", verbose=0)
    determinism.disable_op_determinism()
    return folder, summary, said


def config_of(folder):
    config = image_folder.get_config()
    config.data.dir = str(folder / "photos")
    config.network.name = str(folder / "own.keras")
    config.batch_size = 8
    config.epochs = 2
    return config


def test_a_run_trains_the_head_alone(trained):
    folder, summary, _ = trained
    recorded = json.loads((folder / "run/config.json").read_text())
    assert recorded["data"]["image_size"] == SIZE
    assert recorded["network"]["frozen"] == "backbone"
    student = keras.saving.load_model(folder / "run/model.keras").student
    assert freezing.is_frozen(student)
    before = keras.saving.load_model(folder / "own.keras")
    for layer, own in zip(before.layers[1:], student.layers[1:], strict=False):
        for then, now in zip(layer.weights, own.weights, strict=True):
            np.testing.assert_array_equal(then, now)
    assert summary["petaflop"] > 0


def test_it_says_how_long_it_takes_and_what_is_cheaper(trained):
    folder, _, said = trained
    first, second = (
        text for text in said if "will take about" in text or "To find" in text
    )
    assert f"{folder / 'own.keras'} (backbone frozen) for 2 epochs of 2" in first
    assert first.endswith("by one batch.")
    assert f"josrc-audit --photos={folder / 'photos'} --output=audit" in second


def test_the_time_is_passes_by_steps(monkeypatch):
    """A pass of 2 s; 3 of a network that learns; 5 steps left of 2 epochs of 5."""
    config = base.get_config("paper")
    config.method, config.data.name = "standard", "image_folder"
    config.network.name, config.batch_size, config.epochs = "digits_cnn", 4, 2
    model = build_model.make_model(config, 3, 5, (8, 8, 3), 20)
    split = photos_split(20)
    monkeypatch.setattr(duration, "seconds_of_pass", lambda *given: 2.0)
    seconds = duration.announce(model, split, config, initial_epoch=1)
    assert seconds == pytest.approx(duration.FURTHER * 2.0 * 3 * 5)
    config.data.name = "digits8n_o"
    assert duration.announce(model, split, config) is None


def photos_split(count):
    from josrc_keras.data.benchmark import Split

    images = np.zeros((count, 8, 8, 3), "uint8")
    return Split(images, np.zeros(count, "int64"), None, np.arange(count))


def test_all_layers_go_on_from_a_classifier(tmp_path):
    """The backbone's learning rate is a tenth of the head's; its statistics stay."""
    path = str(backbone_file(tmp_path / "own.keras"))
    made = by_name(path)(3, "linear", (SIZE, SIZE, 3), weights="imagenet")
    made.save(tmp_path / "made.keras")
    config = photos_finetune.get_config()
    config.network.name = str(tmp_path / "made.keras")
    config = start.settled(config)
    assert config.data.image_size == SIZE and config.epochs == 5
    model = build_model.make_model(config, 3, 10, (SIZE, SIZE, 3), 12)
    for own, then in zip(model.student.weights, made.weights, strict=True):
        np.testing.assert_array_equal(own, then)
    # The first step of SGD with Nesterov's momentum 0.9: 1.9 times rate and gradient.
    trained = model.student.trainable_variables
    before = [np.array(variable) for variable in trained]
    rate = float(model.optimizer.learning_rate)
    model.optimizer.apply([np.ones(v.shape, "float32") for v in trained], trained)
    for variable, then, factor in zip(trained, before, (1, 1, 10, 10), strict=True):
        np.testing.assert_allclose(
            then - np.array(variable), 1.9 * factor * rate, rtol=1e-3, atol=1e-9
        )
    assert not model.student.get_layer("norm").trainable
