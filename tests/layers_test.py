"""The layers of the house: a file imports only from its own layer or from one below.

The layers are also drawn in docs/explanation/architecture.md. Imports within functions
count, and imports of a package count as of its `__init__`.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUTER = ("callbacks", "configs", "export")
# From the ground up. A module or package belongs to the longest name that fits.
LAYERS = (
    ("_version", "_layout", "_runtime", "_loading", "_values", "_checks", "_files"),
    ("divergence", "schedules", "labels", "metrics"),
    ("selection", "losses", "devices"),
    ("data", "networks", "views"),
    ("samples", "teacher"),
    ("audit",),
    ("training",),
    ("adaptive", "baselines", "probe"),
    ("model",),
    ("callbacks",),
    ("recipes",),
    ("",),  # josrc_keras/__init__.py, which offers the names above.
    ("configs",),
    ("runs",),
    ("export", "cleaning", "reproduction"),
    ("prediction",),
    ("commands",),
    ("train", "evaluate", "reproduce"),
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}
ALLOWED: set = set()  # `(file, module)` that break the rule.


def files():
    for folder in ("josrc_keras", *OUTER):
        yield from sorted((ROOT / folder).rglob("*.py"))


def name_of(path):
    """The dotted name of a file below `josrc_keras`, `""` for its `__init__`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "josrc_keras" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path) for path in files()}


def imports_of(path):
    """`(line, module)` of each import of this package, by the name below it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = []
            for alias in node.names:
                inner = f"{node.module}.{alias.name}".removeprefix("josrc_keras.")
                names.append(
                    f"josrc_keras.{inner}" if inner in MODULES else node.module
                )
        else:
            continue
        for name in names:
            if name == "josrc_keras" or name.startswith("josrc_keras."):
                yield node.lineno, name.removeprefix("josrc_keras").lstrip(".")


def level_of(name):
    return LEVELS[name.split(".")[0]]


def test_every_module_has_a_layer():
    assert {name.split(".")[0] for name in MODULES} == set(LEVELS)


def test_no_file_imports_from_a_layer_above_its_own():
    upwards = [
        f"{path.relative_to(ROOT)}:{line} imports {module or 'josrc_keras'}"
        for path in files()
        for line, module in imports_of(path)
        if level_of(module) > level_of(name_of(path))
        and (name_of(path), module) not in ALLOWED
    ]
    assert not upwards, "\n".join(upwards)


def test_no_circle_of_imports():
    """Neither at the time of import nor within functions."""
    arrows = {
        name_of(path): {m for _, m in imports_of(path) if m in MODULES} - {""}
        for path in files()
    }
    done, circles = set(), []

    def visit(name, trail):
        if name in trail:
            circles.append(" -> ".join([*trail[trail.index(name) :], name]))
        elif name not in done:
            for other in sorted(arrows[name] - {name}):
                visit(other, [*trail, name])
            done.add(name)

    for name in sorted(arrows):
        visit(name, [])
    assert not circles, "\n".join(circles)


def test_the_root_has_few_modules_and_no_file_is_long():
    modules = list((ROOT / "josrc_keras").glob("*.py"))
    assert len(modules) <= 20, sorted(path.name for path in modules)
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in files()
    }
    long = {name: length for name, length in lengths.items() if length > 350}
    assert not long


def test_no_function_is_long():
    """60 lines but for configuration pages, which are read from top to bottom."""
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: "
        f"{node.end_lineno - node.lineno + 1} lines"
        for path in files()
        if path.relative_to(ROOT).parts[0] != "configs"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and _length_without_docstring(node) > 60
    ]
    assert not long, "\n".join(long)


def _length_without_docstring(node):
    length = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        length -= first.end_lineno - first.lineno + 1
    return length


TESTS = ROOT / "tests"


def test_no_test_imports_another_test():
    """What several tests need is in tests/support, which holds no test."""
    wrong = []
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            parts = {part for name in names for part in name.split(".")}
            if any(part.endswith("_test") for part in parts):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, "\n".join(wrong)
    assert not list((TESTS / "support").rglob("*_test.py"))


def test_the_folders_of_the_tests_are_those_of_the_package():
    """Or are named after a module whose tests are many."""
    others = {"support", "before", "golden", "benchmarks"}
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("*_test.py")} - {
        Path(".")
    }
    for folder in sorted(folders):
        if folder.parts[0] in others:
            continue
        top = ROOT if folder.parts[0] in OUTER else ROOT / "josrc_keras"
        place = top / folder
        assert place.is_dir() or place.with_suffix(".py").exists(), folder
