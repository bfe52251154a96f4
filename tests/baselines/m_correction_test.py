"""M-correction against Arazo et al. (2019), in float64 NumPy and by hand."""

import math

import keras
import numpy as np
import pytest

from josrc_keras import MCorrection, Standard, losses
from josrc_keras.adaptive import mixup
from josrc_keras.baselines import beta_mixture, m_correction, penalties
from josrc_keras.callbacks import LossMixture
from josrc_keras.training import evaluation_pass
from tests.support import resumed, steps
from tests.support.models import CLASSES


def test_the_mixture_of_values_that_are_apart():
    """The posterior of the first guess is the value itself, and so it stays."""
    values = np.array([0.1, 0.2, 0.8, 0.9])
    np.testing.assert_allclose(
        beta_mixture.responsibilities(values, beta_mixture.FIRST)[1], values
    )
    found = beta_mixture.step(values, beta_mixture.FIRST)
    np.testing.assert_allclose(found, [(0.5, 1.5), (1.5, 0.5), (0.5, 0.5)], atol=1e-9)
    np.testing.assert_allclose(beta_mixture.responsibilities(values, found)[1], values)


def test_the_mixture_of_other_values():
    values = np.array([0.05, 0.1, 0.15, 0.7, 0.9])
    first = beta_mixture.step(values, beta_mixture.FIRST)
    expected = [(0.359186, 1.311534), (1.611569, 0.555069), (0.62, 0.38)]
    np.testing.assert_allclose(first, expected, atol=1e-6)
    shares = beta_mixture.responsibilities(values, first)
    posterior = [0.052581, 0.102097, 0.150894, 0.698408, 0.903763]
    np.testing.assert_allclose(shares[1], posterior, atol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    third = beta_mixture.fit(values, iterations=3)
    expected = [(0.362526, 1.265109), (1.636544, 0.544955), (0.616192, 0.383808)]
    np.testing.assert_allclose(third, expected, atol=1e-6)


def test_mixtures_that_say_nothing():
    """One value, one mode, too few values: None, which trusts all labels."""
    for values in (np.full(20, 0.3), np.zeros(20), [0.5]):
        assert beta_mixture.fit(values) is None
    assert not beta_mixture.posterior_table(None).any()
    one_mode = np.random.default_rng(0).beta(50, 50, 1000)
    found = beta_mixture.fit(one_mode, 100)
    assert found is None or np.isfinite(found).all()
    for values in ([0, 0, 1, 1], [0, 1], [0.2, 0.2, 0.2, 0.9]):
        found = beta_mixture.fit(values)
        assert np.isfinite(found).all() and (np.diff(found.means()) > 0).all()
        assert np.isfinite(beta_mixture.posterior_table(found)).all()
    with pytest.raises(ValueError, match=r"finite losses. Received: 1 of 2"):
        beta_mixture.fit([0.1, np.nan])


def test_the_table_of_posteriors():
    """It does not fall behind its largest entry, though the posterior does."""
    mixture = beta_mixture.Mixture(
        np.array([1.0, 20.0]), np.array([3.0, 20.0]), np.array([0.5, 0.5])
    )
    table = beta_mixture.posterior_table(mixture)
    at = np.linspace(0, 1, 100)[40]
    densities = [
        math.gamma(a + b)
        / math.gamma(a)
        / math.gamma(b)
        * at ** (a - 1)
        * (1 - at) ** (b - 1)
        for a, b in ((1, 3), (20, 20))
    ]
    assert table[40] == pytest.approx(densities[1] / sum(densities), rel=1e-5)
    raw = beta_mixture.responsibilities(np.linspace(0, 1, 100), mixture)[1]
    assert raw[-1] < raw.max() - 0.1
    largest = int(raw.argmax())
    np.testing.assert_allclose(table[:largest], raw[:largest], rtol=1e-6)
    np.testing.assert_array_equal(table[largest:], table[largest])


def test_normalised_losses():
    """Of 0 to 100 the 5th and 95th percentile are 5 and 95."""
    values, low, span = beta_mixture.normalised(np.arange(101.0))
    assert len(values) == 91
    assert (low, span) == pytest.approx((5 + 1e-5, 90 - 1e-5 + 1e-6))
    np.testing.assert_allclose(values, (np.arange(5, 96) - 5) / 90, atol=2e-7)
    values, low, span = beta_mixture.normalised(np.full(7, 0.25))
    assert span > 0 and np.ptp(values) == 0


def test_the_table_is_looked_up():
    posterior = np.linspace(0, 1, 100).astype("float32")
    per_sample = np.array([0.0, 1.0, 1.5, 2.0, 3.0, 9.0], "float32")
    found = m_correction.wrong_probability(per_sample, posterior, 1.0, 2.0)
    expected = [1e-4, 1e-4, 25 / 99, 50 / 99, 1 - 1e-4, 1 - 1e-4]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_loss_by_hand():
    """A share of .6 of two images, of which the first one's label looks wrong."""
    wrong, given, predicted = np.array([0.9, 0.1]), np.eye(2), np.array([1, 1])
    targets = given + wrong[:, None] * (np.eye(2)[predicted] - given)
    blends = mixup.blend(targets, np.full(2, 0.6, "float32"))
    np.testing.assert_allclose(blends, [[0.06, 0.94], [0.04, 0.96]], atol=1e-6)
    logits = np.log([[0.7, 0.3], [0.4, 0.6]]).astype("float32")
    per_sample = losses.soft_cross_entropy(logits, blends)
    np.testing.assert_allclose(per_sample, [1.153135, 0.527044], atol=2e-6)
    prior = penalties.prior_penalty(logits, [0.5, 0.5])
    assert float(np.mean(per_sample)) + float(prior) == pytest.approx(
        0.845115, abs=2e-6
    )


def doubting(share, **arguments):
    """A model that doubts labels and blends each image with a share of the next."""
    model = steps.make(MCorrection, **arguments)
    model.bootstrapping.assign(1.0)
    model.posterior.assign(np.linspace(0, 1, 100) ** 2)
    model.loss_low.assign(0.5)
    model.loss_span.assign(4.0)
    model.shares = lambda batch: np.full(steps.COUNT, share, "float32")
    return model


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("share", [0.7, 1.0])
def test_a_step_is_the_gradient_of_the_loss(share, soft):
    """Its targets are of the network before the step and have no gradient."""
    images, labels = steps.batch()
    model = doubting(share, eta=0.8, soft=soft)
    log_p = steps.log_softmax(steps.logits_of(images, steps.weights_of(model)))
    per_sample = -log_p[np.arange(len(labels)), labels]
    place = np.rint(np.clip((per_sample - 0.5) / 4, 0, 1) * 99).astype(int)
    wrong = np.clip((np.linspace(0, 1, 100) ** 2)[place], 1e-4, 1 - 1e-4)
    assert wrong.min() < 0.1 and wrong.max() > 0.9
    predicted = np.exp(log_p) if soft else np.eye(CLASSES)[log_p.argmax(1)]
    targets = (
        np.eye(CLASSES)[labels] * (1 - wrong[:, None]) + wrong[:, None] * predicted
    )
    targets = share * targets + (1 - share) * np.roll(targets, -1, axis=0)
    blended = share * images + (1 - share) * np.roll(images, -1, axis=0)

    def loss(logits):
        log_h = steps.log_softmax(logits)
        mean = np.exp(log_h).mean(0)
        prior = -np.log(CLASSES) - np.log(mean).mean()
        return -(targets * log_h).sum(1).mean() + 0.8 * prior

    if share == 1:
        logs, _ = steps.check_step(model, blended, labels, loss)
        assert logs["clean_fraction"] == pytest.approx((wrong < 0.5).mean())
        return
    weights = steps.weights_of(model)
    start = [array.copy() for array in weights]
    gradients = steps.numeric_gradients(
        lambda: loss(steps.logits_of(blended, weights)), weights
    )
    logs = model.train_on_batch(images, labels, return_dict=True)
    expected = loss(steps.logits_of(blended, start))
    np.testing.assert_allclose(logs["loss"], expected, rtol=2e-5)
    for now, then, gradient in zip(
        steps.weights_of(model), start, gradients, strict=True
    ):
        np.testing.assert_allclose(now, then - steps.RATE * gradient, atol=2e-5)


@pytest.mark.parametrize("classes", [2, 100])
def test_without_blends_and_doubts_it_is_ordinary_training(classes):
    images, labels = steps.batch(classes=classes, count=5)
    model = steps.make(MCorrection, classes=classes, mixup=0.0)
    steps.check_equals_standard(model, images, labels)


def test_the_shares_that_are_drawn():
    """One for a batch, of mean 1/2 and variance 1 / (4 (2 a + 1))."""
    model = steps.make(MCorrection, mixup=4.0)
    _, labels = steps.batch()

    class Batch:
        sample_weight = None

        @staticmethod
        def integer_labels():
            return labels

    drawn = np.array([np.asarray(model.shares(Batch)) for _ in range(300)])
    assert np.ptp(drawn, axis=1).max() == 0
    assert drawn[:, 0].mean() == pytest.approx(0.5, abs=0.03)
    assert drawn[:, 0].var() == pytest.approx(1 / 36, rel=0.3)
    Batch.sample_weight = np.array([1.0] * 3 + [0.0] + [1.0] * 8, "float32")
    share = np.asarray(model.shares(Batch))
    assert share[2] == 1 and share[3] < 1  # The next one of sample 2 is ignored.


def test_what_a_fit_finds():
    """After the first of three epochs: the mixture of the network's own losses."""
    images, labels = steps.batch(count=30)
    model, seen = steps.make(MCorrection), []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            posterior = keras.ops.convert_to_numpy(self.model.posterior).copy()
            weights = steps.weights_of(self.model)
            scale = float(self.model.loss_low), float(self.model.loss_span)
            seen.append((float(self.model.bootstrapping), posterior, weights, scale))

    callback = LossMixture(images, labels, 2)
    model.fit(
        images,
        labels,
        batch_size=8,  # The last batch is of six.
        epochs=3,
        callbacks=[callback, Look()],
        verbose=0,
    )
    assert [doubts for doubts, *_ in seen] == [0, 0, 1]
    assert not seen[0][1].any()
    log_p = steps.log_softmax(steps.logits_of(images, seen[1][2]))
    values, *scale = beta_mixture.normalised(-log_p[np.arange(30), labels])
    expected = beta_mixture.posterior_table(beta_mixture.fit(values))
    np.testing.assert_allclose(seen[1][1], expected, atol=1e-3)
    np.testing.assert_allclose(seen[1][3], scale, rtol=1e-4)
    assert expected.max() > 0.5 and expected.min() < 0.5


def test_equal_losses_trust_all_labels(caplog):
    """A network that predicts nothing yet: a warning, and finite training."""
    images, labels = steps.batch()
    model = steps.make(MCorrection, rate=0.0)
    model.student.set_weights([0 * w for w in model.student.get_weights()])
    with caplog.at_level("WARNING"):
        history = model.fit(
            images,
            labels,
            epochs=2,
            callbacks=LossMixture(images, labels, 1),
            verbose=0,
        ).history
    assert "no two components: all labels are trusted" in caplog.text
    assert history["clean_fraction"] == [1, 1]
    np.testing.assert_allclose(history["loss"], np.log(CLASSES), rtol=1e-4)


def test_a_pass_over_the_training_data():
    """In the order of the rows, without what fills up a batch; NaN is refused."""
    images, labels = steps.batch()
    model = steps.make(Standard)
    expected = steps.log_softmax(steps.logits_of(images, steps.weights_of(model)))
    found = evaluation_pass.log_probabilities(model, images)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    found = evaluation_pass.log_probabilities(model, lambda: images, 10)
    np.testing.assert_allclose(found, expected[:10], atol=1e-5)
    entropies = evaluation_pass.cross_entropies(found, labels[:10])
    np.testing.assert_allclose(
        entropies, -expected[np.arange(10), labels[:10]], atol=1e-5
    )
    with pytest.raises(ValueError, match=r"of 13 samples. Received: 12"):
        evaluation_pass.log_probabilities(model, images, 13)
    images[3] = np.nan
    with pytest.raises(ValueError, match=r"12 samples. Received: 1 with NaN"):
        evaluation_pass.log_probabilities(model, images)


@pytest.mark.parametrize("checkpoint_first", [False, True])
def test_a_resumed_training_is_the_uninterrupted_one(checkpoint_first, tmp_path):
    """The mixture and the seed of the shares included."""
    model = resumed.check_resumed(
        lambda: steps.make(MCorrection),
        lambda: [LossMixture(resumed.IMAGES, resumed.LABELS, 2)],
        tmp_path,
        stop=2,
        checkpoint_first=checkpoint_first,
    )
    assert np.asarray(model.posterior).max() > 0.5


def test_xla_where_it_has_the_beta_distribution():
    on_tensorflow = keras.backend.backend() == "tensorflow"
    assert steps.make(MCorrection).supports_jit != on_tensorflow
    assert steps.make(MCorrection, mixup=0.0).supports_jit


def test_what_is_refused():
    for name in ("mixup", "eta"):
        with pytest.raises(ValueError, match=rf"at least 0.*{name}=-1"):
            steps.make(MCorrection, **{name: -1})
    images, labels = steps.batch()
    with pytest.raises(ValueError, match=r"start of at least 1.*Received: start=0"):
        LossMixture(images, labels, 0)
    with pytest.raises(ValueError, match=r"labels of shape \(12, 1\)"):
        LossMixture(images, labels[:, None], 1)
    with pytest.raises(ValueError, match=r"posterior.*Add LossMixture\(images, lab"):
        steps.make(MCorrection).fit(images, labels, verbose=0)
    with pytest.raises(TypeError, match=r"LossMixture sets `posterior`.*Standard"):
        steps.make(Standard).fit(
            images, labels, callbacks=LossMixture(images, labels, 1), verbose=0
        )


def test_saves_and_loads(tmp_path):
    images, labels = steps.batch()
    model = steps.make(MCorrection, mixup=8.0, eta=0.5, soft=True)
    assert model.passes() == 5
    model.train_on_batch(images, labels)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.mixup, loaded.eta, loaded.soft) == (8, 0.5, True)
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
