"""Kills at some file events of each kind of move, by the script that does all."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "faults.py"
pytest.importorskip("pandas")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forks")
def test_some_kills_of_moves_and_copies_do_no_harm(tmp_path):
    """Every fifteenth event; `results/scale/faults.md` has them all."""
    tasks = ("move", "undo", "copy")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kind=kills", "--step=15", f"--second={tmp_path}"]
        + [f"--only={task}" for task in tasks],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = re.findall(r"\| (\w+) \| ([12]) \| killed \| (\d+) \| (.*) \|", done.stdout)
    assert [row[:2] for row in rows] == [(t, n) for t in tasks for n in "12"]
    assert all(int(count) > 2 and kept == "all | all | all" for *_, count, kept in rows)


def test_the_page_has_no_fault_that_did_harm():
    page = (ROOT / "results" / "scale" / "faults.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if " | killed | " in line]
    assert len(rows) == 14
    assert all(row[-3:] == ["all", "all", "all |"] for row in rows)
