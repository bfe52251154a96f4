"""Kind: an audit that knows less than the trained network.

Histories of a few epochs, models that were saved, and images that were not trained on.
"""

import keras
import numpy as np
import pytest
from keras import layers

from josrc_keras import AdaptiveJoSRC, recipes, views
from josrc_keras.audit import scores
from josrc_keras.audit import table as audit_table
from josrc_keras.callbacks import LabelTrust
from tests.support import label_trust

COUNT = 180


@pytest.fixture(scope="module")
def bars():
    """Images of a bright bar in one of three places, labels, and which are wrong."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, COUNT)
    images = random.normal(127, 25, (COUNT, 8, 8, 1)).astype("float32")
    for number, label in enumerate(truth):
        images[number, 1 + 2 * label : 3 + 2 * label] += 60
    wrong = random.random(COUNT) < 0.3
    return (
        images,
        np.where(wrong, (truth + random.integers(1, 3, COUNT)) % 3, truth),
        wrong,
    )


def train(images, labels, epochs=12, rate=3e-3):
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 127.5, -1),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(3),
        ]
    )
    recipe = recipes.adaptive(
        num_classes=3, num_samples=len(images), batch_size=20, epochs=epochs
    )
    augmentation = views.crop_and_flip(padding=1, flip=False)
    model = AdaptiveJoSRC(network, 3, augmentation=augmentation, **recipe.model)
    model.compile(keras.optimizers.Adam(rate))
    model.fit(
        images,
        labels,
        batch_size=20,
        epochs=epochs,
        callbacks=recipe.callbacks,
        verbose=0,
    )
    return model


@pytest.fixture(scope="module")
def short(bars):
    return train(*bars[:2])


def test_a_short_history_does_not_hide_what_the_teacher_knows(short, bars, caplog):
    images, labels, wrong = bars
    now = short.audit(images, labels, history=False)["is_label_issue"].to_numpy()
    assert now[wrong].mean() > 0.7  # Or there would be nothing to hide.
    caplog.clear()
    found = short.audit(images, labels)["is_label_issue"].to_numpy()
    assert found[wrong].mean() > 0.9 * now[wrong].mean()
    assert found[~wrong].mean() < 0.05
    assert "The audit follows the network" in caplog.text


def test_a_loaded_model_audits_as_before_it_was_saved(short, bars, tmp_path):
    expected = short.audit(*bars[:2])
    short.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    found = loaded.audit(*bars[:2])
    assert found["verdict"].equals(expected["verdict"])
    np.testing.assert_allclose(found["label_score"], expected["label_score"], rtol=1e-5)
    np.testing.assert_array_equal(found["clean_share"], expected["clean_share"])


@pytest.mark.parametrize("rate", [0.9, 0.1])
def test_fit_says_that_every_label_is_doubted(rate, bars, caplog):
    """As it is where a network that knows nothing is told that most are wrong."""
    images, labels, _ = bars
    model = label_trust.make_model(1e-9, len(labels))
    pixels = images[:, 1:7, 1:7]
    callback = LabelTrust(rate=rate)
    label_trust.fit(
        model, {"view_a": pixels, "view_b": pixels}, labels, callback, epochs=3
    )
    trusted = keras.ops.convert_to_numpy(model.label_trust)
    assert np.mean(trusted <= 0.5) == (rate > 0.5)
    assert ("100% of the labels are doubted" in caplog.text) == (rate > 0.5)


def test_scores_are_weighed_by_hand():
    """Of ten labels the network calls four wrong, the history four, three, two."""
    now = np.array([0.2] * 4 + [0.8] * 6)
    for count, weight in ((4, 1.0), (3, 0.5), (2, 0.0)):
        past = np.array([0.1] * count + [0.9] * (10 - count))
        found, used = scores.weighed(past, now)
        assert used == pytest.approx(weight)
        odds = weight * np.log(past / (1 - past))
        odds += (1 - weight) * np.log(now / (1 - now))
        np.testing.assert_allclose(found, 1 / (1 + np.exp(-odds)), rtol=1e-9)
    found, used = scores.weighed(now, np.ones(10))
    assert used == 1.0 and np.array_equal(found, now)


def test_scores_are_raised_to_the_reference_by_hand():
    """Places 1/4 and 3/4 of the reference; no score is lowered."""
    reference = np.arange(0, 1.01, 0.1)
    found = scores.on_scale_of(np.array([0.9, 0.1]), reference)
    np.testing.assert_allclose(found, [0.9, 0.25])


def test_held_out_images_stand_among_the_worst_as_often_as_others(bars):
    """The network has not seen them, and contradicts more of their labels."""
    images, labels, _ = bars
    random = np.random.default_rng(1)
    images = images + random.normal(0, 40, images.shape).astype("float32")
    model = train(images[:120], labels[:120], 100, 1e-2)
    trained = audit_table.Part(images[:120], labels[:120], None, history=True)
    held_out = audit_table.Part(images[120:], labels[120:], None, history=False)
    table = audit_table.audit_parts(model, [trained, held_out])
    alone = model.audit(images[120:], labels[120:], history=False)
    worst = np.argsort(table["label_score"].to_numpy(), kind="stable")[:30]
    assert np.mean(worst >= 120) <= 0.5  # A third of all are held out.
    raised = table["label_score"].to_numpy()[120:]
    assert (raised >= alone["label_score"].to_numpy() - 1e-6).all()
    assert (raised > alone["label_score"].to_numpy() + 0.05).any()
