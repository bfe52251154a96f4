"""Kinds of silent faults that need few lines each: axes, names, batches, telemetry."""

import os

import numpy as np
import pytest

from josrc_keras import data, views
from josrc_keras.commands import arguments, fields
from josrc_keras.configs import digits8n_o
from josrc_keras.export import card
from josrc_keras.runs import build_data

FIRST = np.zeros((64, 3, 16, 16), "float32")
FIRST[:, 0], FIRST[:, 1], FIRST[:, 2] = 10, 20, 30


def test_channels_in_another_place_are_refused():
    message = r"Expected images of shape \(N, H, W, channels\).*channels_first"
    with pytest.raises(ValueError, match=message):
        views.crop_and_flip(padding=2)(FIRST, training=True)
    last = np.transpose(FIRST, (0, 2, 3, 1))
    with pytest.raises(ValueError, match=r"\(N, channels, H, W\).*channels_last"):
        views.crop_and_flip(data_format="channels_first")(last, training=True)


def test_a_crop_with_channels_first_keeps_them_apart():
    layer = views.crop_and_flip(padding=2, seed=1, data_format="channels_first")
    seen = np.asarray(layer(FIRST, training=True))
    for channel in range(3):
        assert set(np.unique(seen[:, channel])) == {0.0, 10.0 * (channel + 1)}
    other = views.crop_and_flip(padding=2, seed=1)
    expected = np.asarray(other(np.transpose(FIRST, (0, 2, 3, 1)), training=True))
    np.testing.assert_array_equal(seen, np.transpose(expected, (0, 3, 1, 2)))


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_packaged_configuration_goes_before_the_working_directory(
    kind, tmp_path, monkeypatch
):
    """A file `partial` there would run as code."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "partial"
    path.mkdir() if kind == "folder" else path.write_text("raise SystemExit(3)")
    packaged = str(fields.path_of("../configs/partial.py"))
    assert arguments._config_path("partial") == packaged
    assert arguments._config_path("partial:paper") == f"{packaged}:paper"
    assert arguments._config_path("./partial") == "./partial"
    (tmp_path / "mine").write_text("")
    with pytest.raises(ValueError, match=r"Unknown configuration.*--config=mine"):
        arguments._config_path("mine")


def test_a_batch_that_fits_is_taken_and_said(caplog):
    config = digits8n_o.get_config()
    train = data.digits8n_o(train_size=12).train
    fitting = build_data.with_batch_that_fits(config, train)
    assert (config.batch_size, fitting.batch_size) == (64, 12)
    assert "config.batch_size=64 is more than the 12 images" in caplog.text
    config.batch_size = 12
    assert build_data.with_batch_that_fits(config, train) is config


def test_onnxruntime_is_told_to_keep_quiet_before_it_is_imported():
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    code = card.SERVE["onnx"]
    assert code.index('"ORT_DISABLE_TELEMETRY"') < code.index("import onnxruntime")
