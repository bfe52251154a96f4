"""Which network answers: the adaptive method's teacher, Jo-SRC's student."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import AdaptiveJoSRC, JoSRC, TrustRule, views
from josrc_keras.callbacks import CleanThreshold, LabelTrust, MeanTeacher
from tests.support import models, oracle

COUNT = 24
OTHER = {"student": "teacher", "teacher": "student"}
DELIVERS = {"paper": "student", "adaptive": "teacher"}


def make_model(kind, rate=0.5, **compiled):
    """Its teacher is another network than the student."""
    keras.utils.set_random_seed(0)
    network = models.linear_network()
    augmentation = views.crop_and_flip(1, flip=False)
    if kind == "paper":
        model = JoSRC(
            network, models.CLASSES, smoothing=0.3, alpha=0.1, augmentation=augmentation
        )
    else:
        rule = TrustRule(warmup_epochs=1)
        model = AdaptiveJoSRC(
            network, models.CLASSES, COUNT, augmentation, mixup=0.5, rule=rule
        )
    compiled = compiled or {"metrics": ["accuracy"]}
    model.compile(keras.optimizers.SGD(rate), **compiled)
    other = models.linear_network(seed=5)
    model.teacher.set_weights([0.3 * w for w in other.get_weights()])
    return model


@pytest.fixture
def images():
    return models.pair_batch(COUNT)[0]["view_a"]


@pytest.fixture
def given():
    return models.pair_batch(COUNT)[1]


def logits_of(model, network, images):
    return np.asarray(getattr(model, network)(images, training=False))


def losses(logits, labels):
    return -oracle.log_softmax(logits)[np.arange(len(labels)), labels]


def by_hand(logits, labels, weight=None):
    """Cross-entropy and accuracy, as Keras weighs them."""
    right = logits.argmax(axis=1) == labels
    return (
        np.average(losses(logits, labels), weights=weight),
        np.average(right, weights=weight),
    )


@pytest.mark.parametrize("kind", DELIVERS)
def test_predictions_are_the_answering_networks(kind, images):
    model = make_model(kind)
    assert model.delivers == DELIVERS[kind]
    expected = logits_of(model, DELIVERS[kind], images)
    other = logits_of(model, OTHER[DELIVERS[kind]], images)
    assert np.abs(expected - other).max() > 0.1
    found = model.predict(images, batch_size=10, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model(images), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        model.predict_on_batch(images), expected, rtol=1e-5, atol=1e-5
    )
    both = {"view_a": images, "view_b": images[::-1]}
    np.testing.assert_allclose(model(both), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", DELIVERS)
def test_what_evaluation_reports_by_hand(kind, weighted, images, given):
    """The answering network's by the plain names, beside them the other one's."""
    names = {"weighted_metrics" if weighted else "metrics": ["accuracy"]}
    model, answers = make_model(kind, **names), DELIVERS[kind]
    other = OTHER[answers]
    weight = None
    if weighted:
        weight = np.random.default_rng(0).random(COUNT).astype("float32")
    arguments = {"sample_weight": weight, "batch_size": COUNT, "verbose": 0}
    found = model.evaluate(images, given, return_dict=True, **arguments)
    loss, accuracy = by_hand(logits_of(model, answers, images), given, weight)
    other_loss, other_accuracy = by_hand(logits_of(model, other, images), given, weight)
    assert found == {
        "loss": pytest.approx(loss, rel=1e-5),
        "accuracy": pytest.approx(accuracy),
        f"{other}_loss": pytest.approx(other_loss, rel=1e-5),
        f"{other}_accuracy": pytest.approx(other_accuracy),
    }
    assert abs(loss - other_loss) > 0.01 and accuracy != other_accuracy
    listed = model.evaluate(images, given, **arguments)
    assert listed == pytest.approx([loss, accuracy], rel=1e-5)


@pytest.mark.parametrize("kind", DELIVERS)
@pytest.mark.parametrize("evaluated", ["student", "teacher"])
def test_one_network_alone_can_be_evaluated(kind, evaluated, images, given):
    model = make_model(kind)
    model.set_evaluated(evaluated)
    found = model.evaluate(images, given, return_dict=True, verbose=0)
    loss, accuracy = by_hand(logits_of(model, evaluated, images), given)
    assert found == pytest.approx({"loss": loss, "accuracy": accuracy}, rel=1e-5)
    model.set_evaluated("both")
    assert len(model.evaluate(images, given, return_dict=True, verbose=0)) == 4


class Spy(keras.callbacks.Callback):
    """Each network's loss and accuracy after every epoch, and its weights."""

    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels
        self.found = {"student": [], "teacher": []}
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        for network, found in self.found.items():
            logits = logits_of(self.model, network, self.images)
            found.append(by_hand(logits, self.labels))
        self.weights.append(self.model.get_weights())


def fit(model, images, labels, *further, **arguments):
    decides = LabelTrust() if hasattr(model, "label_trust") else None
    decides = decides or CleanThreshold(0.7, 0.9, 1)
    return model.fit(
        images,
        labels,
        batch_size=8,
        verbose=0,
        callbacks=[decides, MeanTeacher(0.8), *further],
        validation_data=(images, labels),
        **arguments,
    ).history


@pytest.mark.parametrize("kind", DELIVERS)
def test_validation_follows_the_answering_network(kind, images, given):
    """`val_accuracy` and `val_loss`, epoch by epoch; the other one's by name."""
    model, spy = make_model(kind), Spy(images, given)
    shown = fit(model, images, given, spy, epochs=4)
    answers, other = DELIVERS[kind], OTHER[DELIVERS[kind]]
    names = {name for name in shown if name.startswith("val_")}
    expected = {
        "val_loss",
        "val_accuracy",
        f"val_{other}_loss",
        f"val_{other}_accuracy",
    }
    assert names == expected
    for network, middle in ((answers, ""), (other, f"{other}_")):
        losses_, accuracies = zip(*spy.found[network], strict=True)
        np.testing.assert_allclose(shown[f"val_{middle}loss"], losses_, rtol=1e-4)
        np.testing.assert_allclose(shown[f"val_{middle}accuracy"], accuracies)
    assert shown["val_accuracy"] != shown[f"val_{other}_accuracy"]


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss"])
@pytest.mark.parametrize("kind", DELIVERS)
def test_early_stopping_watches_the_answering_network(kind, monitor, images, given):
    """And brings back the weights of its best epoch."""
    model, spy = make_model(kind), Spy(images, given)
    stopping = keras.callbacks.EarlyStopping(
        monitor, patience=20, restore_best_weights=True
    )
    fit(model, images, given, spy, stopping, epochs=12)
    column = 0 if monitor == "val_loss" else 1
    values = {
        network: np.array(found)[:, column] for network, found in spy.found.items()
    }
    best = {
        network: int(each.argmin() if monitor == "val_loss" else each.argmax())
        for network, each in values.items()
    }
    assert stopping.best_epoch == best[DELIVERS[kind]]
    expected = values[DELIVERS[kind]][stopping.best_epoch]
    assert stopping.best == pytest.approx(expected, rel=1e-4)
    for ours, theirs in zip(
        model.get_weights(), spy.weights[stopping.best_epoch], strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


SIGNATURE = [keras.InputSpec("float32", (None, *models.SHAPE))]


@pytest.mark.parametrize("options", [{}, {"input_signature": SIGNATURE}])
@pytest.mark.parametrize("kind", DELIVERS)
def test_a_saved_model_serves_the_answering_network(kind, options, images, tmp_path):
    model = make_model(kind)
    model.export(tmp_path / "served", verbose=False, **options)
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    served = loaded.serve(tf.constant(images))
    expected = logits_of(model, DELIVERS[kind], images)
    np.testing.assert_allclose(served, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", DELIVERS)
def test_a_loaded_model_answers_with_the_same_network(kind, images, tmp_path):
    model = make_model(kind)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    expected = logits_of(model, DELIVERS[kind], images)
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0), expected, rtol=1e-5, atol=1e-5
    )
