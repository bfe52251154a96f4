"""The audit of a dataset, a row a sample."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras import JoSRC, Standard, audit, data, networks, views
from josrc_keras.audit import table as audit_table
from josrc_keras.callbacks import CleanThreshold, MeanTeacher, VerdictHistory
from tests.support import models

X, Y = models.X, models.Y


@pytest.fixture(scope="module")
def model():
    """Trained for an epoch on `X` and `Y`, with a history."""
    keras.utils.set_random_seed(0)
    model = models.digits_model()
    callbacks = [CleanThreshold(0.7, 0.9, 1), MeanTeacher(), VerdictHistory()]
    models.fit(model, callbacks=callbacks, epochs=2)
    return model


@pytest.fixture
def fresh():
    """Without a history, and without an augmentation, so that nothing is random."""
    return models.digits_model(augmentation=False)


def numbered(labels=Y, images=X):
    labels = {"label": labels, "index": np.arange(len(labels))}
    return tf.data.Dataset.from_tensor_slices((images, labels))


def test_columns_and_their_values(model):
    found = model.audit(X, Y, class_names="abcd")
    assert tuple(found.columns) == audit.COLUMNS and len(found) == 24
    np.testing.assert_array_equal(found["id"], np.arange(24))
    np.testing.assert_array_equal(found["given_label"], Y)
    assert found["given_name"].tolist() == ["abcd"[i] for i in Y]
    assert found["predicted_name"].tolist() == [
        "abcd"[i] for i in found["predicted_label"]
    ]
    np.testing.assert_array_equal(found["is_label_issue"], found["verdict"] != "clean")
    np.testing.assert_array_equal(
        found["is_label_issue"], found["label_score"].to_numpy() < 0.5
    )
    shares = [f"{name}_share" for name in ("clean", "in_distribution")]
    shares = found[[*shares, "out_of_distribution_share"]].to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_array_equal(found["duplicate_set"], np.full(24, -1))
    for name in ("label_score", "clean_likelihood", "ood_score"):
        assert found[name].between(0, 1).all() and found[name].dtype == "float64"
    assert found["predicted_probability"].between(0.25, 1).all()


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def test_without_a_history_the_teacher_judges(fresh):
    """Its probability of the given label gives the score; the student eq. 3."""
    for weight in fresh.teacher.weights:
        if weight.path.endswith("kernel"):
            weight.assign(weight + keras.random.normal(weight.shape, seed=1) / 8)
    found = fresh.audit(X, Y, batch_size=5)
    probs = softmax(np.asarray(fresh.teacher(X), "float64"))
    given = probs[np.arange(24), Y]
    predicted = probs.argmax(axis=1)
    agrees = predicted == Y
    assert 0 < agrees.sum() < 24
    relative = given / np.median(given[agrees])
    expected = relative**2 / (relative**2 + 0.25)
    np.testing.assert_allclose(found["label_score"], expected, rtol=1e-4)
    np.testing.assert_array_equal(found["predicted_label"], predicted)
    np.testing.assert_allclose(
        found["predicted_probability"], probs.max(axis=1), rtol=1e-4
    )
    student = softmax(np.asarray(fresh.student(X), "float64"))
    assert np.abs(student - probs).max() > 0.05
    smooth = np.where(np.eye(4)[Y] == 1, 0.7, 0.1)
    mean = (student + smooth) / 2
    halves = [p * np.log2(p / mean) for p in (student, smooth)]
    likelihood = 1 - sum(halves).sum(axis=1) / 2
    np.testing.assert_allclose(found["clean_likelihood"], likelihood, atol=1e-5)
    assert found["clean_share"].isna().all()


def test_the_history_gives_the_score(model):
    """Its mean probability, though the images audited are others."""
    past = model.sample_history.mean("given_prob")
    found = model.audit(255 - X, Y, view_pairs=1)
    agrees = (found["predicted_label"] == Y).to_numpy()
    relative = past / np.median(past[agrees] if agrees.any() else past)
    expected = relative**2 / (relative**2 + 0.25)
    np.testing.assert_allclose(found["label_score"], expected, rtol=1e-6)
    shares = model.sample_history.verdict_shares()
    np.testing.assert_array_equal(found["clean_share"], shares["clean"])
    without = model.audit(255 - X, Y, history=False, view_pairs=1)
    assert without["clean_share"].isna().all()
    assert not np.allclose(without["label_score"], expected)


@pytest.mark.parametrize("kind", ["tf.data", "numbered", "one-hot", "dict"])
def test_every_kind_of_data_gives_the_same_table(kind, fresh):
    expected = fresh.audit(X, Y, batch_size=7)
    given = {
        "tf.data": (models.dataset(batch=7),),
        "numbered": (numbered().shuffle(24, seed=5).batch(7),),
        "one-hot": (X, np.eye(4)[Y]),
        "dict": (X, {"label": Y, "true_label": Y, "index": np.arange(24)}),
    }[kind]
    found = fresh.audit(*given, batch_size=7)
    assert found["given_label"].equals(expected["given_label"])
    assert found["verdict"].equals(expected["verdict"])
    for name in ("label_score", "ood_score", "clean_likelihood"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)


def test_views_of_a_model_without_augmentation(fresh):
    """Two views each; with numbers in any order. No duplicates are known."""
    pairs = numbered().batch(7).map(views.two_views(views.crop_and_flip(1)))
    found = fresh.audit(pairs.shuffle(4))
    np.testing.assert_array_equal(found["given_label"], Y)
    np.testing.assert_array_equal(found["duplicate_set"], np.full(24, -1))
    equal = fresh.audit({"view_a": X, "view_b": X}, Y)
    one = fresh.audit(X, Y)
    np.testing.assert_allclose(equal["label_score"], one["label_score"], rtol=1e-4)


def test_duplicates_across_parts(fresh):
    """Sets are numbered over all; a label that differs is a contradiction."""
    part = audit_table.Part(X, Y, np.arange(24), history=False)
    again = X[[3, 3, 9]]
    again = np.append(again, X[:1] ^ 1, axis=0)
    more = audit_table.Part(again, np.array([3, 1, 1, 0]), np.arange(24, 28), False)
    found = audit.summarise(audit_table.audit_parts(fresh, [part, more]))
    assert found["duplicate_images"] == 5
    # Image 9 has label 1 in both parts, image 3 once label 3 and once label 1.
    assert [duplicate["ids"] for duplicate in found["duplicates"]] == [[3, 24, 25]]
    floats = fresh.audit(np.concatenate([X, X]) / np.float32(2), np.tile(Y, 2))
    sets = floats["duplicate_set"].to_numpy()
    np.testing.assert_array_equal(sets[:24], sets[24:])
    assert sorted(sets[:24]) == list(range(24))


@pytest.mark.parametrize("classes", [2, 1000])
def test_few_and_many_classes(classes):
    network = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )
    model = JoSRC(network, classes, smoothing=0.3, augmentation=views.crop_and_flip(1))
    given = np.arange(24) * 41 % classes
    found = model.audit(X, given, view_pairs=1)
    np.testing.assert_array_equal(found["given_label"], given)
    assert found["label_score"].between(0, 1).all()
    assert found["ood_score"].between(0, 1).all()


def test_the_model_is_left_as_it_was(model, equal_arrays, tmp_path):
    """Weights, optimizer, statistics; the augmentation's random state moves alone."""

    def state():
        kept = [v for v in model.variables if "seed" not in v.path]
        kept += model.optimizer.variables
        return [keras.ops.convert_to_numpy(variable) for variable in kept]

    before, epochs = state(), model.sample_history.epochs.copy()
    model.audit(X, Y, view_pairs=1)
    equal_arrays(state(), before)
    np.testing.assert_array_equal(model.sample_history.epochs, epochs)
    assert model.epoch_findings is None
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.sample_history.epochs, epochs)


OTHER = r"Expected the dataset that the model was trained on.*Received: "
REFUSED = {
    "shorter": (lambda: (X[:20], Y[:20]), {}, OTHER + "20 samples; training rec.* 24"),
    "relabelled": (
        lambda: (X, np.where(np.arange(24) < 2, 3, Y)),
        {},
        OTHER + "labels that differ in 2 rows of 24.*`history=False`",
    ),
    "more classes": (lambda: (X, Y + 3), {}, r"labels in \[0, 3\].*from 3 to 6"),
    "shuffled": (
        lambda: (models.dataset(batch=24).unbatch().shuffle(24).batch(7), None),
        {},
        "same images in the same order",
    ),
    "repeated": (
        lambda: (numbered().batch(8).repeat(2), None),
        {},
        "an 'index' that repeats",
    ),
    "ids": (lambda: (X, Y), {"ids": np.arange(9)}, "each of the 24 samples.*9 ids"),
    "names": (lambda: (X, Y), {"class_names": "abc"}, "4 classes.*3 class_names"),
    "view_pairs": (lambda: (X, Y), {"view_pairs": 0}, r"Received: view_pairs=0\."),
    "half a pair": (lambda: (X, Y), {"view_pairs": 1.5}, r"view_pairs=1\.5\."),
    "batch_size": (lambda: (X, Y), {"batch_size": 0}, r"least 1\. .* batch_size=0\."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case, model):
    make, options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        model.audit(*make(), **({"view_pairs": 1} | options))


def test_a_history_is_not_asked_about_other_data(model):
    found = model.audit(X[:20], Y[:20], history=False, ids=[f"{i}.png" for i in Y[:20]])
    assert found["id"][3] == "3.png" and len(found) == 20


def test_a_model_without_verdicts_is_refused():
    other = Standard(networks.digits_cnn(4), 4)
    with pytest.raises(TypeError, match=r"asks a JoSRC model.*Received: a Standard\."):
        audit.audit(other, X, Y)


@pytest.mark.slow
def test_the_digits():
    """What a short training knows: half of the labels wrong, 8 and 9 foreign."""
    train = data.digits8n_o().train
    network = networks.digits_cnn(8)
    augmentation = views.crop_and_flip(1, flip=False)
    model = JoSRC(network, 8, smoothing=0.3, alpha=0.1, augmentation=augmentation)
    model.compile(keras.optimizers.Adam(1e-3))
    callbacks = [CleanThreshold(0.75, 0.95, 6), MeanTeacher(), VerdictHistory()]
    model.fit(
        train.images,
        train.labels,
        batch_size=32,
        epochs=12,
        verbose=0,
        callbacks=callbacks,
    )
    found = audit.compare(model.audit(train.images, train.labels), train.true_labels)
    assert found["label_auroc"] > 0.95
    assert found["ood_auroc"] > 0.85
    assert found["issue_f1"] > 0.85
    alone = model.audit(train.images, train.labels, history=False)
    assert audit.compare(alone, train.true_labels)["label_auroc"] > 0.9


def test_the_same_audit_twice(model):
    """Views are drawn alike each time, and training's next ones are left alone."""
    state = model.augmentation.seed_generator.state
    before = np.array(state)
    first, second = (model.audit(X, Y, history=False) for _ in range(2))
    assert first.equals(second)
    np.testing.assert_array_equal(np.array(state), before)


def test_a_thousand_classes():
    """Two images of each, and a network that knows them; some labels are wrong."""
    classes = 1000
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(classes), 2)
    kinds = random.integers(0, 256, (classes, 4, 4, 4))
    images = kinds[truth].astype("uint8")
    wrong = np.arange(2 * classes) % 10 == 0
    labels = np.where(wrong, (truth + 7) % classes, truth)
    centred = (kinds.reshape(classes, -1) - 127.5) / 255
    network = keras.Sequential(
        [
            keras.Input((4, 4, 4)),
            keras.layers.Rescaling(1 / 255, offset=-0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(classes),
        ]
    )
    # The class whose image is nearest has the largest logit.
    bias = -10 * (centred**2).sum(axis=1)
    network.layers[-1].set_weights([20 * centred.T, bias])
    found = JoSRC(network, classes).audit(images, labels, view_pairs=1)
    assert (found["predicted_label"].to_numpy() == truth).all()
    np.testing.assert_array_equal(found["is_label_issue"].to_numpy(bool), wrong)
