"""What may be imported, held by a list: a name is taken from it on purpose only."""

import importlib
from pathlib import Path

import pytest

NAMES = Path(__file__).with_name("public_names.txt").read_text().split()


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
