"""Photos that are copied and moved."""

import errno
import os

import pytest

from tests.support.photo_moves import (
    ROWS,
)


@pytest.fixture
def photos(tmp_path):
    """A folder whose files have their ids as bytes, one of them not audited."""
    folder = tmp_path / "photos"
    for name in [*(row[0] for row in ROWS), "a/notes.txt"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 3)
    return folder


@pytest.fixture
def output(tmp_path):
    return tmp_path / "run" / "audit"


@pytest.fixture
def other_disk(monkeypatch):
    """Every rename is across file systems."""

    def refuse(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", refuse)
