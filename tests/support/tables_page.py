"""What the page of tables should say, by NumPy."""

import numpy as np

CELLS = ("symmetric-0.2", "symmetric-0.5", "symmetric-0.8", "asymmetric-0.4")
ABLATION = ("josrc-c", "josrc-ci", "josrc-cio", "josrc")
SHOWN = {
    "standard": "ordinary training",
    "josrc-c": "Jo-SRC-C",
    "josrc-ci": "Jo-SRC-CI",
    "josrc-cio": "Jo-SRC-CIO",
    "josrc": "Jo-SRC",
}
COLUMNS = {"student": "val_accuracy", "teacher": "val_teacher_accuracy"}


def last_ten(record, network="student"):
    """Percent, over the epochs that have a number."""
    values = record["history"][COLUMNS[network]][-10:]
    return 100 * np.mean([value for value in values if value is not None])


def best(record, network="student"):
    values = record["history"][COLUMNS[network]]
    return 100 * max(value for value in values if value is not None)


def spread(values):
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


def of(made, cell, method):
    """The records of a cell, by seed."""
    found = [
        r for r in made if (r["run"]["cell"], r["run"]["method"]) == (cell, method)
    ]
    return sorted(found, key=lambda record: record["run"]["seed"])
