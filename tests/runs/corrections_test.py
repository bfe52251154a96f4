"""The methods that correct labels or losses, through a run folder."""

import keras
import numpy as np
import pytest

from josrc_keras import data
from josrc_keras.cleaning import audit_of_run
from josrc_keras.runs import corrections, train, verification
from tests.support.runs import history_of, without_pictures

# What a run of two epochs of each method is configured with.
FIELDS: dict = {
    "f_correction": {"f_correction.quantile": 0.97, "data.validation_share": 0.25},
    "m_correction": {"m_correction.start": 0.4},
    "joint_optim": {"joint_optim.start": 0.4},
    "cleannet": {"cleannet.start": 0.4, "cleannet.steps": 3, "cleannet.centres": 2},
    "pencil": {"pencil.correct_from": 0.4, "pencil.label_rate": 50.0},
}
SLOW = ("f_correction", "m_correction")  # Their parts are tested one by one.


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in FIELDS
    ],
)
def test_a_run(method, quick_config, deterministic, monkeypatch, tmp_path):
    """By the configuration alone, with what each method leaves in its model."""
    without_pictures(monkeypatch)
    config = quick_config(method=method, epochs=2, **FIELDS[method])
    summary = train.train(config, tmp_path, verbose=0)
    assert summary["method"] == method
    assert len(history_of(tmp_path)) == 2
    model = keras.saving.load_model(tmp_path / "model.keras")
    if method == "f_correction":
        matrix = np.asarray(model.transition)
        np.testing.assert_allclose(matrix.sum(axis=1), np.ones(8), rtol=1e-5)
        assert np.abs(matrix - np.eye(8)).max() > 0.01
    if method == "joint_optim":  # Labels were replaced after the first epoch.
        sums = np.asarray(model.soft_labels).sum(axis=1)
        np.testing.assert_allclose(sums, 1, rtol=1e-6)
        findings = audit_of_run.write(tmp_path, tmp_path / "audit", max_thumbnails=4)
        assert findings["quality"]["label_auroc"] > 0.6
        assert (tmp_path / "audit/report.html").stat().st_size > 10_000
    if method == "m_correction":  # A mixture was fitted.
        assert np.asarray(model.posterior).max() > 0.5
    if method == "cleannet":  # Similarities were found.
        assert np.ptp(np.asarray(model.similarity)) > 0.001
    if method == "pencil":  # Labels moved in the second epoch.
        assert np.abs(np.asarray(model.label_changes)).max() > 0.01


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_shares_out_of_range(share, quick_config):
    config = quick_config(**{"f_correction.estimate_at": share})
    with pytest.raises(ValueError, match=rf"config.f_correction.estimate_at.*{share}"):
        corrections.epoch_at(config, "f_correction.estimate_at")


def test_the_stages_of_pencil_are_apart(quick_config):
    """The published 70 and 200 of 320 epochs; in a short run an epoch each."""
    stages = [
        (callback.correct_from, callback.fixed_from)
        for epochs in (320, 40, 1)
        for callback in corrections.pencil_callbacks(
            quick_config(epochs=epochs), None, None
        )
    ]
    assert stages == [(70, 200), (9, 25), (1, 2)]


def test_verification_labels_of_a_benchmark(quick_config):
    """A share of the labels, by the truth; the same for the same seed."""
    labels = np.arange(100) % 4
    truth = np.where(np.arange(100) < 50, labels, -1)
    split = data.Split(labels, labels, truth, labels)
    config = quick_config(method="cleannet", **{"cleannet.verified_share": 0.3})
    found = verification.verified_labels(config, split)
    assert (found >= 0).sum() == 30
    known = found >= 0
    np.testing.assert_array_equal(found[known], (labels == truth)[known])
    assert 0 < found[known].mean() < 1
    np.testing.assert_array_equal(found, verification.verified_labels(config, split))
    config.cleannet.verified_share = 0
    with pytest.raises(ValueError, match=r"verified_share.*\(0, 1\). Received: 0"):
        verification.verified_labels(config, split)
    unknown = data.Split(labels, labels, None, labels)
    with pytest.raises(ValueError, match=r"method=cleannet has to be told.*digits8n_o"):
        verification.verified_labels(config, unknown)


def test_the_rounds_of_cleannet(quick_config):
    """Evenly over what is left; the labels stand for the images."""
    labels = np.arange(10)
    split = data.Split(labels, labels, labels, labels)
    fields = {"cleannet.start": 0.4, "cleannet.rounds": 3}
    config = quick_config(method="cleannet", epochs=40, **fields)
    (callback,) = verification.cleannet_callbacks(config, split, None)
    assert callback.at_epochs == (16, 24, 32)
    assert (callback.steps, callback.centres) == (1500, 8)
    config.cleannet.rounds = 0
    with pytest.raises(ValueError, match=r"rounds of at least 1. Received: 0"):
        verification.cleannet_callbacks(config, split, None)
