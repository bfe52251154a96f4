"""The README's Python runs as it stands, its numbers are recorded, and it is short."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_blocks_run(tmp_path, monkeypatch):
    """Every Python block, in order, in one namespace, in an empty folder."""
    pytest.importorskip("sklearn")
    pytest.importorskip("tf2onnx")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    namespace: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)
    assert (tmp_path / "digits.onnx").stat().st_size > 10_000
    assert namespace["report"]["source"] == "teacher"
    assert namespace["report"]["agreement"] == 1.0
    assert namespace["report"]["max_difference"] < 1e-4
    assert len(namespace["table"]) == len(namespace["x"])
    assert namespace["table"]["is_label_issue"].mean() == pytest.approx(0.6, abs=0.1)


def test_verbs_exist():
    """`make demo` and `make test` are what the README says does everything."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shell = "".join(re.findall(r"```shell\n(.*?)```", README, re.DOTALL))
    verbs = set(re.findall(r"^make (\w+)", shell, re.MULTILINE))
    assert verbs == {"demo", "test"}
    assert all(re.search(rf"^{verb}:", makefile, re.MULTILINE) for verb in verbs)


def test_it_is_short():
    assert len(README.splitlines()) < 150
    assert len(README.split()) < 1000


def test_each_number_of_its_table_is_on_the_page_that_it_links():
    """And that page lies in results/."""
    table = README.split("## What was measured")[1].split("\n\n")[1]
    rows = table.splitlines()[2:]
    assert len(rows) == 4
    for row in rows:
        _, _, without, with_, _ = row.split("|")[:5]
        link = re.fullmatch(r" \[(.*)\]\((results/.*\.md)\) ", with_)
        page = (ROOT / link[2]).read_text(encoding="utf-8")
        for number in (without.strip(), link[1]):
            value = number.removesuffix("%")
            assert re.fullmatch(r"\d+\.\d+", value), number
            assert re.search(rf"(?<![\d.]){re.escape(value)}(?!\d)", page), number


def test_the_citation_is_of_this_version():
    from josrc_keras import __version__

    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^version: {re.escape(__version__)}$", citation, re.MULTILINE)
    (date,) = re.findall(r"^date-released: (\S+)$", citation, re.MULTILINE)
    assert f"## [{__version__}] - {date}" in changelog
