"""What the compared methods know of each sample becomes the audit's label score."""

import keras
import numpy as np
import pytest

from josrc_keras import (
    CleanNet,
    DeepSelf,
    DivideMix,
    JointOptim,
    MCorrection,
    Pencil,
    Standard,
    audit,
)
from josrc_keras.callbacks import CorrectLabels

pytest.importorskip("pandas")
COUNT, CLASSES = 4, 3
LABELS = np.array([0, 1, 2, 1])
INDEX = np.array([3, 0, 2, 1])
PROB = np.array([0.5, 0.25, 0.9, 0.1])


def network(classes=CLASSES):
    image = keras.Input((2, 2, 1))
    x = keras.layers.Flatten(name="features")(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, keras.layers.Dense(classes)(x))


def likelihood(model):
    return model.label_likelihood(LABELS, INDEX, PROB)


def test_divide_mix_by_the_mean_of_both_networks():
    model = DivideMix(network(), CLASSES, COUNT, peer=network())
    model.clean_probability.assign([[0.2, 0.4, 0.6, 0.8], [0.0, 0.2, 0.8, 1.0]])
    np.testing.assert_allclose(likelihood(model), [0.9, 0.1, 0.7, 0.3], atol=1e-6)


def test_pencil_by_the_label_distribution():
    """A class with ln 2 more than the two others has half of the distribution."""
    model = Pencil(network(), CLASSES, COUNT, scale=np.log(2))
    changes = np.zeros((COUNT, CLASSES))
    changes[0] = [np.log(2), -np.log(2), 0]  # Label 1: (2, 1, 1).
    changes[3] = [-np.log(2), 0, 0]  # Label 0: (1, 1, 1).
    changes[1] = [0, -200, 0]
    model.label_changes.assign(changes.astype("float32"))
    np.testing.assert_allclose(likelihood(model), [1 / 3, 1 / 4, 0.5, 0], atol=1e-6)


def test_joint_optim_by_the_replaced_label():
    """The network's probability where no label was replaced."""
    model = JointOptim(network(), CLASSES, COUNT)
    soft = np.zeros((COUNT, CLASSES), "float32")
    soft[0], soft[3] = [0.1, 0.7, 0.2], [0.3, 0.3, 0.4]
    model.soft_labels.assign(soft)
    np.testing.assert_allclose(likelihood(model), [0.3, 0.7, 0.9, 0.1], atol=1e-6)


def test_m_correction_by_the_loss():
    """The posterior is the loss's place between 0 and ln 4."""
    model = MCorrection(network(), CLASSES)
    model.posterior.assign(np.linspace(0, 1, 100).astype("float32"))
    model.loss_low.assign(0.0)
    model.loss_span.assign(np.log(4))
    np.testing.assert_array_equal(likelihood(model), 1)  # Before labels are doubted.
    model.bootstrapping.assign(1.0)
    expected = [0.5, 0.0, 1 - np.log(1 / 0.9) / np.log(4), 0.0]
    np.testing.assert_allclose(likelihood(model), expected, atol=0.006)


def test_clean_net_by_the_similarity():
    model = CleanNet(network(), CLASSES, COUNT, threshold=0.2)
    model.similarity.assign([0.2, -1.0, 1.0, -0.4])
    np.testing.assert_allclose(likelihood(model), [0.25, 0.5, 1, 0], atol=1e-6)


def test_deep_self_by_whether_the_label_stayed():
    model = DeepSelf(network(), CLASSES, COUNT)
    model.corrected.assign([1.0, 0, -1, 0])
    model.similarity.assign([0.8, 0.6, 0.4, 0.9])
    np.testing.assert_allclose(likelihood(model), [0.95, 0.9, 0.7, 0.3], atol=1e-6)


@pytest.fixture(scope="module")
def trained():
    """A DeepSelf on two kinds of images, of which three in ten labels are wrong."""
    random = np.random.default_rng(0)
    truth = np.arange(60) % 2
    means = np.where(truth[:, None] == 1, [200, 200, 20, 20], [20, 20, 200, 200])
    images = (means + random.normal(0, 15, (60, 4))).reshape(60, 2, 2, 1)
    wrong = np.arange(60) % 10 < 3
    labels = np.where(wrong, 1 - truth, truth)
    model = DeepSelf(network(2), 2, 60)
    model.compile("sgd", run_eagerly=True)
    images = images.astype("float32")
    callback = CorrectLabels(lambda: [(images, labels)], count=2)
    model.fit(images, labels, batch_size=60, epochs=1, verbose=0, callbacks=callback)
    return model, images, labels, truth


def test_wrong_labels_score_lower(trained):
    model, images, labels, truth = trained
    table = audit.audit(model, images, labels, view_pairs=1)
    found = audit.compare(table, truth)
    assert found["label_auroc"] > 0.99
    right = labels == truth
    expected = model.label_likelihood(labels, np.arange(60), None)
    np.testing.assert_allclose(table["label_score"], expected)
    assert (table["is_label_issue"].to_numpy() == ~right).mean() > 0.95
    assert table["clean_share"].isna().all()
    now = audit.audit(model, images[:20], labels[:20], history=False)
    assert now["label_score"].between(0, 1).all()


def test_other_data_and_methods_that_know_nothing(trained):
    model, images, labels, _ = trained
    with pytest.raises(ValueError, match=r"Expected the 60 samples.*Received: 20"):
        audit.audit(model, images[:20], labels[:20])
    with pytest.raises(TypeError, match=r"`label_likelihood`. Received: a Standard"):
        audit.audit(Standard(network(2), 2), images, labels)
