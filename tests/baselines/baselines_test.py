"""The compared methods against oracles written from their papers, in float64 NumPy."""

import math

import keras
import numpy as np
import pytest

from josrc_keras import CoTeaching, CoTeachingPlus, Decoupling, JoCoR, Standard, views
from josrc_keras.baselines import small_loss
from josrc_keras.callbacks import CleanThreshold, ForgetRate, SelectionMonitor
from tests.support.models import CLASSES, SHAPE, linear_network

COUNT = 12
RATE = 0.25
METHODS = (Decoupling, CoTeaching, CoTeachingPlus, JoCoR)


# Oracles: plain loops over samples.


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def entropy_of(labels, logits):
    return np.array([-log_softmax(logits)[i, y] for i, y in enumerate(labels)])


def joint_of(labels, a, b, co_lambda=0.85):
    """JoCoR's equations 2 to 4."""
    log_a, log_b = log_softmax(a), log_softmax(b)
    divergence = (np.exp(log_a) * (log_a - log_b)).sum(1)
    divergence += (np.exp(log_b) * (log_b - log_a)).sum(1)
    entropy = entropy_of(labels, a) + entropy_of(labels, b)
    return (1 - co_lambda) * entropy + co_lambda * divergence


def small(losses, forget, candidates, rounded=math.floor):
    """Rows of the `1 - forget` of the candidates with the smallest loss."""
    keep = rounded(round((1 - forget) * len(candidates), 9))
    return sorted(sorted(candidates, key=lambda row: (losses[row], row))[:keep])


def chosen(method, labels, a, b, forget):
    """Rows that the first and the second network learn from, and the first's choice."""
    everyone = list(range(len(labels)))
    differ = [i for i in everyone if a[i].argmax() != b[i].argmax()]
    if method is Decoupling:
        return differ, differ, differ
    if method is JoCoR:
        rows = small(joint_of(labels, a, b), forget, everyone)
        return rows, rows, rows
    among = differ if method is CoTeachingPlus else everyone
    rounded = math.ceil if method is CoTeachingPlus else math.floor
    by_first = small(entropy_of(labels, a), forget, among, rounded)
    by_second = small(entropy_of(labels, b), forget, among, rounded)
    return by_second, by_first, by_first


def total_loss(method, labels, a, b, rows_a, rows_b):
    """What a step minimises, its choice of samples given."""
    if method is JoCoR:
        return joint_of(labels, a, b)[rows_a].mean() if rows_a else 0.0
    total = 0.0
    for logits, rows in ((a, rows_a), (b, rows_b)):
        if rows:
            total += entropy_of(labels, logits)[rows].mean()
    return total


# A model whose logits are easy to redo: one dense layer each.


def batch(seed=0):
    random = np.random.default_rng(seed)
    images = random.uniform(0, 255, (COUNT, *SHAPE)).astype("float32")
    return images, random.integers(0, CLASSES, COUNT)


def make(method, forget=0.0, rate=RATE, peer_seed=1, **arguments):
    model = method(
        linear_network(seed=0),
        CLASSES,
        peer=linear_network(seed=peer_seed),
        **arguments,
    )
    model.compile(keras.optimizers.SGD(rate), metrics=["accuracy"])
    if hasattr(model, "forget_rate"):
        model.forget_rate.assign(forget)
    if hasattr(model, "disagreement_only"):
        model.disagreement_only.assign(1.0)
    return model


def weights_of(network):
    return [np.asarray(w, "float64") for w in network.get_weights()]


def logits_of(images, weights):
    kernel, bias = weights
    return images.reshape(len(images), -1).astype("float64") / 255 @ kernel + bias


def numeric_gradients(loss, weights):
    """Central differences of a function of a list of arrays."""
    gradients = []
    for array in weights:
        gradient = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            before = array[index]
            ends = []
            for step in (1e-5, -1e-5):
                array[index] = before + step
                ends.append(loss())
            array[index] = before
            gradient[index] = (ends[0] - ends[1]) / 2e-5
        gradients.append(gradient)
    return gradients


def rows(mask):
    return np.flatnonzero(np.asarray(mask)).tolist()


@pytest.mark.parametrize("forget", [0.0, 0.4, 0.97])
@pytest.mark.parametrize("method", METHODS)
def test_choice_and_losses(method, forget):
    images, labels = batch()
    model = make(method, forget)
    a, b = (logits_of(images, weights_of(n)) for n in model.trained_networks())
    choice = model.choose(labels, a.astype("float32"), b.astype("float32"))
    rows_a, rows_b, selected = chosen(method, labels, a, b, forget)
    included = [rows(mask) for _, mask in choice.parts]
    assert included == ([rows_a] if method is JoCoR else [rows_a, rows_b])
    assert rows(choice.selected) == selected
    if forget == 0.97 and method in (CoTeaching, JoCoR):
        assert selected == []  # floor(0.03 * 12)
    if forget == 0.97 and method is CoTeachingPlus:
        assert len(selected) == 1  # Of those that disagree, rounded up.
    if forget == 0.4:
        assert 0 < len(selected) < COUNT
    expected = joint_of(labels, a, b) if method is JoCoR else entropy_of(labels, a)
    np.testing.assert_allclose(choice.parts[0][0], expected, rtol=1e-5)
    likelihood = np.exp(-expected)
    np.testing.assert_allclose(choice.likelihood, likelihood, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("forget", [0.0, 0.4, 0.97])
@pytest.mark.parametrize("method", METHODS)
def test_one_step_moves_both_networks_by_their_gradients(method, forget):
    images, labels = batch()
    model = make(method, forget)
    networks = model.trained_networks()
    weights = [weights_of(network) for network in networks]
    a, b = (logits_of(images, w) for w in weights)
    rows_a, rows_b, _ = chosen(method, labels, a, b, forget)

    def loss():
        a, b = (logits_of(images, w) for w in weights)
        return total_loss(method, labels, a, b, rows_a, rows_b)

    flat = [array for network in weights for array in network]
    gradients = numeric_gradients(loss, flat)
    if rows_a:
        assert min(np.abs(g).max() for g in gradients) > 1e-3
    logs = model.train_on_batch(images, labels, return_dict=True)
    after = [np.asarray(w) for network in networks for w in network.get_weights()]
    for moved, start, gradient in zip(after, flat, gradients, strict=True):
        np.testing.assert_allclose(moved, start - RATE * gradient, atol=2e-5)
    assert np.isfinite(logs["loss"])


@pytest.mark.parametrize("method", [Decoupling, CoTeachingPlus])
def test_without_disagreement_there_is_nothing_to_learn(method):
    """A peer that is the student but for its scale predicts the same classes."""
    images, labels = batch()
    model = make(method)
    model.peer.set_weights([2 * w for w in model.student.get_weights()])
    before = model.get_weights()
    logs = model.train_on_batch(images, labels, return_dict=True)
    assert logs["disagreement"] == 0
    assert logs["loss"] == 0
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_coteaching_plus_is_coteaching_at_first():
    images, labels = batch()
    results = []
    for method in (CoTeaching, CoTeachingPlus):
        model = make(method, forget=0.4)
        if method is CoTeachingPlus:
            model.disagreement_only.assign(0.0)
        model.train_on_batch(images, labels)
        results.append(model.student.get_weights() + model.peer.get_weights())
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("share", "among", "expected"),
    [
        (1.0, None, [0, 1, 2, 3, 4, 5]),
        (0.5, None, [0, 1, 3]),  # Of the equal losses at 1, 3 and 5 the earlier two.
        (0.4, None, [0, 1]),  # floor(2.4)
        (0.0, None, []),
        (0.5, [1, 2, 4, 5], [1, 5]),
        (1.0, [2], [2]),
        (0.5, [2], []),
        (1.0, [], []),
    ],
)
def test_smallest(share, among, expected):
    losses = np.array([0.1, 0.5, 0.9, 0.5, 0.8, 0.5], "float32")
    mask = None if among is None else np.isin(np.arange(6), among)
    assert rows(small_loss.smallest(losses, share, mask)) == expected


@pytest.mark.parametrize(
    ("share", "among", "expected"),
    [
        (1.0, [2], [2]),
        (0.5, [2], [2]),
        (0.1, [2, 4], [4]),
        (0.4, None, [0, 1, 3]),  # ceil(2.4)
        (0.5, [1, 2, 4, 5], [1, 5]),
        (0.0, [1, 2], []),
        (0.5, [], []),
    ],
)
def test_smallest_rounded_up(share, among, expected):
    """At least the share, as Co-teaching+'s paper has it: of few it is one."""
    losses = np.array([0.1, 0.5, 0.9, 0.5, 0.8, 0.5], "float32")
    mask = None if among is None else np.isin(np.arange(6), among)
    assert rows(small_loss.smallest(losses, share, mask, 1.0)) == expected


@pytest.mark.parametrize("forgotten", [0, 1, 2, 3, 4, 5])
def test_smallest_keeps_whole_numbers_of_samples(forgotten):
    """1 - 0.8 in float32 falls short of 0.2: of five samples one must be kept."""
    rate = np.float32(forgotten / 5)
    for up in (0.0, 1.0):
        kept = small_loss.smallest(np.arange(5, dtype="float32"), 1 - rate, up=up)
        assert rows(kept) == list(range(5 - forgotten))


@pytest.mark.parametrize("method", METHODS)
def test_saves_and_loads(method, tmp_path):
    images, labels = batch()
    model = make(method, forget=0.4, augmentation=views.crop_and_flip(1))
    model.train_on_batch(images, labels)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is method
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), model.student.predict(images, verbose=0)
    )
    if method is JoCoR:
        assert make(JoCoR, co_lambda=0.3).get_config()["co_lambda"] == 0.3


def test_a_peer_is_made_with_weights_of_its_own():
    model = Decoupling(keras.models.clone_model(open_network()), CLASSES)
    student, peer = (network.get_weights()[0] for network in model.trained_networks())
    assert student.shape == peer.shape
    assert np.abs(student - peer).min() > 0


def test_a_peer_shares_what_is_not_trained():
    """An adapted normalisation and a frozen layer: no initialiser makes these."""
    images, _ = batch()
    image = keras.Input(SHAPE)
    normalise = keras.layers.Normalization(axis=-1)
    normalise.adapt(images)
    frozen = keras.layers.Dense(3, name="frozen", trainable=False)
    x = keras.layers.Flatten()(frozen(normalise(image)))
    network = keras.Model(image, keras.layers.Dense(CLASSES)(x))
    model = CoTeaching(network, CLASSES)
    student, peer = (n.non_trainable_weights for n in model.trained_networks())
    assert len(student) == 5  # Mean, variance and count; kernel and bias.
    for ours, theirs in zip(peer, student, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    trained = [n.trainable_weights[0] for n in model.trained_networks()]
    assert np.abs(np.asarray(trained[0]) - np.asarray(trained[1])).min() > 0


def open_network():
    image = keras.Input(SHAPE)
    return keras.Model(
        image, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(image))
    )


def test_equal_networks_are_refused():
    with pytest.raises(ValueError, match=r"never disagree.*pass another network"):
        Decoupling(linear_network(seed=0), CLASSES)


def test_a_peer_may_be_another_network():
    """Of other layers, as long as it ends in as many logits."""
    image = keras.Input(SHAPE)
    hidden = keras.layers.Dense(5)(keras.layers.Flatten()(image))
    peer = keras.Model(image, keras.layers.Dense(CLASSES)(hidden))
    model = Decoupling(linear_network(), CLASSES, peer=peer)
    model.compile("sgd")
    assert np.isfinite(model.train_on_batch(*batch(), return_dict=True)["loss"])
    with pytest.raises(ValueError, match=r"logits of shape \(N, 5\)"):
        Decoupling(linear_network(classes=5), 5, peer=peer)


def test_co_lambda_out_of_range():
    with pytest.raises(ValueError, match=r"co_lambda.*\[0, 1\]. Received: co_lambda=2"):
        make(JoCoR, co_lambda=2)


@pytest.mark.parametrize("method", [CoTeaching, CoTeachingPlus, JoCoR])
def test_fit_needs_a_forget_rate(method):
    images, labels = batch()
    with pytest.raises(ValueError, match=r"forget_rate.*Add ForgetRate\(rate=0.2"):
        make(method).fit(images, labels, verbose=0)


def test_forget_rate_grows_and_disagreement_starts():
    """Rate 0.4 over 4 epochs: 0.1, 0.2, 0.3, 0.4, 0.4; disagreement from the third."""
    images, labels = batch()
    model = make(CoTeachingPlus)
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            (float(model.forget_rate), float(model.disagreement_only))
        )
    )
    history = model.fit(
        images,
        labels,
        batch_size=COUNT,
        epochs=5,
        callbacks=[ForgetRate(0.4, 4, agreeing_epochs=2), look],
        verbose=0,
    ).history
    np.testing.assert_allclose(history["forget_rate"], [0.1, 0.2, 0.3, 0.4, 0.4])
    np.testing.assert_allclose([rate for rate, _ in seen], history["forget_rate"])
    assert [only for _, only in seen] == [0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 1.0}, r"\[0, 1\).*Received: rate=1.0"),
        ({"rate": -0.1}, r"\[0, 1\).*Received: rate=-0.1"),
        ({"rate": 0.2, "warmup_epochs": -1}, "warmup_epochs=-1"),
        ({"rate": 0.2, "agreeing_epochs": -1}, "agreeing_epochs=-1"),
    ],
)
def test_forget_rate_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        ForgetRate(**arguments)


def test_forget_rate_on_another_model():
    images, labels = batch()
    model = Standard(linear_network(), CLASSES)
    model.compile("sgd")
    with pytest.raises(TypeError, match=r"ForgetRate sets `forget_rate`.*Standard"):
        model.fit(images, labels, callbacks=ForgetRate(0.2), verbose=0)
    with pytest.raises(TypeError, match=r"CleanThreshold sets `tau_clean`.*Decoupling"):
        make(Decoupling).fit(images, labels, callbacks=CleanThreshold(), verbose=0)


@pytest.mark.parametrize("method", METHODS)
def test_verdicts_are_judged(method):
    """Clean precision and recall of the first network's choice; no other verdicts."""
    images, labels = batch()
    random = np.random.default_rng(1)
    truth = np.where(random.random(COUNT) < 0.5, labels, (labels + 1) % CLASSES)
    model = make(method, forget=0.4, rate=0.0)
    callbacks = [SelectionMonitor()]
    if hasattr(model, "forget_rate"):
        callbacks.append(ForgetRate(0.4, 0, agreeing_epochs=0))
    history = model.fit(
        images,
        {"label": labels, "true_label": truth},
        batch_size=COUNT,
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    ).history
    a, b = (logits_of(images, weights_of(n)) for n in model.trained_networks())
    _, _, selected = chosen(method, labels, a, b, 0.4)
    right = sum(labels[row] == truth[row] for row in selected)
    assert history["clean_precision"] == pytest.approx([right / len(selected)])
    assert history["clean_recall"] == pytest.approx([right / np.sum(labels == truth)])
    assert history["clean_fraction"] == pytest.approx([len(selected) / COUNT])
    assert not [name for name in history if name.startswith(("id_", "ood_"))]
    correct = (a.argmax(1) == labels)[labels == truth].mean()
    assert history["accuracy_clean"] == pytest.approx([correct])
