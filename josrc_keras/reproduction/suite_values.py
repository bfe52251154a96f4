"""What the records of the robustness suite are measured by."""

import statistics

from josrc_keras.reproduction import tables_page

ADAPTIVE, PAPER = ("josrc", "adaptive"), ("josrc", "paper")
ORDINARY = ("standard", "paper")
# These methods are not judged by the student.
DELIVERED = {ADAPTIVE: "teacher", ("mlnt", "paper"): "teacher"}


def accuracies(records, method):
    """A percentage for each seed: the mean of the last ten epochs on test images."""
    network = DELIVERED.get(method, "student")
    return [
        100 * tables_page.accuracy(record, network)["last10_mean"] for record in records
    ]


def stopped(record):
    """The test accuracy, in percent, at the epoch that held-out noisy labels choose."""
    history = tables_page.rows_of(record)
    best = max(history, key=lambda row: row["held_out_accuracy"])
    return 100 * best["val_accuracy"]


def held_out(records, method):
    """A percentage for each seed, on the held-out noisy labels that choose."""
    teacher = DELIVERED.get(method) == "teacher"
    name = "held_out_teacher_accuracy" if teacher else "held_out_accuracy"
    return [
        100 * statistics.fmean(row[name] for row in tables_page.rows_of(record)[-10:])
        for record in records
    ]


def by_seed(records):
    """Records by their seeds."""
    return {record["run"]["seed"]: record for record in records}
