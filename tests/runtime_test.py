"""What the package relies on of Keras beyond its documented interface."""

import ast
from pathlib import Path

import keras

from josrc_keras import _runtime

ROOT = Path(__file__).resolve().parents[1]
# Private names of our own classes, of the standard library and of other packages.
OWN = ("_asdict", "_replace", "_exit", "_fields")


def private_uses(path):
    """`(line, name)` of each private attribute of what is no `self` and no module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
            continue
        if node.attr.startswith("__") or node.attr in OWN:
            continue
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if isinstance(node.value, ast.Call) and ast.unparse(node.value) == "super()":
            continue
        if owner not in {"self", "cls", *modules}:
            yield node.lineno, node.attr


def test_private_parts_of_keras_are_called_in_one_file():
    found = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for folder in ("josrc_keras", "callbacks", "export", "configs")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, name in private_uses(path)
        if path.name != "_runtime.py"
    }
    assert not found


def test_keras_has_what_is_relied_on():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5)])
    model.compile("sgd", "mse")
    assert _runtime.all_layers(model)[0] is model
    assert len(_runtime.seed_generators(model)) == 1
    assert _runtime.loss_metric(model).name == "loss"
    optimizer = keras.optimizers.SGD()
    variables = [keras.Variable(0.0), keras.Variable(1.0)]
    optimizer.build(variables)
    assert [_runtime.variable_number(optimizer, v) for v in variables] == [0, 1]


def test_overridden_methods_are_those_of_keras():
    """And our files override them."""
    owners = {
        "_make_function": keras.Model,
        "_maybe_symbolic_build": keras.Model,
        "_moments": keras.layers.BatchNormalization,
        "update_step": keras.optimizers.Optimizer,
    }
    for file, names in _runtime.HOOKS.items():
        text = (ROOT / "josrc_keras" / file).read_text(encoding="utf-8")
        for name in names:
            assert hasattr(owners[name], name)
            assert f"def {name}(" in text
