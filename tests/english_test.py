"""The English of comments and docstrings: one term for one thing, whole sentences."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("josrc_keras", "callbacks", "export", "configs")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# Phrases, as regular expressions, and what to say instead.
PHRASES = {
    r"another one": "a noun",
    r"can'?t be had": "what it is",
    r"so many": "a number, or `that number of`",
    r"as one(?! of)": "what it is",
    r"belongs? to (no class|none)": "is out-of-distribution",
    r"images? of no class": "out-of-distribution images",
    r"foreign": "out-of-distribution",
    r"out of distribution": "out-of-distribution",
    r"OOD": "out-of-distribution",
    r"(dis)?believed?": "trusted",
    r"adaptive recipe": "the adaptive method",
    r"paper's recipe": "the paper's method",
    r"validation (split|set|images?|labels?)": "held out",
}
FRAGMENT = re.compile(r"(Of|That|Those|By) ")
SENTENCES: set[str] = set()  # Comments that begin like a fragment but are none.


def comments(source):
    """Blocks of `#` lines and comments beside code, each as one text."""
    blocks, before = [], 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("#: ")
            line, alone = token.start[0], token.line.lstrip().startswith("#")
            if alone and line == before + 1:
                blocks[-1] += f" {text}"
            else:
                blocks.append(text)
            before = line if alone else 0
    return blocks


def docstrings(source):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return [text for text in map(ast.get_docstring, nodes) if text]


def phrases(text):
    """The phrases of a text that are to be said otherwise; code is left out."""
    prose = " ".join(re.sub(r"`[^`]*`", "", text).split())
    return {
        match[0]: instead
        for phrase, instead in PHRASES.items()
        for match in re.finditer(
            rf"\b{phrase}\b", prose, 0 if phrase == "OOD" else re.IGNORECASE
        )
    }


def test_phrases_and_fragments_are_seen():
    source = (
        '"""An image\nof no class."""\nx = 1  # Of `x`.\n# so\n# many\n# `foreign`\n'
    )
    assert comments(source) == ["Of `x`.", "so many `foreign`"]
    assert [list(phrases(text)) for text in docstrings(source)] == [
        ["image of no class"]
    ]
    assert list(phrases(comments(source)[1])) == ["so many"]
    assert FRAGMENT.match(comments(source)[0])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_comments_and_docstrings(path):
    source = path.read_text(encoding="utf-8")
    blocks = comments(source)
    found = [phrases(text) for text in (*blocks, *docstrings(source))]
    assert not [each for each in found if each], "Say instead what stands behind it"
    fragments = [text for text in blocks if FRAGMENT.match(text)]
    assert set(fragments) <= SENTENCES, "A comment is a sentence with a subject"
