"""Kinds: what a killed export leaves, and two exports of a run at the same time."""

from josrc_keras import _files
from tests.support.forks import error_line, run_all


def test_an_export_begins_with_what_a_killed_one_left(tmp_path):
    """It is removed whatever becomes of the export, and a served folder is put back."""
    left = tmp_path / "run/export/.josrc-unfinished-saved_model-12345678"
    for name in ("replaced", "saved_model"):
        (left / name).mkdir(parents=True)
        (left / name / name).write_text(name)
    other = left.with_name(".josrc-unfinished-exports.json-12345678")
    other.mkdir()
    case = {"module": "josrc_keras.commands.export", "arguments": ["--run=run"]}
    with _files.locked(tmp_path / "run"):
        (refused,) = run_all({"refused": case}, tmp_path, tmp_path).values()
    assert refused[0] == 2 and other.exists()
    assert "no other process works. Received: run" in error_line(refused[2])
    (begun,) = run_all({"begun": case}, tmp_path, tmp_path).values()
    assert begun[0] == 2
    (place,) = (tmp_path / "run/export").iterdir()
    assert place.name == "saved_model" and (place / "replaced").exists()
