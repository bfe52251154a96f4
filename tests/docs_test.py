"""The site's pages hold together: what can be checked without building them.

Words, links outside of the site, and commands in the text: see `texts_test.py`.
"""

import ast
import functools
import importlib
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
HOSTS = {
    "arxiv.org",
    "docs.cleanlab.ai",
    "docs.python.org",
    "github.com",
    "keras.io",
    "onnxruntime.ai",
    "www.noisylabels.com",
    "www.tensorflow.org",
}
NAMESPACES = (
    "josrc_keras",
    "josrc_keras.adaptive",
    "josrc_keras.audit",
    "josrc_keras.baselines",
    "josrc_keras.callbacks",
    "josrc_keras.data",
    "josrc_keras.export",
    "josrc_keras.networks",
    "josrc_keras.views",
)
FENCE = re.compile(r"^ *```[\s\S]*?^ *```", re.MULTILINE)
PLACE = re.compile(
    r"(?:^|[\s'\"`(=])(/(?:home|media|mnt|opt|root|srv|tmp|usr|var|work)/\S*|~/\S*)"
)
every_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(DOCS))
)
every_tutorial = pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)


def read(page):
    return page.read_text(encoding="utf-8")


def cells(page):
    """The code cells of a tutorial, without their options."""
    found = re.findall(r"^```\{code-cell\}.*\n([\s\S]*?)^```", read(page), re.MULTILINE)
    return [re.sub(r"\A(:.*\n)+", "", cell).strip("\n") for cell in found]


def load(name):
    """A module of docs/generate."""
    path = DOCS / "generate" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"docs_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def flags():
    """`{command: names of its flags}`, from a process that imports all of them."""
    code = (
        "import json, sys; sys.path[:0] = sys.argv[1:];"
        "from generate import commands as c;"
        "entries = c.entry_points().items();"
        "found = {n: [f.name for f in c.flags_of(m)[1]] for n, m in entries};"
        "print(json.dumps(found))"
    )
    arguments = [sys.executable, "-c", code, str(DOCS), str(ROOT)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@every_tutorial
def test_code_cells_parse(page):
    assert cells(page)
    for cell in cells(page):
        magic, _, rest = cell.partition("\n")
        if magic == "%%bash":
            subprocess.run(["bash", "-n"], input=rest, text=True, check=True)
        else:
            ast.parse(rest if magic.startswith("%%writefile ") else cell)


@every_tutorial
def test_shell_cells_have_flags_and_fields_that_exist(page):
    fields = load("configuration").fields()
    shell = [cell for cell in cells(page) if cell.startswith("%%bash")]
    calls = re.findall(
        r"^(josrc-\w+)(.*)", "\n".join(shell).replace("\\\n", " "), re.MULTILINE
    )
    for command, arguments in calls:
        for flag, field in re.findall(r" --(\w+)(?:\.([\w.]+))?", arguments):
            assert flag in flags()[command]
            assert not field or field in fields


@every_page
def test_no_page_names_a_place_of_one_machine(page):
    assert not PLACE.findall(re.sub(r"https?://\S+", "", read(page)))


def test_every_page_is_in_a_toctree():
    listed = {DOCS / "index.md"}
    for page in PAGES:
        for block in re.findall(
            r"^```\{toctree\}\n([\s\S]*?)^```", read(page), re.MULTILINE
        ):
            lines = [each for each in block.splitlines() if not each.startswith(":")]
            found = {(page.parent / f"{each}.md").resolve() for each in lines if each}
            assert not [each for each in found if not each.exists()]
            listed |= found
    assert set(PAGES) == listed


@every_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(<?([^)\s>]+)>?\)", FENCE.sub("", read(page))):
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.scheme == "https", target
            assert parts.hostname in HOSTS, f"{target}: add its host if it is meant"
        elif parts.path:
            assert (page.parent / parts.path).exists(), target


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_public_name_is_on_an_api_page(namespace):
    text = "\n".join(read(page) for page in (DOCS / "reference/api").glob("*.md"))
    module = importlib.import_module(namespace)
    if f"automodule:: {namespace}\n" in text:
        return
    for name in module.__all__:
        wanted = rf"\b{name}\b"
        if inspect.ismodule(getattr(module, name)):
            wanted = rf"(automodule:: |autofunction:: |# ){namespace}(\.|::){name}\b"
        assert re.search(wanted, text), name


def test_every_field_of_a_configuration_has_a_meaning():
    meanings = load("configuration").meanings()
    assert len(meanings) > 80
    assert not [name for name, meaning in meanings.items() if not meaning]


def test_every_command_has_a_section():
    entries = load("commands").entry_points()
    assert set(entries) == set(flags())
    assert "config" in flags()["josrc-train"]
    assert "workdir" in flags()["josrc-evaluate"]


def test_the_page_of_the_commands_is_current():
    """`python docs/generate/commands.py` writes it anew."""
    code = "from generate import commands; print(commands.whole(), end='')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{DOCS}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert read(DOCS / "reference" / "commands.md") == done.stdout


def test_every_column_of_a_table_is_explained():
    from josrc_keras import AdaptiveJoSRC, JoCoR, JoSRC, audit, metrics
    from josrc_keras.callbacks import HeldOut

    models = (JoSRC, AdaptiveJoSRC, JoCoR)
    columns = {
        *(name for model in models for name in model.training_metrics),
        *(f"val_{name}" for model in models for name in model.evaluation_metrics),
        *metrics.SelectionQuality.result_names(),
        *metrics.AccuracyByKind.result_names(),
        *HeldOut.NAMES.values(),
        "val_accuracy",
        "val_loss",
        "noise_rate",
    }
    for page, names in (("run_folder", columns), ("audit_table", audit.COLUMNS)):
        explained = re.findall(r"`(\w+)`", read(DOCS / "reference" / f"{page}.md"))
        assert not {*names} - {*explained}


def test_docstrings_are_read_as_markdown():
    lines = ["A `JoSRC`s:", "- one", "", "```python", "x = 1", "```", "| a | b |"]
    lines += ["|---|---|", "| 1 | `c` |"]
    assert load("docstrings").converted(lines) == [
        r"A :py:obj:`.JoSRC`\ s:",
        "",
        "- one",
        "",
        "",
        ".. code-block:: python",
        "",
        "   x = 1",
        "",
        "",
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - a",
        "     - b",
        "   * - 1",
        "     - `c`",
    ]
