"""Audits of runs on photos whose labels a table says."""

import json

import pytest

from josrc_keras.cleaning import audit_of_run
from josrc_keras.configs import image_folder


def test_only_class_folders_can_be_moved(tmp_path):
    """The folders of the photos say nothing there."""
    config = image_folder.get_config().to_dict()
    config["data"].update(name="image_folder", dir=str(tmp_path / "photos"))
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert audit_of_run.photos_of(tmp_path) == tmp_path / "photos"
    config["data"]["labels"] = "labels.csv"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"data\.labels=labels\.csv\. Use --apply=csv"):
        audit_of_run.photos_of(tmp_path)
