"""Every module has one name, the same one installed and in a checkout.

The tests build and install a copy of the repository, without a network. Modules
are located without executing them, and the copy's ``josrc_keras/__init__.py`` ends
after its check of the layout, so that nothing here imports Keras.
"""

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OUTER = ("callbacks", "export", "configs")

# Prints {name: file or null}: walks the finders as an import would, without
# executing any module but josrc_keras itself.
LOCATE = """
import json, sys
import josrc_keras

def locate(name):
    path, parts = None, name.split(".")
    for end in range(1, len(parts) + 1):
        fullname = ".".join(parts[:end])
        for finder in sys.meta_path:
            spec = finder.find_spec(fullname, path)
            if spec is not None:
                break
        else:
            return None
        path = spec.submodule_search_locations
        if fullname in sys.modules:
            path = getattr(sys.modules[fullname], "__path__", None)
        if path is None and end < len(parts):
            return None
    return spec.origin

print(json.dumps({name: locate(name) for name in json.load(sys.stdin)}))
"""


def run(*command, cwd, stdin=None, check=True, **environment):
    """Runs a command without the caller's paths; returns the finished process."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    process = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        input=stdin,
        env={**inherited, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if check:
        assert process.returncode == 0, process.stdout + process.stderr
    return process


def locate(names, cwd, *, installed=None):
    """Returns {name: file} as seen from ``cwd``, and from ``installed`` after it."""
    paths = {} if installed is None else {"PYTHONPATH": str(installed)}
    # -c puts the current folder first in sys.path, as `python -m` does.
    process = run(
        sys.executable, "-c", LOCATE, cwd=cwd, stdin=json.dumps(names), **paths
    )
    return json.loads(process.stdout)


def library_modules(root):
    """Returns {name of a module: its path in the repository}."""
    modules = {}
    for top in ("josrc_keras", *OUTER):
        for file in sorted((root / top).rglob("*.py")):
            relative = file.relative_to(root)
            parts = list(relative.with_suffix("").parts)
            if top in OUTER:
                parts.insert(0, "josrc_keras")
            if parts[-1] == "__init__":
                parts.pop()
            modules[".".join(parts)] = relative
    return modules


def installed_path(relative):
    return relative if relative.parts[0] == "josrc_keras" else "josrc_keras" / relative


def layout_check(source):
    """Returns the source up to the end of the call of ensure_subpackages."""
    for node in ast.parse(source).body:
        if ast.unparse(node) == "ensure_subpackages()":
            return "".join(source.splitlines(keepends=True)[: node.end_lineno])
    raise AssertionError("josrc_keras/__init__.py does not call ensure_subpackages()")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the repository whose package imports nothing but its layout check."""
    copy = tmp_path_factory.mktemp("checkout")
    for file in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / file, copy)
    for folder in ("josrc_keras", *OUTER):
        shutil.copytree(
            ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for folder in ("tests", "benchmarks"):  # that must not be packaged
        (copy / folder).mkdir()
        (copy / folder / "__init__.py").touch()
    for folder in ("josrc_keras", *OUTER):  # that must be, at any depth
        (copy / folder / "new" / "newer").mkdir(parents=True)
        (copy / folder / "new" / "__init__.py").touch()
        (copy / folder / "new" / "newer" / "__init__.py").touch()
    init = copy / "josrc_keras" / "__init__.py"
    init.write_text(layout_check(init.read_text(encoding="utf-8")), encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    pytest.importorskip("setuptools")
    commands = ("setuptools.command.bdist_wheel", "wheel")  # since 70.1, before
    if not any(map(importlib.util.find_spec, commands)):
        pytest.skip("setuptools < 70.1 builds no wheel without the package wheel")
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"),
        *("--no-build-isolation", "--wheel-dir", folder, checkout),
        cwd=folder,
    )
    (file,) = folder.glob("josrc_keras-*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-index"),
        *("--no-deps", "--no-compile", "--target", folder, wheel),
        cwd=folder,
    )
    return folder


def test_wheel_contains_every_module_and_nothing_else(checkout, wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith(".py")}
    expected = {
        str(installed_path(path)) for path in library_modules(checkout).values()
    }
    assert packed == expected


def test_wheel_has_the_version_and_the_scripts(checkout, wheel):
    namespace = {}
    exec((ROOT / "josrc_keras" / "_version.py").read_text(), namespace)
    assert wheel.name.split("-")[1] == namespace["__version__"]
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("entry_points.txt")]
        scripts = archive.read(name).decode()
    modules = library_modules(checkout)
    targets = [line.split(" = ")[1] for line in scripts.splitlines() if "=" in line]
    assert targets
    for target in targets:
        assert target.removesuffix(":main") in modules


def test_installed_modules_resolve_from_a_neutral_folder(checkout, installed, tmp_path):
    modules = library_modules(checkout)
    found = locate(list(modules), tmp_path, installed=installed)
    assert found == {
        name: str(installed / installed_path(path)) for name, path in modules.items()
    }


@pytest.mark.parametrize("with_installed", [True, False])
def test_root_of_the_checkout_uses_the_checkout(checkout, with_installed, request):
    """A non-editable install is shadowed as a whole, never in part."""
    installed = request.getfixturevalue("installed") if with_installed else None
    modules = library_modules(checkout)
    found = locate(list(modules), checkout, installed=installed)
    assert found == {name: str(checkout / path) for name, path in modules.items()}


def test_another_checkout_lends_no_subpackages(checkout, tmp_path):
    """Its editable install would offer them, by a finder at the end of meta_path."""
    other = tmp_path / "other"
    shutil.copytree(checkout, other)
    program = """
import importlib.util, pathlib, runpy, sys
checkout, other = map(pathlib.Path, sys.argv[1:])
layout = runpy.run_path(str(other / "josrc_keras" / "_layout.py"))
sys.meta_path.append(layout["CheckoutFinder"](other))
sys.path.insert(0, str(checkout))
print(importlib.util.find_spec("josrc_keras.export").origin)
"""
    process = run(sys.executable, "-c", program, checkout, other, cwd=tmp_path)
    assert process.stdout.strip() == str(checkout / "export" / "__init__.py")


def test_no_file_has_a_second_name_below_the_package(checkout):
    names = ["josrc_keras.josrc_keras", "josrc_keras.setup", "josrc_keras.tests"]
    names += ["josrc_keras.benchmarks", "josrc_keras.callbacks.export"]
    assert locate(names, checkout) == dict.fromkeys(names)


@pytest.mark.parametrize("folder", OUTER)
def test_top_level_name_is_refused(checkout, folder):
    process = run(sys.executable, "-c", f"import {folder}", cwd=checkout, check=False)
    assert process.returncode != 0
    assert (
        f"Received: import {folder}. Expected: import josrc_keras.{folder}."
        in process.stderr
    )


def test_incomplete_checkout_is_refused(checkout, tmp_path):
    shutil.copytree(checkout / "josrc_keras", tmp_path / "josrc_keras")
    process = run(sys.executable, "-c", "import josrc_keras", cwd=tmp_path, check=False)
    assert process.returncode != 0
    assert "Received: " in process.stderr
    assert "0 of callbacks, export, configs below it" in process.stderr
    assert "lacking setup.py and callbacks and export and configs" in process.stderr
    assert "Fix: " in process.stderr


def test_layout_is_checked_before_any_other_import():
    source = (ROOT / "josrc_keras" / "__init__.py").read_text(encoding="utf-8")
    imports = [
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.parse(layout_check(source)).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert imports == ["josrc_keras._layout"]


def test_setup_and_layout_agree_on_the_folders():
    spec = importlib.util.spec_from_file_location(
        "layout", ROOT / "josrc_keras" / "_layout.py"
    )
    layout = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(layout)
    assignments = {
        ast.unparse(node.targets[0]): node.value
        for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
    }
    assert ast.literal_eval(assignments["OUTER_SUBPACKAGES"]) == OUTER
    assert layout.OUTER_SUBPACKAGES == OUTER
