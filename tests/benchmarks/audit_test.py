"""The page of results/audit is what its records say."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_written_from_the_records(monkeypatch):
    path = ROOT / "benchmarks" / "audit.py"
    spec = importlib.util.spec_from_file_location("benchmarks_audit", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    monkeypatch.chdir(ROOT)
    page = (ROOT / "results" / "audit" / "README.md").read_text(encoding="utf-8")
    assert benchmark.page() == page
