"""The recorded histories of tests/golden, and the machine that wrote them."""

import csv
import importlib.metadata
import platform
from pathlib import Path

from tests.support.forks import ROOT

GOLDEN = ROOT / "tests" / "golden"
# Since then `AdaptiveJoSRC` answers with its teacher, and names the student's columns.
RENAMED = {
    "adaptive": {
        "val_accuracy": "val_student_accuracy",
        "val_loss": "val_student_loss",
        "val_teacher_accuracy": "val_accuracy",
        "val_teacher_loss": "val_loss",
    },
    "paper": {},
}


def machine(backend):
    """What the last digits depend on."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set()
    versions = {
        name: importlib.metadata.version(name) for name in ("keras", "numpy", backend)
    }
    instructions = next((i for i in ("avx512f", "avx2") if i in flags), "other")
    return {"cpu": platform.machine(), "instructions": instructions, **versions}


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def golden(backend, recipe):
    """The recorded rows, by the names of now."""
    return [
        {RENAMED[recipe].get(name, name): value for name, value in row.items()}
        for row in rows(GOLDEN / f"{backend}-{recipe}.csv")
    ]
