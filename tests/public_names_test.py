"""What may be imported, held by a list: a name is taken from it on purpose only."""

import importlib
from pathlib import Path

import pytest

NAMES = Path(__file__).with_name("public_names.txt").read_text().split()
PACKAGES = ("adaptive", "audit", "baselines", "callbacks", "data", "data.batches")
PACKAGES += ("data.records", "devices", "export", "networks", "recipes", "views")
MOVED = {"josrc_keras.recipes.mixup", "josrc_keras.recipes.teacher_decay"}


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_can_be_imported(name):
    parts = name.split(".")
    owner = importlib.import_module(parts[0])
    for end, part in enumerate(parts[1:], 2):
        if not hasattr(owner, part):
            owner = importlib.import_module(".".join(parts[:end]))
        else:
            owner = getattr(owner, part)
    assert owner is not None


@pytest.mark.parametrize(
    "name", ["josrc_keras", *(f"josrc_keras.{p}" for p in PACKAGES)]
)
def test_what_a_package_offers_is_listed(name):
    """A new name is added to the list on purpose, too."""
    offered = {f"{name}.{each}" for each in importlib.import_module(name).__all__}
    listed = {each for each in NAMES if each.rpartition(".")[0] == name}
    assert listed - MOVED == offered
