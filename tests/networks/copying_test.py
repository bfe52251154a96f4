"""Kind: a copy of a network that computes something else than the network."""

import keras
import numpy as np
import pytest
from keras import layers

from josrc_keras import CoTeaching, JoSRC
from josrc_keras.export import sources
from josrc_keras.networks import copying

SIZE = (8, 8, 3)
PIXELS = np.random.default_rng(0).uniform(90, 140, (64, *SIZE)).astype("float32")


def network_of(*stack):
    return keras.Sequential(
        [keras.Input(SIZE), *stack, layers.Flatten(), layers.Dense(3)]
    )


def adapted():
    normalization = layers.Normalization()
    normalization.adapt(PIXELS)
    return network_of(normalization, layers.Conv2D(4, 3, activation="relu"))


def nested():
    inner = adapted()
    image = keras.Input(SIZE)
    return keras.Model(image, layers.Dense(3)(inner(image)))


def given():
    return network_of(layers.Normalization(mean=[115.0] * 3, variance=[200.0] * 3))


def with_lambda():
    return network_of(layers.Lambda(lambda pixels: pixels / 127.5 - 1.0))


@keras.saving.register_keras_serializable(package="tests")
class Centred(layers.Layer):
    """Subtracts what it derives from a weight, and derives it again from a file."""

    def build(self, input_shape):
        self.mean = self.add_weight(name="mean", shape=(), trainable=False)
        self.derived = 0.0

    def adapt(self, mean):
        self.mean.assign(mean)
        self.derived = float(mean)

    def call(self, pixels):
        return pixels - self.derived

    def load_own_variables(self, store):
        super().load_own_variables(store)
        self.derived = float(keras.ops.convert_to_numpy(self.mean))


@keras.saving.register_keras_serializable(package="tests")
class Forgetful(Centred):
    """Does not derive it again, so a saved file would be wrong, too."""

    def load_own_variables(self, store):
        layers.Layer.load_own_variables(self, store)


def centred(kind):
    layer = kind()
    network = network_of(layer)
    layer.adapt(115.0)
    return network


MAKERS = {
    "adapted": adapted,
    "nested": nested,
    "given": given,
    "lambda": with_lambda,
    "own layer": lambda: centred(Centred),
}


def difference(ours, theirs):
    return float(np.abs(ours(PIXELS[:4]) - np.asarray(theirs(PIXELS[:4]))).max())


@pytest.mark.parametrize("name", MAKERS)
def test_the_teacher_computes_what_the_student_computes(name):
    model = JoSRC(MAKERS[name](), 3, augmentation=layers.Identity())
    assert difference(model.student, model.teacher) < 1e-5


@pytest.mark.parametrize("name", MAKERS)
def test_a_peer_differs_by_its_trainable_weights_alone(name):
    model = CoTeaching(MAKERS[name](), 3, augmentation=layers.Identity())
    assert difference(model.student, model.peer) > 1e-3
    for ours, theirs in zip(
        model.peer.trainable_weights, model.student.trainable_weights, strict=True
    ):
        ours.assign(theirs)
    assert difference(model.student, model.peer) < 1e-5


@pytest.mark.parametrize("name", MAKERS)
def test_copies_for_export_compute_the_same(name):
    network = MAKERS[name]()
    if name != "lambda":  # Keras makes a Lambda from no configuration.
        assert difference(network, sources.copy_of(network)) < 1e-5
    assert difference(network, copying.clone(network, sources._as_keras)) < 1e-5


def test_a_reduced_precision_is_exported_as_it_computes():
    """`Normalization` in bfloat16: its float32 copy was off by 149."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = adapted()
    finally:
        keras.config.set_dtype_policy("float32")
    copy = sources.in_float32(network)
    logits = np.asarray(keras.ops.cast(network(PIXELS[:4]), "float32"))
    off = np.abs(np.asarray(copy(PIXELS[:4])) - logits).max()
    assert off < 0.05 * np.abs(logits).max()


def test_a_frozen_layer_is_frozen_with_its_state():
    network = adapted()
    model = JoSRC(network, 3, augmentation=layers.Identity())
    network.layers[0].trainable = False
    network.layers[0].adapt(PIXELS + 50)
    model.compile("sgd")
    assert difference(model.student, model.teacher) < 1e-5


def test_a_copy_that_computes_something_else_is_refused():
    message = r"A copy of the network .* computes something else\. Received: logits"
    with pytest.raises(ValueError, match=message):
        JoSRC(centred(Forgetful), 3, augmentation=layers.Identity())


def test_a_vocabulary_may_be_short():
    """Kind: a probe that the network can't take. Words are numbered to 2 only."""
    network = keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            layers.Embedding(3, 8),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3),
        ]
    )
    assert JoSRC(network, 3, augmentation=layers.Identity()).num_classes == 3


def test_a_classifier_of_keras_hub_is_taken():
    keras_hub = pytest.importorskip("keras_hub")
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(16, 16, 3),
    )
    network = keras_hub.models.ResNetImageClassifier(backbone=backbone, num_classes=3)
    model = JoSRC(network, 3, augmentation=layers.Identity())
    images = PIXELS[:2].repeat(2, axis=1).repeat(2, axis=2)
    ours, theirs = model.student(images), model.teacher(images)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_are_no_logits(activation, tmp_path):
    """Kind: softmax of softmax. Served, 0.705 would become 0.466."""
    from josrc_keras.export import export_classifier

    dense = layers.Dense(3, activation=activation)
    network = keras.Sequential([keras.Input(SIZE), layers.Flatten(), dense])
    message = f"Expected logits.*which returns probabilities: it ends in {activation}"
    with pytest.raises(ValueError, match=message):
        export_classifier(network, tmp_path / "served", format="saved_model")
    with pytest.raises(ValueError, match=message):
        JoSRC(network, 3)
    assert not (tmp_path / "served").exists()
