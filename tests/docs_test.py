"""The site's pages hold together: what can be checked without building them."""

import ast
import functools
import importlib
import importlib.util
import inspect
import json
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
    "pypi.org",
    "www.noisylabels.com",
    "www.tensorflow.org",
}
NAMESPACES = (
    "",
    "adaptive",
    "audit",
    "baselines",
    "callbacks",
    "data",
    "export",
    "networks",
    "views",
)
every_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(DOCS))
)
every_tutorial = pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)


def cells(page):
    """The code cells of a tutorial, without their options."""
    found = re.findall(r"^```\{code-cell\}.*\n([\s\S]*?)^```", page.read_text(), re.M)
    return [re.sub(r"\A(:.*\n)+", "", cell).strip("\n") for cell in found]


def shell(page):
    """The shell code of a page: what it shows, and what it runs."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```(?:shell|console|bash)\n([\s\S]*?)^ *```", text, re.M)
    return blocks + [
        cell.partition("\n")[2] for cell in cells(page) if cell.startswith("%%bash")
    ]


def commands(code):
    """`(command, flags)` of the calls of this package's commands in shell code."""
    joined = code.replace("\\\n", " ")
    for line in joined.splitlines():
        call = re.search(r"\b(josrc-\w+)\b(.*)", line.partition(" #")[0])
        if call:
            yield call[1], re.findall(r"(?<=\s)--?([\w.]+)(?:=(\S+))?", call[2])


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


@every_page
def test_no_page_names_a_place_of_one_machine(page):
    """Absolute paths, home folders and addresses of a machine."""
    text = re.sub(r"https?://\S+", "", page.read_text(encoding="utf-8"))
    assert not re.findall(
        r"(?:^|[\s'\"`(=])(/(?:work|home|tmp|root|mnt|opt|usr|var)/\S*|~/\S*)", text
    )
    assert not re.search(r"localhost(?!:\d)|127\.0\.0\.1", text)


@every_page
def test_shell_blocks_have_flags_and_fields_that_exist(page):
    fields = load("configuration").fields()
    for code in shell(page):
        for command, given in commands(code):
            assert command in flags()
            for flag, value in given:
                name, _, field = flag.partition(".")
                known = (
                    name.removeprefix("no") if name not in flags()[command] else name
                )
                assert known in flags()[command], f"{command} --{flag}"
                if field:
                    assert field in fields, f"--{flag}"
                elif name == "config" and value and "/" not in value:
                    page_name, _, recipe = value.partition(":")
                    assert (
                        page_name == "NAME"
                        or (ROOT / "configs" / f"{page_name}.py").exists()
                    )
                    assert recipe in ("", *load("configuration").RECIPES)


def test_every_page_is_in_a_toctree():
    listed = {"index"}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```\{toctree\}\n([\s\S]*?)^```", text, re.M):
            entries = [line for line in block.split() if not line.startswith(":")]
            for entry in entries:
                path = (page.parent / entry).resolve()
                if path.with_suffix(".md").exists():
                    listed.add(str(path.relative_to(DOCS)))
                elif re.match(r"^[\w/]+/\w+$", entry):
                    pytest.fail(f"{page.name} lists {entry}, which does not exist")
    assert {str(p.relative_to(DOCS).with_suffix("")) for p in PAGES} <= listed


@every_page
def test_links_lead_somewhere(page):
    text = re.sub(
        r"^ *```[\s\S]*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.M
    )
    for target in re.findall(r"\]\(<?([^)\s>]+)>?\)", text):
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.scheme == "https", target
            assert parts.hostname in HOSTS, f"{target}: add its host if it is meant"
        elif parts.path:
            assert (page.parent / parts.path).exists(), target


@every_page
def test_one_word_for_one_thing(page):
    """The words that the glossary replaces, outside of code."""
    text = re.sub(r"^ *```[\s\S]*?^ *```|`[^`]*`", "", page.read_text(), flags=re.M)
    if page.stem != "glossary":
        assert not re.findall(r"\bforeign\b|\bbeliev\w+|\bOOD\b", text)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_public_name_is_on_an_api_page(namespace):
    module = ".".join(filter(None, ["josrc_keras", namespace]))
    text = "\n".join(p.read_text() for p in (DOCS / "reference/api").glob("*.md"))
    names = getattr(importlib.import_module(module), "__all__", ())
    documented = f"automodule:: {module}\n" in text
    for name in names:
        thing = getattr(sys.modules[module], name)
        if inspect.ismodule(thing):
            wanted = rf"(automodule:: |autofunction:: |# ){module}\.{name}\b"
        else:
            wanted = rf"\b{name}\b"
        assert documented or re.search(wanted, text), f"{module}.{name}"


def test_every_field_of_a_configuration_has_a_meaning():
    meanings = load("configuration").meanings()
    assert len(meanings) > 50
    assert not [name for name, meaning in meanings.items() if not meaning]


def test_every_command_has_a_section():
    entries = load("commands").entry_points()
    assert set(entries) == set(flags()) and len(entries) >= 7
    assert all(flags().values())
