"""The numbers of the page, against NumPy on the same histories."""

import copy

import numpy as np
import pytest

from josrc_keras.reproduction import tables_page
from tests.support import synthetic
from tests.support.synthetic import make_record, table
from tests.support.tables_page import (
    SHOWN,
    best,
    last_ten,
    of,
    spread,
)


def test_accuracies_are_those_of_the_histories(made, written):
    """Mean of the last ten epochs, then mean and deviation over the seeds."""
    rows = table(written, "As Table 2")
    order = [("symmetric-0.2", "standard"), ("symmetric-0.2", "josrc")]
    order += [("asymmetric-0.4", "standard"), ("asymmetric-0.4", "josrc")]
    for row, (cell, method) in zip(rows, order, strict=True):
        group = of(made, cell, method)
        teacher = ""
        if method == "josrc":
            teacher = spread([last_ten(record, "teacher") for record in group])
        assert row == {
            "noise": cell,
            "method": SHOWN[method],
            "recipe": "paper",
            "seeds": "0, 1, 2",
            "student": f"**{spread([last_ten(record) for record in group])}**",
            "teacher": teacher,
            "student's best epoch": spread([best(record) for record in group]),
        }


def test_accuracies_by_hand():
    """Epochs 1 to 4 are not among the last ten of 14.

    Seed 0 has 0.5 in each, seed 1 0.6: mean 55.0, deviation 10 / sqrt(2) = 7.07.
    The best epochs are 0.9 and 0.7, among the first: mean 80.0, deviation 14.1.
    """
    first, second = make_record(seed=0), make_record(seed=1)
    first["history"]["val_accuracy"] = [0.1, 0.9, 0.1, 0.1] + [0.5] * 10
    second["history"]["val_accuracy"] = [0.7, 0.2, 0.2, 0.2] + [0.6] * 10
    text = tables_page.write([first, second], "digits")
    (row,) = table(text, "As Table 2")
    assert row["student"] == "**55.0 ± 7.1**"
    assert row["student's best epoch"] == "80.0 ± 14.1"
    runs = table(text, "The runs")
    assert [run["student"] for run in runs] == ["50.0 ± 0.0", "60.0 ± 0.0"]
    assert [run["best"] for run in runs] == ["90.0", "70.0"]


def test_verdicts_are_those_of_each_seeds_best_and_last_epoch(made, written):
    """Means over the seeds, each at its own best epoch; ordinary training has none."""
    rows = table(written, "Table 5")
    expected = []
    for cell in ("symmetric-0.2", "asymmetric-0.4"):
        histories = [record["history"] for record in of(made, cell, "josrc")]
        for name in ("best", "last"):
            at = [
                int(np.argmax(h["val_accuracy"])) if name == "best" else -1
                for h in histories
            ]

            def mean(column, at=at, histories=histories):
                values = [h[column][i] for h, i in zip(histories, at, strict=True)]
                return f"{np.mean(values):.2f}"

            kinds = [
                " / ".join(mean(f"{kind}_{score}") for score in synthetic.SCORES)
                for kind in ("clean", "id", "ood")
            ]
            row = [cell, "Jo-SRC", "paper", name, *kinds, mean("clean_auroc")]
            expected.append(row)
    assert [list(row.values()) for row in rows] == expected
    assert list(rows[0])[3:] == [
        "epoch",
        "clean",
        "in-distribution noise",
        "out-of-distribution",
        "AUROC",
    ]


def test_a_row_a_run(made, written):
    """Numbers of the history; checksum, time, machine and command of the summary."""
    rows = table(written, "The runs")
    ordered = [
        record
        for cell in ("symmetric-0.2", "asymmetric-0.4")
        for method in ("standard", "josrc")
        for record in of(made, cell, method)
    ]
    for row, record in zip(rows, ordered, strict=True):
        seed, method = record["run"]["seed"], record["run"]["method"]
        teacher = ""
        if method == "josrc":
            deviation = np.std(record["history"]["val_teacher_accuracy"][-10:], ddof=1)
            teacher = f"{last_ten(record, 'teacher'):.1f} ± {100 * deviation:.1f}"
        deviation = np.std(record["history"]["val_accuracy"][-10:], ddof=1)
        assert row == {
            "noise": record["run"]["cell"],
            "method": SHOWN[method],
            "recipe": "paper",
            "seed": str(seed),
            "epochs": "14",
            "student": f"{last_ten(record):.1f} ± {100 * deviation:.1f}",
            "teacher": teacher,
            "best": f"{best(record):.1f}",
            "noise checksum": f"`0{seed}abcdefabcd`",
            "minutes": str(seed + 2),  # 61 s are more than a minute.
            "device": "an abacus",
            "versions": "python 3.99, keras 9.9",
            "command": f"`reproduce.py --seeds={seed + 1}`",
        }


def test_the_order_of_the_records_is_nothing(made, written):
    assert tables_page.write(made[::-1], "digits") == written


def test_the_histories_count_and_not_the_summaries(made, written):
    """One number of a history changes the page; a summary's accuracies do not."""
    changed = copy.deepcopy(made)
    changed[0]["history"]["val_accuracy"][-1] += 0.05
    assert tables_page.write(changed, "digits") != written
    changed = copy.deepcopy(made)
    changed[1]["history"]["ood_f1"][-1] += 0.5
    assert tables_page.write(changed, "digits") != written
    changed = copy.deepcopy(made)
    for record in changed:
        for name in ("student", "teacher", "best_epoch", "verdicts_last_epoch"):
            record["summary"][name] = None
    assert tables_page.write(changed, "digits") == written
    assert "43.2" not in written  # What the summaries claim.


def test_one_seed_has_no_deviation():
    (row,) = table(tables_page.write([make_record(seed=5)], "digits"), "As Table 2")
    assert row["student"] == f"**{last_ten(make_record(seed=5)):.1f}**"
    assert row["seeds"] == "5"


@pytest.mark.parametrize("epochs", [1, 3, 10, 11])
def test_runs_of_few_epochs(epochs):
    """Fewer than ten are all the last; a single one has no deviation."""
    record = make_record(epochs=epochs)
    text = tables_page.write([record], "digits")
    values = 100 * np.array(record["history"]["val_accuracy"][-10:])
    (row,) = table(text, "As Table 2")
    assert row["student"] == f"**{np.mean(values):.1f}**"
    (run,) = table(text, "The runs")
    expected = f"{np.mean(values):.1f}" if epochs == 1 else spread(values)
    assert (run["student"], run["epochs"]) == (expected, str(epochs))


def test_a_column_that_begins_late():
    """The teacher's mean is over the epochs in which there was one.

    Of the last ten of 14 epochs, 5 to 14, the last eight: 0.3 and seven times 0.7.
    """
    record = make_record()
    late = [None] * 6 + [0.3] + [0.7] * 7
    record["history"]["val_teacher_accuracy"] = late
    text = tables_page.write([record], "digits")
    (row,) = table(text, "As Table 2")
    assert row["teacher"] == "65.0"  # (0.3 + 7 * 0.7) / 8
    (run,) = table(text, "The runs")
    assert run["teacher"] == "65.0 ± 14.1"  # sqrt((0.35**2 + 7 * 0.05**2) / 7)
    assert run["student"].startswith(f"{last_ten(record):.1f} ±")


def test_a_teacher_that_never_came():
    record = make_record()
    record["history"]["val_teacher_accuracy"] = [None] * 14
    (row,) = table(tables_page.write([record], "digits"), "As Table 2")
    assert row["teacher"] == ""


def test_recipes_and_overrides_are_rows_of_their_own():
    """Seeds are pooled only where all else is the same."""
    made = [
        make_record(seed=0),
        make_record(seed=0, recipe="paper_text"),
        make_record(seed=0, overrides={"model.alpha": 0.5, "epochs": 9}),
        make_record(seed=1, overrides={"epochs": 9, "model.alpha": 0.5}),
    ]
    rows = table(tables_page.write(made, "digits"), "As Table 2")
    assert {row["recipe"]: (row["seeds"], row["student"]) for row in rows} == {
        "paper": ("0", f"**{last_ten(made[0]):.1f}**"),
        "paper_text": ("0", f"**{last_ten(made[1]):.1f}**"),
        "paper, epochs=9, model.alpha=0.5": (
            "0, 1",
            f"**{spread([last_ten(record) for record in made[2:]])}**",
        ),
    }
    assert len(rows) == 3
