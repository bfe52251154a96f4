"""Three epochs of the digits, as they were before the package was rearranged.

The files in tests/golden were written at commit f264176, on both backends, by

    josrc-train --config=digits8n_o:RECIPE --config.epochs=3 \
        --config.decay.start_epoch=2 --config.network.width=0.25 --workdir=DIR

with `--config.threshold.warmup_epochs=2` for the recipe `paper`. On the machine and the
versions that wrote them, which `tests/golden/machine.json` names, each number is equal
to the last digit. Elsewhere float32 sums are rounded in another order, and a sample at
a threshold may change sides: there the first epoch is compared, with a tolerance.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.golden import GOLDEN, golden, machine, rows

ROOT = Path(__file__).resolve().parents[1]
NOT_ELSEWHERE = 0.15  # Relative; an accuracy of the first epoch may differ by more.


@pytest.mark.parametrize(
    "backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("recipe", ["adaptive", "paper"])
def test_histories_are_equal_to_the_last_digit(tmp_path, backend, recipe):
    fields = ["epochs=3", "decay.start_epoch=2", "network.width=0.25"]
    if recipe == "paper":
        fields.append("threshold.warmup_epochs=2")
    subprocess.run(
        [
            *(sys.executable, "-m", "josrc_keras.train"),
            *(f"--config=digits8n_o:{recipe}", f"--workdir={tmp_path}"),
            *(f"--config.{field}" for field in fields),
        ],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
        capture_output=True,
    )
    found = rows(tmp_path / "history.csv")
    expected = golden(backend, recipe)
    assert [row["epoch"] for row in found] == ["1", "2", "3"]
    assert set(found[0]) == set(expected[0])
    known = json.loads((GOLDEN / "machine.json").read_text(encoding="utf-8"))
    if machine(backend) == known[backend]:
        assert found == expected
    else:
        for name in ("loss", "classification_loss", "clean_likelihood", "val_loss"):
            value = float(expected[0][name])
            assert float(found[0][name]) == pytest.approx(value, rel=NOT_ELSEWHERE)
