"""What the package relies on of Keras beyond its documented interface."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

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
        "_should_use_adamw": keras.optimizers.Muon,
        "_muon_update_step": keras.optimizers.Muon,
    }
    for file, names in _runtime.HOOKS.items():
        text = (ROOT / "josrc_keras" / file).read_text(encoding="utf-8")
        for name in names:
            assert hasattr(owners[name], name)
            assert f"def {name}(" in text


USES = {
    "the package": "import josrc_keras",
    "a command": "from josrc_keras.commands import train",
    "plots": "from josrc_keras.runs import plots; plots.import_pyplot()",
    "Keras first": (
        "import josrc_keras, sys; assert 'keras' not in sys.modules; import keras; "
        "assert keras.config.backend(); assert keras.__spec__.origin; "
        "assert keras.saving.get_registered_object('josrc_keras>JoSRC')"
    ),
    "a module first": (
        "import josrc_keras.losses, keras; assert josrc_keras.losses.ALPHA == 0.5; "
        "assert josrc_keras.losses.__spec__.origin == josrc_keras.losses.__file__; "
        "assert keras.saving.get_registered_object('josrc_keras>AdaptiveJoSRC')"
    ),
}


def home_after(home, code, **environment):
    """What a process leaves in its home directory, and what it prints."""
    kept = ("PATH", "KERAS_BACKEND", "LANG")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={name: os.environ[name] for name in kept if name in os.environ}
        | {"HOME": str(home), "PYTHONPATH": str(ROOT), "TMPDIR": str(home.parent)}
        | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return sorted(str(path.relative_to(home)) for path in home.rglob("*")), done.stdout


@pytest.mark.parametrize("use", USES)
def test_nothing_is_written_into_the_home_directory(use, tmp_path):
    """Kind: files that nobody asked for, of ours or of what we import."""
    (tmp_path / "home").mkdir()
    code = f"{USES[use]}\nfrom keras.src.backend import config\n"
    code += "import os; print(config.keras_home(), os.environ.get('KERAS_HOME'))"
    left, printed = home_after(tmp_path / "home", code)
    assert left == [] and [path.name for path in tmp_path.iterdir()] == ["home"]
    assert printed == f"{tmp_path}/home/.keras None\n"


def test_the_defaults_of_a_user_s_home_directory_are_read(tmp_path):
    """And those in `KERAS_HOME`, into which Keras may write."""
    (tmp_path / "home/.keras").mkdir(parents=True)
    (tmp_path / "home/.keras/keras.json").write_text('{"epsilon": 1e-3}')
    code = "import josrc_keras, keras; print(keras.config.epsilon())"
    assert home_after(tmp_path / "home", code)[1] == "0.001\n"
    (tmp_path / "asked").mkdir()
    home_after(tmp_path / "home", code, KERAS_HOME=str(tmp_path / "asked"))
    assert [path.name for path in (tmp_path / "asked").iterdir()] == ["keras.json"]
