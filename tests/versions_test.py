"""setup.py, its lowest versions, and the table of what was tested say the same."""

import ast
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
MAIN = ("keras", "tensorflow", "numpy")


def requirements():
    """Each requirement of setup.py by its name."""
    call = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body[-1].value
    values = {each.arg: each.value for each in call.keywords}
    found = map(Requirement, ast.literal_eval(values["install_requires"]))
    return {each.name: each.specifier for each in found}, ast.literal_eval(
        values["python_requires"]
    )


def lowest():
    lines = (ROOT / ".ci" / "lowest.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def versions_of_table():
    """`(python, keras, tensorflow)` of each row of the table in docs/install.md."""
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (3[\d.]+) \| (3[\d.]+) \| (2[\d.]+) \| (.+) \|$", text, re.M
    )
    return [row[:3] for row in rows if "pip refuses it" not in row[3]]


@pytest.mark.parametrize("name", MAIN)
def test_the_bounds_are_the_lowest_version_and_the_next_major(name):
    found = {each.operator: each.version for each in requirements()[0][name]}
    low = Version(lowest()[name])
    assert found == {">=": f"{low.major}.{low.minor}", "<": str(low.major + 1)}


def test_every_version_that_was_tested_is_allowed():
    """The lowest and the newest are among them, on all versions of Python."""
    specifiers, python = requirements()
    for name, column in (("keras", 1), ("tensorflow", 2)):
        versions = [row[column] for row in versions_of_table()]
        assert all(version in specifiers[name] for version in versions)
        assert lowest()[name] in versions
    assert python == ">=3.11"
    assert {row[0].rpartition(".")[0] for row in versions_of_table()} == {
        "3.11",
        "3.12",
        "3.13",
    }


def test_the_tests_of_versions_exist():
    script = (ROOT / ".ci" / "versions").read_text(encoding="utf-8")
    files = re.findall(r"^  (tests/\S+\.py)$", script, re.M)
    assert len(files) > 10
    assert all((ROOT / file).is_file() for file in files)


def test_what_runs_here_is_allowed():
    specifiers, python = requirements()
    assert all(metadata.version(name) in specifiers[name] for name in specifiers)
    assert sys.version_info >= (3, int(python.rpartition(".")[2]))
