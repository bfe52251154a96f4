"""The README's Python runs as it stands, and names what exists."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


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
    assert namespace["report"]["agreement"] == 1.0
    assert namespace["report"]["max_difference"] < 1e-4


def test_configurations_and_verbs_exist():
    """Names in the shell blocks are files of configs/ and verbs of the Makefile."""
    root = Path(__file__).parents[1]
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    shell = "".join(re.findall(r"```shell\n(.*?)```", README, re.DOTALL))
    configs = set(re.findall(r"--config=(\w+)", shell))
    verbs = set(re.findall(r"^make (\w+)", shell, re.MULTILINE))
    assert configs and all((root / f"configs/{name}.py").exists() for name in configs)
    assert verbs == {"demo", "test"}
    assert all(re.search(rf"^{verb}:", makefile, re.MULTILINE) for verb in verbs)
