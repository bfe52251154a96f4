"""Modules and names of before version 0.2: found by their old names, with a warning.

Each is imported in a fork of one process of its own, so that none is known already.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from josrc_keras import _layout

ROOT = Path(__file__).resolve().parents[1]
# Every module of commit f264176, the last before the package was rearranged.
BEFORE = (ROOT / "tests" / "before" / "modules.txt").read_text().split()
# Parts of classes that are gone: descent.py is training/step.py, without its mixin. The
# function data.partial hid its module, and would be hidden by it now.
GONE = {"data.partial", "descent", "recording", "trusting"}
PROGRAM = """
import importlib, json, os, sys, warnings
import josrc_keras
from josrc_keras import _layout, data, recipes, runs

def look(name, moved):
    parent, _, last = f"josrc_keras.{name}".rpartition(".")
    above = sys.modules.get(parent)
    was = getattr(above, last, None) if above else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if name in _layout.MOVED_NAMES:
            found = getattr(importlib.import_module(parent), last)
        else:
            found = importlib.import_module(f"josrc_keras.{name}")
        own = [w for w in caught if "has moved" in str(w.message)]
        again = importlib.import_module(f"josrc_keras.{moved}") if moved else found
        if name in _layout.MOVED_NAMES:
            again = getattr(again, last)
    return {
        "warnings": [[w.category.__name__, str(w.message)] for w in own],
        "same": found is again,
        "name": getattr(found, "__name__", None),
        "spec": getattr(getattr(found, "__spec__", None), "name", None),
        "hidden": was is not None and getattr(above, last) is not was,
    }

for name in json.load(sys.stdin):
    moved = (_layout.MOVED | _layout.MOVED_NAMES).get(name)
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        try:
            found = look(name, moved)
        except BaseException as error:
            found = {"error": repr(error)}
        print(json.dumps([name, found]), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.fixture(scope="module")
def found():
    """What importing each old name does, by the name."""
    names = sorted({*BEFORE, *_layout.MOVED, *_layout.MOVED_NAMES})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        input=json.dumps(names),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    return dict(map(json.loads, lines))


@pytest.mark.parametrize("name", sorted(_layout.MOVED))
def test_a_module_that_moved_is_found_with_a_warning(name, found):
    """It is the same module, whose own name is the new one."""
    now = f"josrc_keras.{_layout.MOVED[name]}"
    assert "error" not in found[name], found[name]
    ((category, message),) = found[name]["warnings"]
    assert category == "FutureWarning"
    assert message.startswith(f"josrc_keras.{name} has moved")
    assert f"mport {now} instead" in message and "ersion 0.2" in message
    assert found[name]["same"]
    assert found[name]["name"] == found[name]["spec"] == now


@pytest.mark.parametrize("name", sorted(_layout.MOVED_NAMES))
def test_a_name_that_moved_is_found_with_a_warning(name, found):
    module, _, last = name.rpartition(".")
    now = f"josrc_keras.{_layout.MOVED_NAMES[name]}"
    ((category, message),) = found[name]["warnings"]
    assert category == "FutureWarning"
    assert message.startswith(f"josrc_keras.{module}.{last} has moved")
    assert f"mport it from {now} instead" in message
    assert found[name]["same"]


@pytest.mark.parametrize("name", BEFORE)
def test_every_module_of_before_is_there(name, found):
    """By its old name, with a warning where that has gone."""
    if name in GONE:
        assert "ModuleNotFoundError" in found[name]["error"]
        return
    assert "error" not in found[name], found[name]
    assert bool(found[name]["warnings"]) == (name in _layout.MOVED)


def test_no_old_name_hides_a_public_one(found):
    """Such as the function `data.partial`, which its module had the name of."""
    assert not [name for name, each in found.items() if each.get("hidden")]


def test_no_module_has_an_old_name():
    """A finder of old names comes last, so a new module would hide an old one."""
    for name in _layout.MOVED:
        path = ROOT / "josrc_keras" / name.replace(".", "/")
        assert not path.with_suffix(".py").exists() and not path.is_dir(), name


def test_an_unknown_name_is_an_error_as_ever():
    import josrc_keras
    from josrc_keras import labels

    with pytest.raises(ModuleNotFoundError, match=r"josrc_keras\.no_such_module"):
        __import__("josrc_keras.no_such_module")
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        labels.no_such_name  # noqa: B018
    with pytest.raises(AttributeError, match="no_such_module"):
        josrc_keras.no_such_module  # noqa: B018
