"""Which network of a model is exported, and as what weights."""

import keras
import numpy as np
import pytest

from josrc_keras import JoSRC, baselines, data, networks
from josrc_keras.export import sources

CLASSES = 5
SHAPE = (8, 8, 1)


def pixels(count, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, *SHAPE)).astype("uint8")


def small(*stack, policy="float32"):
    """A network with a first convolution that batch normalisation follows."""
    policy = keras.DTypePolicy(policy)
    image = keras.Input(SHAPE)
    x = keras.layers.Rescaling(1 / 255, dtype=policy)(image)
    x = keras.layers.Conv2D(4, 3, name="first", dtype=policy)(x)
    x = keras.layers.BatchNormalization(name="norm", momentum=0.8, dtype=policy)(x)
    x = keras.layers.ReLU(dtype=policy)(x)
    for layer in stack:
        x = layer(x)
    x = keras.layers.Conv2D(6, 3, name="second", dtype=policy)(x)
    x = keras.layers.BatchNormalization(name="norm_2", dtype=policy)(x)
    x = keras.layers.Flatten(dtype=policy)(x)
    return keras.Model(image, keras.layers.Dense(CLASSES, dtype=policy)(x), name="net")


def logits_of(network, images):
    """In one call, whatever their number."""
    logits = network(np.asarray(images, "float32"), training=False)
    return keras.ops.convert_to_numpy(logits)


def compiled(model):
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def stepped(model):
    """As if it had trained: its optimizer has made a step."""
    model.optimizer.iterations.assign(1)
    return model


def test_both_networks_of_josrc(trained):
    found = sources.networks_of(trained)
    assert set(found) == {"teacher", "student"}
    assert found["teacher"] is trained.teacher
    assert found["student"] is trained.student


@pytest.mark.parametrize(
    "make", [baselines.Standard, baselines.Decoupling, baselines.CoTeaching]
)
def test_models_without_a_teacher_have_their_student(make):
    """Of two networks the one that `call` and evaluation use."""
    model = stepped(compiled(make(small(), CLASSES)))
    found = sources.networks_of(model)
    assert list(found) == ["student"]
    assert found["student"] is model.student
    images = pixels(3).astype("float32")
    np.testing.assert_array_equal(
        logits_of(found["student"], images),
        keras.ops.convert_to_numpy(model(images, training=False)),
    )


def test_a_plain_network_is_itself():
    """Trained or not can't be told: compiled without a step is fine too."""
    network = small()
    assert sources.networks_of(network) == {"network": network}
    assert sources.networks_of(compiled(network)) == {"network": network}


UNTRAINED = (
    r"Expected a trained model\. Received: a {} that has made no step\. Call `fit`.*"
    r"pass the network itself \(`model\.student`\)"
)


@pytest.mark.parametrize("compile_it", [False, True])
def test_an_untrained_josrc_is_refused(compile_it):
    """Student and teacher are equal, compiled or not."""
    model = JoSRC(small(), CLASSES, smoothing=0.3)
    if compile_it:
        compiled(model)
    with pytest.raises(ValueError, match=UNTRAINED.format("JoSRC")):
        sources.networks_of(model)


def test_an_untrained_standard_is_refused():
    model = compiled(baselines.Standard(small(), CLASSES))
    with pytest.raises(ValueError, match=UNTRAINED.format("Standard")):
        sources.networks_of(model)


def test_loaded_weights_are_trained():
    """One number of the teacher differs from the student, or a step was made."""
    model = compiled(JoSRC(small(), CLASSES, smoothing=0.3))
    assert set(sources.networks_of(stepped(model))) == {"teacher", "student"}
    model.optimizer.iterations.assign(0)
    weights = model.teacher.get_weights()
    weights[-1][2] += 1e-3
    model.teacher.set_weights(weights)
    assert set(sources.networks_of(model)) == {"teacher", "student"}


def with_two_inputs():
    inputs = [keras.Input(SHAPE), keras.Input(SHAPE)]
    x = keras.layers.Flatten()(keras.layers.Add()(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(x), name="two")


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: "model", TypeError, r"Expected a Keras model\. Received: 'model'\."),
        (
            lambda: keras.Sequential([keras.layers.Dense(3)], name="raw"),
            ValueError,
            r"one image input\. Received: 'raw', input shape None\. Call it once",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((9,)), keras.layers.Dense(3)], name="flat"
            ),
            ValueError,
            r"Received: 'flat', input shape \(None, 9\)",
        ),
        (with_two_inputs, ValueError, r"Received: 'two', input shape \(\(None, 8"),
    ],
)
def test_what_can_not_be_exported(build, error, text):
    with pytest.raises(error, match=text):
        sources.networks_of(build())


def test_number_of_classes():
    """Also where the network takes images of any size."""
    assert sources.num_classes(small()) == CLASSES
    image = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    assert sources.num_classes(keras.Model(image, keras.layers.Dense(7)(x))) == 7


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        (lambda x: x, r"one output, logits \(N, C\)\. Received: 'odd'.*\(1, 8, 8, 1\)"),
        (
            lambda x: [keras.layers.Flatten()(x), x],
            r"Received: 'odd'.*\[\(1, 64\), \(1, 8, 8, 1\)\]",
        ),
    ],
)
def test_number_of_classes_of_something_else(outputs, text):
    image = keras.Input(SHAPE)
    network = keras.Model(
        image, outputs(keras.layers.Rescaling(2.0)(image)), name="odd"
    )
    with pytest.raises(ValueError, match=text):
        sources.num_classes(network)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 150])
def test_predictions_are_those_of_one_call(count):
    """In order, none lost at the end of a batch of 64; uint8 or float alike."""
    network, images = small(), pixels(count)
    logits = sources.predict(network, images)
    assert logits.shape == (count, CLASSES) and logits.dtype == np.float32
    np.testing.assert_allclose(logits, logits_of(network, images), atol=1e-6)
    np.testing.assert_array_equal(
        logits, sources.predict(network, images.astype("float32"))
    )
    if count > 1:
        assert np.abs(logits[0] - logits[-1]).max() > 1e-4


def test_predictions_in_half_precision_come_as_float32():
    network, images = small(policy="mixed_bfloat16"), pixels(70)
    logits = sources.predict(network, images)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, logits_of(network, images).astype("float32"))


def test_float32_is_not_copied():
    network = small()
    assert sources.in_float32(network) is network


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("nested", [False, True])
def test_half_precision_is_copied_into_float32(policy, nested):
    """The logits of a float32 network with the same weights; the original stays."""
    network, same, images = small(policy=policy), small(), pixels(9)
    same.set_weights(network.get_weights())
    if nested:
        image = keras.Input(SHAPE)
        network = keras.Model(image, network(image))
    rounded = logits_of(network, images).astype("float32")
    copy = sources.in_float32(network)
    assert copy is not network
    assert {layer.compute_dtype for layer in copy._flatten_layers()} == {"float32"}
    np.testing.assert_allclose(
        logits_of(copy, images), logits_of(same, images), atol=1e-6
    )
    assert np.abs(logits_of(copy, images) - rounded).max() > 1e-5
    again = logits_of(network, images).astype("float32")
    np.testing.assert_array_equal(again, rounded)


def batch_statistics(network, images):
    """Mean and variance by channel of the first convolution, a row a batch of 64."""
    kernel, bias = network.get_layer("first").get_weights()
    scaled = images.astype("float64") / 255
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (3, 3), axis=(1, 2))
    outputs = np.einsum("nhwcij,ijco->nhwo", windows, kernel) + bias
    whole = len(images) // 64 * 64
    batches = outputs[:whole].reshape(-1, 64, *outputs.shape[1:])
    return batches.mean(axis=(1, 2, 3)), batches.var(axis=(1, 2, 3))


@pytest.mark.parametrize("count", [64, 200])
def test_new_statistics_are_averages_over_whole_batches(count):
    """By NumPy, for the first layer: batches of 64; what is left over is not used."""
    network = small()
    dark = pixels(count) // np.linspace(1, 4, count)[:, None, None, None]
    copy = sources.with_new_statistics(network, dark.astype("uint8"))
    means, variances = batch_statistics(network, dark.astype("uint8"))
    norm = copy.get_layer("norm")
    np.testing.assert_allclose(norm.moving_mean, means.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, variances.mean(axis=0), atol=1e-5)
    assert len(means) == count // 64
    if count > 64:  # Else a wrong average would not be seen.
        assert np.abs(means[0] - means[-1]).max() > 1e-2


def test_new_statistics_of_less_than_a_batch():
    network, images = small(), pixels(20)
    norm = sources.with_new_statistics(network, images).get_layer("norm")
    means, _ = batch_statistics(network, images.repeat(16, axis=0)[:320])
    np.testing.assert_allclose(norm.moving_mean, means.mean(axis=0), atol=1e-5)


def test_new_statistics_leave_the_rest():
    """All other weights, the momentum, and the original with its statistics."""
    network, images = small(), pixels(130)
    before = [weight.copy() for weight in network.get_weights()]
    copy = sources.with_new_statistics(network, images)
    assert copy is not network
    for weight, ours, theirs in zip(
        network.weights, before, copy.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, keras.ops.convert_to_numpy(weight))
        changed = "moving" in weight.path
        assert (np.abs(ours - theirs).max() > 1e-3) == changed, weight.path
    assert copy.get_layer("norm").momentum == 0.8
    assert copy.get_layer("norm_2").momentum == 0.99
    assert network.get_layer("norm").momentum == 0.8
    assert [v.path for v in copy.trainable_variables] == [
        v.path for v in network.trainable_variables
    ]


def test_new_statistics_of_a_teacher(trained):
    """What is frozen for the optimizer is re-estimated all the same."""
    images = data.digits8n_o().train.images[:128]
    copy = sources.with_new_statistics(trained.teacher, images)
    ours, theirs = (
        np.asarray(net.get_layer("conv1_norm").moving_mean)
        for net in (copy, trained.teacher)
    )
    assert np.abs(ours - theirs).max() > 1e-3


def test_new_statistics_need_batch_normalisation():
    image = keras.Input(SHAPE)
    logits = keras.layers.Dense(2)(keras.layers.Flatten()(image))
    network = keras.Model(image, logits, name="plain")
    text = r"batch normalisation, to estimate.*Received: 'plain', which has none\."
    with pytest.raises(ValueError, match=text):
        sources.with_new_statistics(network, pixels(64))


def test_the_networks_of_this_package_pass():
    """`cnn7` and `digits_cnn` are built for one image input, with logits."""
    for build in (networks.cnn7, networks.digits_cnn):
        (network,) = sources.networks_of(build(9)).values()
        assert sources.num_classes(network) == 9
