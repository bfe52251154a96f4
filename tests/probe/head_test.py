"""Heads on frozen features: a step by hand, and what cross-fitting finds."""

import dataclasses

import numpy as np
import pytest

from josrc_keras.adaptive.rule import TrustRule
from josrc_keras.probe import head

CLASSES = 3


@pytest.fixture(scope="module")
def clouds():
    """Features around three centres, labels of which 30% are wrong, and the truth."""
    random = np.random.default_rng(0)
    truth = np.arange(600) % CLASSES
    centres = random.normal(0, 1, (CLASSES, 8))
    features = centres[truth][:, None] + random.normal(0, 0.8, (600, 2, 8))
    features /= np.sqrt((features**2).mean())
    wrong = random.random(600) < 0.3
    labels = np.where(wrong, (truth + random.integers(1, 3, 600)) % CLASSES, truth)
    return features.astype("float32"), labels, truth


@pytest.fixture(scope="module")
def found(clouds):
    return head.cross_fit(*clouds[:2], CLASSES)


def test_each_fold_has_its_share_of_each_class():
    labels = np.repeat([0, 1, 2], [50, 23, 7])
    folds = head.folds_of(labels, 5, 0)
    for label, count in enumerate((50, 23, 7)):
        numbers = np.bincount(folds[labels == label], minlength=5)
        assert numbers.max() - numbers.min() <= 1 and numbers.sum() == count
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 1
    assert not np.array_equal(folds, head.folds_of(labels, 5, 1))


def test_wrong_labels_are_found_and_the_truth_is_predicted(clouds, found):
    _, labels, truth = clouds
    wrong = labels != truth
    assert (found.probs.argmax(1) == truth).mean() > 0.95
    flagged = found.trust < 0.5
    assert flagged[wrong].mean() > 0.85 and flagged[~wrong].mean() < 0.05
    assert found.noise_rate == pytest.approx(wrong.mean(), abs=0.06)
    np.testing.assert_allclose(found.probs.sum(1), 1, rtol=1e-5)


def test_no_head_learns_from_the_labels_that_it_judges(clouds, found):
    """Other labels of a fold change what the others hear of it, not its own verdicts.

    Only the trust in these labels differs, so it is left out: no label is judged.
    """
    features, labels, _ = clouds
    rule = dataclasses.replace(head.RULE, warmup_epochs=99)
    settings = dataclasses.replace(head.Settings(), epochs=4, mixup=0.0)
    before = head.cross_fit(features, labels, CLASSES, settings, rule)
    changed = labels.copy()
    rows = before.folds == 2
    # Within a fold two samples swap labels, so that the folds stay as they are.
    order = np.flatnonzero(rows)
    changed[order] = changed[order[::-1]]
    training = head._Training(features, changed, CLASSES, settings, rule)
    training.folds = before.folds
    training.learns = (before.folds[:, None] != np.arange(6)).astype("float32")
    after = training.run()
    np.testing.assert_allclose(after.probs[rows], before.probs[rows], atol=1e-5)
    assert np.abs(after.probs[~rows] - before.probs[~rows]).max() > 1e-3


def test_a_step_by_hand():
    """One sample a fold, no mixup, no momentum: a step of softmax regression."""
    features = np.eye(2, dtype="float32")[:, None]
    labels = np.array([0, 1])
    settings = head.Settings(
        folds=2, epochs=3, batch_size=2, learning_rate=0.6, momentum=0.0, mixup=0.0
    )
    training = head._Training(features, labels, 2, settings, head.RULE)
    training.folds = np.array([0, 1])
    training.learns = (training.folds[:, None] != np.arange(3)).astype("float32")
    training._step(np.array([0, 1]), judged=False)
    # Two views, each with the gradient (softmax - label) / 2.
    rate = 0.6 * min(1 / 0.3, 3 / 2.7)
    kernel = training.student[0].reshape(2, 3, 2)
    expected = rate * 2 * 0.5 / 2
    # The head of fold 0 learns of sample 1 alone, that of fold 1 of sample 0.
    np.testing.assert_allclose(kernel[:, 0], [[0, 0], [-expected, expected]], rtol=1e-5)
    np.testing.assert_allclose(kernel[:, 1], [[expected, -expected], [0, 0]], rtol=1e-5)
    both = [[expected, -expected], [-expected, expected]]
    np.testing.assert_allclose(kernel[:, 2], both, rtol=1e-5)


def test_the_same_seed_gives_the_same_heads(clouds, found):
    again = head.cross_fit(*clouds[:2], CLASSES)
    np.testing.assert_array_equal(again.probs, found.probs)
    other = dataclasses.replace(head.Settings(), seed=1)
    assert not np.array_equal(
        head.cross_fit(*clouds[:2], CLASSES, other).probs, found.probs
    )


def test_the_head_of_all_samples_predicts_them(clouds, found):
    features, _, truth = clouds
    logits = features.mean(1) @ found.kernel + found.bias
    assert (logits.argmax(1) == truth).mean() > 0.95


def test_judge_without_views_by_hand():
    """All are sure, and two of four disagree: n = 1 - 1/2; trust by Bayes' rule."""
    probs = np.array([[0.9, 0.1], [0.1, 0.9]] * 2)
    rule = TrustRule(allowance=0.0, transitions=False, sharpness=1.0)
    rate, trust = head.judge(probs, np.array([0, 0, 0, 0]), rule)
    assert rate == pytest.approx(0.5)
    np.testing.assert_allclose(trust, [0.9, 0.1, 0.9, 0.1], rtol=1e-5)
