"""CleanNet against an oracle in float64 NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from josrc_keras import CleanNet, Standard
from josrc_keras.baselines import cleannet_detector
from josrc_keras.baselines.cleannet import clean_weights
from josrc_keras.callbacks import RunCheckpoint, SelectionMonitor, VerifyLabels
from josrc_keras.samples import clusters
from tests.support.models import CLASSES, SHAPE, linear_network

COUNT, RATE = 10, 0.25
SIMILARITY = np.array([0.6, 0.05, 0.4, -0.2], "float32")


def arrays(classes=CLASSES):
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (COUNT, *SHAPE)).astype("float32")
    return images, random.integers(0, classes, COUNT)


def make(classes=CLASSES, eager=True, rate=RATE, **arguments):
    model = CleanNet(linear_network(classes), classes, COUNT, **arguments)
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"], run_eagerly=eager)
    return model


def test_the_equations():
    """Numbers that were computed by hand."""
    verified = np.array([1, 1, 0, 0])
    found = cleannet_detector.verification_loss(SIMILARITY, verified)
    np.testing.assert_allclose(found, [0.4, 0.95, 1.5, 0], atol=1e-6)
    found = cleannet_detector.detector_loss(SIMILARITY, -np.ones(4), np.zeros(4))
    np.testing.assert_allclose(found, [0.04, 0, 0.06, 0], atol=1e-6)
    at_margin = np.array([0.1], "float32")  # It counts as right.
    found = cleannet_detector.detector_loss(at_margin, -np.ones(1), np.zeros(1))
    np.testing.assert_allclose(found, [0.09], atol=1e-6)
    losses = np.array([0.5, 2, 1, 3])
    soft, hard = (np.asarray(clean_weights(SIMILARITY, t)) for t in (None, 0.1))
    np.testing.assert_allclose(soft, [0.6, 0.05, 0.4, 0], atol=1e-6)
    np.testing.assert_array_equal(hard, [1, 0, 1, 0])
    assert (soft * losses).mean() == pytest.approx(0.2)
    scores = np.array([[np.log(3), 0, 9]], "float32")  # Softmax (3/4, 1/4) of two.
    present = np.array([[True, True, False]])
    vectors = np.array([[[1, 0], [0, 1], [5, 5]]], "float32")
    found = cleannet_detector.attention(scores, vectors, present)
    np.testing.assert_allclose(found, [[0.75, 0.25]], atol=1e-6)
    rows = np.array([[3.0, 4], [0, 0]], "float32")
    found = cleannet_detector.cosine(rows, np.array([[4.0, 3], [1, 0]], "float32"))
    np.testing.assert_allclose(found, [0.96, 0], atol=1e-6)


@pytest.mark.parametrize("weights", ["soft", "hard"])
@pytest.mark.parametrize("classes", [2, 30])
def test_one_step(classes, weights):
    """The gradient is of cross-entropy, weighted by the rows of the table."""
    images, labels = arrays(classes)
    index = np.arange(COUNT)[::-1].copy()
    model = make(classes, weights=weights, threshold=0.3)
    table = np.linspace(-0.5, 1, COUNT).astype("float32")
    model.similarity.assign(table)
    kernel, bias = (np.asarray(w, "float64") for w in model.student.get_weights())
    x = images.reshape(COUNT, -1).astype("float64") / 255
    logits = x @ kernel + bias
    logits -= logits.max(1, keepdims=True)
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    similarity = table[index].astype("float64")
    share = np.maximum(similarity, 0) if weights == "soft" else similarity >= 0.3
    error = share[:, None] * (probs - np.eye(classes)[labels]) / COUNT
    given = {"label": labels, "index": index}
    logs = model.train_on_batch(images, given, return_dict=True)
    loss = -(share * np.log(probs[np.arange(COUNT), labels])).mean()
    assert logs["loss"] == pytest.approx(loss, rel=1e-4)
    assert logs["clean_fraction"] == pytest.approx((similarity >= 0.3).mean())
    after = model.student.get_weights()
    np.testing.assert_allclose(after[0], kernel - RATE * x.T @ error, atol=1e-5)
    np.testing.assert_allclose(after[1], bias - RATE * error.sum(0), atol=1e-5)


@pytest.mark.parametrize("weights", ["soft", "hard"])
def test_before_similarities_are_found_it_is_ordinary_training(weights):
    images, labels = arrays()
    model, standard = make(weights=weights), Standard(linear_network(), CLASSES)
    standard.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
    for each in (model, standard):
        each.train_on_batch(images, {"label": labels, "index": np.arange(COUNT)})
    for ours, theirs in zip(
        model.student.get_weights(), standard.student.get_weights(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    model.similarity.assign(-np.ones(COUNT, "float32"))  # No label counts.
    before = model.student.get_weights()
    given = {"label": labels, "index": np.arange(COUNT)}
    assert model.train_on_batch(images, given, return_dict=True)["loss"] == 0
    for ours, theirs in zip(model.student.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def detector_oracle(weights, centres, present, features, labels, verified):
    """The whole loss in float64, from the detector's weights in Keras's order."""
    (a1, b1, a2, b2), (a3, b3, a4, b4), (a5, b5, a6, b6), rest = (
        weights[:4],
        weights[4:8],
        weights[8:12],
        weights[12:],
    )
    a7, b7, a8, b8, context = rest
    encoded = np.tanh(np.tanh(features @ a1 + b1) @ a2 + b2)
    decoded = np.tanh(np.tanh(encoded @ a3 + b3) @ a4 + b4)
    hidden = np.tanh(np.tanh(centres @ a5 + b5) @ a6 + b6)
    scores = np.tanh(hidden @ a7 + b7) @ context
    shares = np.where(present, np.exp(scores), 0)
    shares /= shares.sum(1, keepdims=True)
    classes = np.tanh((shares[..., None] * hidden).sum(1) @ a8 + b8)
    total = 0.1 * np.square(features - decoded).sum()
    for row, (label, known) in enumerate(zip(labels, verified, strict=True)):
        own, other = encoded[row], classes[label]
        s = own @ other / np.linalg.norm(own) / np.linalg.norm(other)
        right = known == 1 if known >= 0 else s >= 0.1
        loss = 1 - s if right else 5 * max(0, s - 0.1)
        total += loss if known >= 0 else 0.1 * loss
    kernels = (a1, a2, a3, a4, a5, a6, a7, a8)
    return total / len(labels) + 1e-4 * sum(np.square(k).sum() for k in kernels)


def test_the_loss_and_the_gradient_of_the_detector(monkeypatch):
    """By differences in float64, for each of its weights."""
    monkeypatch.setattr(cleannet_detector, "WIDTHS", (3, 2))
    monkeypatch.setattr(cleannet_detector, "REFERENCE_WIDTHS", (4, 3))
    random = np.random.default_rng(3)
    centres, present = random.random((3, 2, 4)), np.ones((3, 2), bool)
    present[1, 1] = False
    features, labels = random.random((6, 4)), np.array([0, 1, 2, 0, 1, 2])
    verified = np.array([1, 0, -1, 0, -1, 1])
    detector = cleannet_detector.Detector(centres, present, dropout=0.0)
    detector.compile(keras.optimizers.SGD(1.0))
    variables = detector.trainable_variables
    order = [
        v
        for part in ("encoder", "decoder", "of_centre", "projection", "of_class")
        for v in getattr(detector, part).trainable_variables
    ]
    order.append(detector.context)
    assert len(order) == len(variables)
    for variable in order:  # Biases, too, are not 0.
        variable.assign(random.normal(size=variable.shape))
    before = [np.asarray(v, "float64") for v in order]
    inputs = {"features": features.astype("float32"), "label": labels.astype("int32")}
    loss = detector.train_on_batch(inputs, verified.astype("int32"))
    moved = [b - np.asarray(v) for b, v in zip(before, order, strict=True)]

    def oracle(weights):
        return detector_oracle(weights, centres, present, features, labels, verified)

    assert float(np.ravel(loss)[0]) == pytest.approx(oracle(before), rel=1e-5)
    largest = 0.0
    for number, weight in enumerate(before):
        expected = np.zeros(weight.shape)
        for place in np.ndindex(weight.shape):
            sides = []
            for step in (1e-5, -1e-5):
                changed = [w.copy() for w in before]
                changed[number][place] += step
                sides.append(oracle(changed))
            expected[place] = (sides[0] - sides[1]) / 2e-5
        np.testing.assert_allclose(moved[number], expected, atol=2e-5)
        largest = max(largest, np.abs(expected).max())
    assert largest > 0.1


def test_the_batches_of_the_detector():
    """Half of each is verified; others are of a class drawn first."""
    labels = np.repeat([0, 1], [90, 10])
    verified = np.where(np.arange(100) % 5 == 0, 1, -1)
    rows = np.stack(list(cleannet_detector.drawn(labels, verified, 40, seed=0)))
    assert rows.shape == (40, 64)
    assert (verified[rows[:, :32]] == 1).all()
    assert (verified[rows[:, 32:]] == -1).all()
    assert 0.4 < labels[rows[:, 32:]].mean() < 0.6  # Of one in ten.
    all_known = next(cleannet_detector.drawn(labels, np.ones(100), 1, seed=0))
    none_known = next(cleannet_detector.drawn(labels, -np.ones(100), 1, seed=0))
    assert len(all_known) == len(none_known) == 64


def test_centres_of_groups():
    """Three groups that are far apart, of which a start may miss one."""
    random = np.random.default_rng(0)
    middles = np.array([[0.0, 0], [50, 0], [0, 50]])
    rows = np.repeat(middles, 40, axis=0) + random.normal(size=(120, 2))
    found = clusters.centres(rows, 3, seed=1)
    nearest = np.linalg.norm(found[:, None] - middles, axis=2).argmin(1)
    assert sorted(nearest) == [0, 1, 2]
    exact = [rows[40 * n : 40 * n + 40].mean(0) for n in nearest]
    np.testing.assert_allclose(found, exact, atol=1e-4)
    np.testing.assert_array_equal(clusters.centres(rows[:2], 3), rows[:2].astype("f"))
    same = clusters.centres(np.ones((5, 2)), 3)  # All rows are equal.
    np.testing.assert_array_equal(same, np.ones((3, 2)))


def fitted(folder, until, verified, **fields):
    keras.utils.set_random_seed(0)
    images, labels = arrays()
    labels = labels % 3  # Class 3 has no images.
    model, checkpoint = make(eager=False, rate=0.01), RunCheckpoint(folder)
    in_order = [(images[:7], labels[:7]), (images[7:], labels[7:])]
    fields = {"at_epochs": (2,), "steps": 3, "centres": 4} | fields
    callback = VerifyLabels(lambda: in_order, verified, **fields)
    model.fit(
        images,
        {"label": labels, "true_label": labels},
        batch_size=4,
        epochs=until,
        initial_epoch=checkpoint.restore(model),
        shuffle=False,
        callbacks=[callback, SelectionMonitor(), checkpoint],
        verbose=0,
    )
    return model, labels


def test_similarities_also_of_a_training_that_went_on(tmp_path, equal_arrays):
    """Class 1 has no verified label, class 3 no image; some have few centres."""
    verified = np.full(COUNT, -1)
    labels = arrays()[1] % 3
    verified[labels != 1] = (np.arange(COUNT) % 2)[labels != 1]
    model, labels = fitted(tmp_path / "whole", 3, verified)
    similarity = np.asarray(model.similarity)
    assert np.isfinite(similarity).all()
    assert (np.abs(similarity) < 1).all()
    assert len(np.unique(similarity)) == COUNT
    fitted(tmp_path / "parts", 1, verified)
    resumed, _ = fitted(tmp_path / "parts", 3, verified)
    equal_arrays(
        [np.asarray(v) for v in resumed.variables],
        [np.asarray(v) for v in model.variables],
    )


def test_the_detector_learns_which_labels_are_right():
    """Of two kinds of features, a third of the labels wrong, half of them verified."""
    random = np.random.default_rng(1)
    kind = np.arange(120) % 2
    features = np.abs(
        np.eye(2)[kind].repeat(4, axis=1) + random.normal(0, 0.1, (120, 8))
    )
    right = random.random(120) < 2 / 3
    labels = np.where(right, kind, 1 - kind)
    verified = np.where(np.arange(120) < 60, right, -1)
    centres = np.stack([clusters.centres(features[labels == c], 4) for c in (0, 1)])
    detector = cleannet_detector.Detector(centres, np.ones((2, 4)))
    detector.learn(features, labels, verified, steps=150, seed=0)
    similarity = detector.score(features, labels, together=50)
    assert similarity[60:][right[60:]].min() > similarity[60:][~right[60:]].max()


@pytest.mark.parametrize(
    ("verified", "arguments", "message"),
    [
        (np.full(COUNT, -1), {}, r"some that are not -1. Received: .*\[-1\]"),
        (np.full(COUNT, 2), {}, r"1 right, 0 wrong.*\[2\]"),
        (np.ones(COUNT), {"at_epochs": ()}, r"at_epochs=\(\)"),
        (np.ones(COUNT), {"steps": 0}, "steps=0"),
        (np.ones(COUNT), {"centres": 0}, "centres=0"),
    ],
)
def test_arguments_out_of_range(verified, arguments, message):
    with pytest.raises(ValueError, match=message):
        VerifyLabels(list, verified, **{"at_epochs": (1,)} | arguments)


def test_a_model_that_does_not_fit():
    images, labels = arrays()
    with pytest.raises(ValueError, match=r"Expected weights as.*Received: 'firm'"):
        make(weights="firm")
    with pytest.raises(ValueError, match=r"\[-1, 1\]. Received: threshold=2"):
        make(threshold=2)
    with pytest.raises(ValueError, match=r"VerifyLabels\(make_batches, verified"):
        make().fit(images, labels, verbose=0)
    few = VerifyLabels(list, np.ones(4), (1,))
    with pytest.raises(ValueError, match=r"each of the 10 samples.*Received: 4"):
        make().fit(images, labels, verbose=0, callbacks=few)
    config = make(threshold=0.2, weights="hard").get_config()
    assert (config["threshold"], config["weights"]) == (0.2, "hard")
    assert ops.shape(make().similarity) == (COUNT,)
