"""The texts: links lead somewhere, commands exist, and one thing has one word."""

import ast
import importlib
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from josrc_keras.configs import base

ROOT = Path(__file__).parents[1]
# Not those that a command writes.
OUTSIDE = [
    ROOT / name
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "results/README.md")
]
PAGES = sorted([*OUTSIDE, *(ROOT / "docs").rglob("*.md")])
CHANGELOG = ROOT / "CHANGELOG.md"  # It has names of before.
OUTER = ("callbacks", "export", "configs")  # Folders that setup.py maps.
# What is said of a thing, and what to say instead.
WORDS = {
    r"foreign": "out-of-distribution",
    r"out of distribution": "out-of-distribution",
    r"OOD": "out-of-distribution",
    r"belongs? to (no class|none)": "is out-of-distribution",
    r"images? of no class": "out-of-distribution images",
    r"believed?": "trusted",
    r"disbelieved?": "doubted",
    r"another one": "a noun",
    r"can'?t be had": "what it is",
    r"in earnest": "what it is",
    r"so many": "a number, or `that number of`",
    r"adaptive recipe": "the adaptive method",
    r"paper's recipe": "the paper's method",
}
FENCE = re.compile(r"^(```|:::)(.*?)^\1", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def read(page):
    return page.read_text(encoding="utf-8")


def prose(text):
    """The text without code."""
    text = re.sub(r"^( {4,}|\t).*$", "", FENCE.sub("", text), flags=re.MULTILINE)
    return SPAN.sub("", text)


def test_a_page_is_found_and_its_code_left_out():
    text = "a foreign word\n\n```python\nforeign = 1\n```\n\n    OOD\n\nand `OOD` there"
    assert prose(text).split() == ["a", "foreign", "word", "and", "there"]
    assert len(PAGES) > 20


@pytest.mark.parametrize("page", [*PAGES, CHANGELOG], ids=name_of)
def test_one_thing_has_one_word(page):
    text = " ".join(prose(read(page)).split())
    found = {
        match[0]: instead
        for word, instead in WORDS.items()
        for match in re.finditer(rf"\b{word}\b", text, 0 if word == "OOD" else re.I)
    }
    assert not found, f"Say instead: {found}"


def test_a_term_is_explained_once():
    glossary = read(ROOT / "docs" / "reference" / "glossary.md")
    rows = re.findall(r"^\| \*\*(.+?)\*\*", glossary, re.MULTILINE)
    terms = [term.strip() for row in rows for term in row.split(",")]
    assert len(terms) > 40
    assert len(terms) == len(set(terms))


@pytest.mark.parametrize("page", [*OUTSIDE, CHANGELOG], ids=name_of)
def test_links_lead_to_files(page):
    """Of the pages that are not the site's."""
    targets = [t.split("#")[0] for t in LINK.findall(FENCE.sub("", read(page)))]
    local = [t for t in targets if t and not re.match(r"[a-z]+:", t)]
    assert not [t for t in local if not (page.parent / t).exists()]


@cache
def flags_of(command):
    """Names of the flags of a command that setup.py installs, from its source."""
    setup = read(ROOT / "setup.py")
    entry = re.search(rf'"{command} = josrc_keras\.([\w.]+):\w+"', setup)
    assert entry, f"{command} is no command"
    parts = entry[1].split(".")
    folder = ROOT if parts[0] in OUTER else ROOT / "josrc_keras"
    source = read(folder.joinpath(*parts).with_suffix(".py"))
    shared = read(ROOT / "josrc_keras" / "commands" / "shell.py")
    names = {"help", "version"} | defined(source)
    for function in ast.parse(shared).body:
        if isinstance(function, ast.FunctionDef) and f".{function.name}(" in source:
            names |= defined(ast.unparse(function))
    return names


def defined(source):
    """The flags that `DEFINE_...("name"` calls define."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {
        "config" if call.func.attr.endswith("config_file") else call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr.startswith("DEFINE_")
    }


@cache
def fields_of(name):
    """Dotted names of the fields of a configuration; of `base` for a variable."""
    name, _, recipe = name.partition(":")
    module = base
    if name.islower() and not name.endswith(".py"):
        module = importlib.import_module(f"josrc_keras.configs.{name}")
    config = module.get_config(*([recipe] if recipe else []))
    return set(flat(config))


def flat(config, before=""):
    for name, value in config.items():
        yield f"{before}{name}"
        if hasattr(value, "items"):
            yield from flat(value, f"{before}{name}.")


def commands(text):
    """The commands that a page has, in blocks and in the text, each a list of words."""
    blocks = re.findall(r"^```shell\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    indented = re.findall(r"(?:^    .*\n)+", FENCE.sub("", text), re.MULTILINE)
    spans = [" ".join(s.split()) for s in SPAN.findall(FENCE.sub("", text))]
    lines = "\n".join([*blocks, *indented, *spans]).replace("\\\n", " ").splitlines()
    for line in lines:
        found = re.search(r"\b(josrc-[a-z]+)( .*|$)", line)
        if found and "..." not in found[1]:
            arguments = shlex.split(found[2].split("&")[0].rstrip("; "), comments=True)
            yield [found[1], *(a for a in arguments if a not in ("done;", "done"))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_flags_and_fields_exist(page):
    for command, *arguments in commands(read(page)):
        known = flags_of(command)
        configs = [a.split("=", 1)[1] for a in arguments if a.startswith("--config=")]
        for argument in arguments:
            assert argument.startswith("--"), (command, argument)
            name, _, value = argument.removeprefix("--").partition("=")
            flag, _, field = name.partition(".")
            assert flag in known, (command, argument)
            if flag == "override":
                field, configs = value.split("=")[0], configs or ["PAGE"]
                if field.endswith("FIELD"):
                    continue
            if field:
                assert field in fields_of((configs or ["PAGE"])[0]), argument


def test_an_unknown_flag_or_field_is_seen():
    assert list(commands("`josrc-train --config=digits8n_o --config.seed=S`")) == [
        ["josrc-train", "--config=digits8n_o", "--config.seed=S"]
    ]
    assert "workdir" in flags_of("josrc-train")
    assert "strategy" in flags_of("josrc-train")
    assert "epochs" not in flags_of("josrc-train")
    assert "data.rate" in fields_of("digits8n_o")
    assert "data.noise_rate" not in fields_of("digits8n_o:paper")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_fields_that_are_named_alone_exist(page):
    """`--config.a.b=value` and `config.a.b` in the text."""
    for span in SPAN.findall(FENCE.sub("", read(page))):
        found = re.fullmatch(r"(?:--)?config\.([a-z_0-9.]+)(=\S+)?", span)
        if found and found[1] != "json" and not found[1].endswith("."):
            assert found[1] in fields_of("PAGE"), span


def test_results_are_short():
    assert len(read(ROOT / "results" / "README.md").splitlines()) < 120
