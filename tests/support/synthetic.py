"""Records made by hand, and the tables of a page as rows."""

import json
import zlib

import numpy as np

KINDS = ("clean", "id", "ood")
SCORES = ("precision", "recall", "f1")
VERDICTS = [*(f"{k}_{s}" for k in KINDS for s in SCORES), "clean_auroc"]
BY_KIND = [f"accuracy_{k}" for k in ("clean", "id_given", "id_true", "ood_given")]


def make_record(method="josrc", cell="symmetric-0.5", seed=0, *, epochs=14, **run):
    """A record with a random history, and a summary that is wrong about it.

    Args:
        method: Name of the method; `"standard"` has no teacher and no verdicts.
        cell: Name of the cell.
        seed: Seed of the run.
        epochs: Number of rows of the history.
        **run: `dataset`, `recipe`, `overrides` of the run.
    """
    run = {"dataset": "digits8n_o", "recipe": "paper", "overrides": {}} | run
    run |= {"cell": cell, "method": method, "seed": seed}
    draw = np.random.default_rng(zlib.crc32(json.dumps(run, sort_keys=True).encode()))
    names = ["loss", "val_accuracy", *BY_KIND]
    if method != "standard":
        names += ["val_teacher_accuracy", *VERDICTS]
    history = {name: draw.random(epochs).round(6).tolist() for name in names}
    wrong = {"last10_mean": 0.4321, "last10_deviation": 0.4321, "best": 0.4321}
    return {
        "run": run,
        "summary": {
            "student": wrong,
            "teacher": wrong,
            "best_epoch": 1,
            "noise_checksum": f"{seed:02d}" + "abcdef" * 10,
            "wall_seconds": 61.0 + 60 * seed,
            "device": "an abacus",
            "versions": {"python": "3.99", "keras": "9.9"},
            "command": f"reproduce.py --seeds={seed + 1}",
        },
        "config": {"seed": seed},
        "history": {"epoch": list(range(1, epochs + 1)), **history},
    }


def path_of(record):
    """Where a record belongs in the folder of its protocol."""
    run = record["run"]
    changes = "".join(f"+{k}={v}" for k, v in run["overrides"].items())
    name = f"{run['method']}-{run['recipe']}{changes}-{run['seed']}.json"
    return f"{run['dataset']}/{run['cell']}/{name}"


def write_all(folder, records):
    """Writes records into the folder of a protocol."""
    for record in records:
        path = folder / path_of(record)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))


def cells_of(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables_of(page):
    """`(heading, rows)` of each table of a Markdown page, a row as a dict."""
    tables, heading, lines = [], None, page.splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| ---"):
            tables.append((heading, cells_of(above), []))
        elif line.startswith("|") and tables and above.startswith("|"):
            _, header, rows = tables[-1]
            rows.append(dict(zip(header, cells_of(line), strict=True)))
    return [(heading, rows) for heading, _, rows in tables]


def table(page, beginning):
    """The rows of the one table whose heading begins so."""
    (rows,) = [
        rows for heading, rows in tables_of(page) if heading.startswith(beginning)
    ]
    return rows


def flat(fields, prefix=""):
    """A nested dict with dotted names instead."""
    found = {}
    for name, value in fields.items():
        inner = isinstance(value, dict)
        found |= flat(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return found
