"""Joint-Optim against Tanaka et al. (2018), in float64 NumPy and by hand."""

import keras
import numpy as np
import pytest

from josrc_keras import JointOptim, Standard, losses
from josrc_keras.baselines import joint_optim, penalties
from josrc_keras.callbacks import UpdateLabels
from tests.support import resumed, steps
from tests.support.models import CLASSES

PROBS = np.array([[0.8, 0.2], [0.4, 0.6]])
PRIOR = [0.4, 0.3, 0.2, 0.1]


def test_the_terms_by_hand():
    """L_c = .366985, L_p = .020411, L_e = .586707; in all .860843."""
    logits = np.log(PROBS).astype("float32")
    classification = float(np.mean(losses.soft_cross_entropy(logits, np.eye(2))))
    prior = float(penalties.prior_penalty(logits, [0.5, 0.5]))
    entropy = float(np.mean(penalties.entropy(logits)))
    found = [classification, prior, entropy]
    np.testing.assert_allclose(found, [0.366985, 0.020411, 0.586707], atol=1e-6)
    total = classification + 1.2 * prior + 0.8 * entropy
    assert total == pytest.approx(0.860843, abs=2e-6)
    # The code's form, without the constant.
    assert prior + np.log(2) == pytest.approx(0.713558, abs=1e-6)
    other = np.log([[0.7, 0.3], [0.4, 0.6]]).astype("float32")
    assert float(penalties.prior_penalty(other, [0.5, 0.5])) == pytest.approx(
        0.005025, abs=1e-6
    )


def test_a_prior_of_a_class_that_is_never_predicted():
    """The logarithm of a mean of 0 is limited; weights of 0 leave a sample out."""
    logits = np.array([[200.0, -200.0], [200.0, -200.0]], "float32")
    found = float(penalties.prior_penalty(logits, [0.5, 0.5]))
    assert found == pytest.approx(-np.log(2) - 0.5 * np.log(1e-8), rel=1e-5)
    assert float(penalties.prior_penalty(logits, [1.0, 0.0])) == 0
    pair = np.log(PROBS).astype("float32")
    weighted = float(penalties.prior_penalty(pair, [0.5, 0.5], np.array([1.0, 0.0])))
    alone = float(penalties.prior_penalty(pair[:1], [0.5, 0.5]))
    assert weighted == pytest.approx(alone)
    assert float(penalties.prior_penalty(pair, [0.5, 0.5], np.zeros(2))) == 0


def test_the_mean_of_the_ring():
    ring = np.zeros((3, 2, 2), "float16")
    ring[0, 0], ring[2, 0] = (0.9, 0.1), (0.5, 0.5)
    found = joint_optim.updated_labels(ring)
    np.testing.assert_allclose(found, [(0.7, 0.3), (0, 0)], atol=3e-4)
    np.testing.assert_allclose(found[0].sum(), 1, rtol=1e-6)


def loss_of(logits, targets, alpha=1.2, beta=0.8):
    log_p = steps.log_softmax(logits)
    mean, prior = np.exp(log_p).mean(0), np.array(PRIOR)
    total = -(targets * log_p).sum(1).mean()
    total += alpha * (prior * np.log(prior / mean)).sum()
    return total - beta * (np.exp(log_p) * log_p).sum(1).mean()


@pytest.mark.parametrize("regularised", [1.0, 0.0])
def test_a_step_is_the_gradient_of_the_loss(regularised):
    """Against soft labels, and given ones where a sample has none yet."""
    images, labels = steps.batch()
    random = np.random.default_rng(3)
    rows = random.permutation(20)[: len(labels)]
    soft = random.dirichlet(np.ones(CLASSES), 20)
    soft[rows[:3]] = 0
    model = steps.make(JointOptim, 20, prior=PRIOR)
    model.soft_labels.assign(soft.astype("float32"))
    model.regularised.assign(regularised)
    targets = soft[rows]
    targets[:3] = np.eye(CLASSES)[labels[:3]]

    def loss(logits):
        return loss_of(logits, targets, 1.2 * regularised, 0.8 * regularised)

    given = {"label": labels, "index": rows}
    logs, logits = steps.check_step(model, images, given, loss)
    expected = np.zeros((20, CLASSES))
    expected[rows] = np.exp(steps.log_softmax(logits))
    np.testing.assert_allclose(model.predictions, expected, atol=1e-5)
    agree = (targets.argmax(1) == labels).mean()
    assert logs["clean_fraction"] == pytest.approx(agree)
    assert 3 / 12 <= agree < 1


@pytest.mark.parametrize("classes", [2, 100])
def test_without_its_terms_it_is_ordinary_training(classes):
    images, labels = steps.batch(classes=classes, count=5)
    model = steps.make(JointOptim, 5, classes=classes, alpha=0.0, beta=0.0)
    given = {"label": labels, "index": np.arange(5)}
    steps.check_equals_standard(model, images, given)


class Look(keras.callbacks.Callback):
    """What the model holds at the end of every epoch."""

    def __init__(self):
        super().__init__()
        self.predictions, self.labels, self.first = [], [], []

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self.first.append([w.copy() for w in self.model.student.get_weights()])

    def on_epoch_end(self, epoch, logs=None):
        for name, found in (
            ("predictions", self.predictions),
            ("soft_labels", self.labels),
        ):
            value = keras.ops.convert_to_numpy(getattr(self.model, name))
            found.append(value.copy())


def test_the_labels_of_a_fit():
    """From the second epoch on the mean of two; the oldest is overwritten; stage two.

    Two of ten samples are never trained on, and keep their given labels.
    """
    images, labels = steps.batch(count=10)
    model, look = steps.make(JointOptim, 10, rate=0.01), Look()
    index = {"label": labels[:8], "index": np.arange(8)}
    model.fit(
        images[:8],
        index,
        batch_size=3,  # The last batch is of two.
        epochs=5,
        callbacks=[UpdateLabels(2, memory=2, second_stage=4), look],
        verbose=0,
    )
    seen = look.predictions
    assert np.abs(seen[0]).sum(axis=1)[:8].min() > 0.99
    assert np.abs(seen[0])[8:].max() == 0
    assert np.abs(look.labels[0]).max() == 0
    options = {"atol": 1e-3}  # The memory is of float16.
    np.testing.assert_allclose(look.labels[1], (seen[0] + seen[1]) / 2, **options)
    np.testing.assert_allclose(look.labels[3], (seen[2] + seen[3]) / 2, **options)
    np.testing.assert_array_equal(look.labels[4], look.labels[3])
    assert float(model.regularised) == 0
    for now, then in zip(look.first[4], look.first[0], strict=True):
        np.testing.assert_array_equal(now, then)
    assert np.any(look.first[3][0] != look.first[0][0])


@pytest.mark.parametrize("checkpoint_first", [False, True])
def test_a_resumed_training_is_the_uninterrupted_one(checkpoint_first, tmp_path):
    """The ring of predictions and the weights before the first epoch included."""
    model = resumed.check_resumed(
        lambda: steps.make(JointOptim, 24),
        lambda: [UpdateLabels(1, memory=2, second_stage=3)],
        tmp_path,
        stop=2,
        checkpoint_first=checkpoint_first,
    )
    sums = np.asarray(model.soft_labels).sum(axis=1)
    np.testing.assert_allclose(sums, 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": -1}, r"at least 0.*alpha=-1"),
        ({"beta": -1}, r"at least 0.*beta=-1"),
        ({"prior": [0.5, 0.5]}, r"prior of 4 shares.*Received: \[0.5, 0.5\]"),
        ({"prior": [0.5, 0.5, 0.5, -0.5]}, r"sum to 1. Received: .*-0.5"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        steps.make(JointOptim, 4, **arguments)


def test_what_callback_and_fit_refuse():
    for arguments in ((0,), (2, 0), (2, 10, 2)):
        with pytest.raises(ValueError, match=r"start and memory.*has 70, 10 and 200"):
            UpdateLabels(*arguments)
    images, labels = steps.batch()
    with pytest.raises(ValueError, match=r"soft_labels.*Add UpdateLabels\(start=70"):
        steps.make(JointOptim, 12).fit(images, labels, verbose=0)
    with pytest.raises(TypeError, match=r"UpdateLabels sets `soft_labels`.*Standard"):
        steps.make(Standard).fit(images, labels, callbacks=UpdateLabels(1), verbose=0)


def test_saves_and_loads(tmp_path):
    images, labels = steps.batch()
    model = steps.make(JointOptim, 12, alpha=0.3, prior=PRIOR)
    model.train_on_batch(images, {"label": labels, "index": np.arange(12)})
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.alpha, loaded.prior) == (0.3, PRIOR)
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
