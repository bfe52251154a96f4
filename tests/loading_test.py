"""The order in which a program imports this package, Keras and TensorFlow is free."""

import itertools
import subprocess
import sys

import pytest

PARTS = ("josrc_keras", "tensorflow", "keras")
REGISTERED = "print(keras.saving.get_registered_object('josrc_keras>JoSRC'))"


def run(code):
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("order", list(itertools.permutations(PARTS)), ids="-".join)
def test_any_order_of_imports(order):
    """TensorFlow asks where Keras is while it can't be imported yet."""
    pytest.importorskip("tensorflow")
    lines = [f"import {name}" for name in order]
    found = run("\n".join([*lines, REGISTERED]))
    assert found == "<class 'josrc_keras.model.JoSRC'>\n"


def test_a_configuration_before_tensorflow():
    pytest.importorskip("tensorflow")
    lines = ["from josrc_keras.configs import base", "import tensorflow, keras"]
    assert "JoSRC" in run("\n".join([*lines, REGISTERED]))


def test_looking_for_keras_imports_nothing():
    code = """
import importlib.util, sys
import josrc_keras
spec = importlib.util.find_spec("keras")
assert spec.origin.endswith("__init__.py") and "keras" not in sys.modules
assert spec.loader.is_package("keras")
import keras
assert keras.__spec__.origin == spec.origin
assert type(keras.__spec__.loader).__module__ != "josrc_keras._loading"
"""
    run(code)


def test_a_module_that_is_not_there():
    code = """
import josrc_keras
try:
    import josrc_keras.nothing
except ModuleNotFoundError as error:
    print(error)
from josrc_keras.callbacks import LabelTrust
print(LabelTrust.__module__)
"""
    assert run(code).splitlines() == [
        "No module named 'josrc_keras.nothing'",
        "josrc_keras.callbacks.label_trust",
    ]


@pytest.mark.parametrize("first", ["keras", "josrc_keras.model", "josrc_keras.audit"])
def test_no_module_is_executed_twice(first):
    """There would be two classes of one name, and Keras would know the wrong one."""
    code = f"""
import collections, importlib.machinery as machinery
executed, execute = collections.Counter(), machinery.SourceFileLoader.exec_module
def count(self, module):
    executed[module.__name__] += 1
    return execute(self, module)
machinery.SourceFileLoader.exec_module = count
import josrc_keras
import {first} as first
assert executed[{first!r}] == 1
assert type(first.__spec__.loader).__module__ != "josrc_keras._loading"
ours = [n for n in executed if n == "keras" or n.startswith("josrc_keras")]
print([name for name in ours if executed[name] > 1])
"""
    assert run(code) == "[]\n"
