"""What stands beside the numbers: the paper's values, headings, figures."""

import numpy as np
import pytest

from josrc_keras.reproduction import paper, tables, tables_page
from tests.support.synthetic import make_record, table, tables_of
from tests.support.tables_page import ABLATION, CELLS, SHOWN, last_ten


def ablation(dataset, cell="symmetric-0.2", **run):
    return [make_record(m, cell, dataset=dataset, **run) for m in ABLATION]


def test_the_ablation_is_of_the_cells_that_leave_something_out():
    """The whole method stands below its parts, and only there."""
    others = [make_record("josrc", "symmetric-0.8"), make_record("standard")]
    text = tables_page.write([*ablation("digits8n_o"), *others], "digits")
    rows = table(text, "Table 6")
    assert [row["method"] for row in rows] == [SHOWN[method] for method in ABLATION]
    assert {row["noise"] for row in rows} == {"symmetric-0.2"}
    for row, record in zip(rows, ablation("digits8n_o"), strict=True):
        assert row["student"] == f"**{last_ten(record):.1f}**"
        assert row["teacher"] == f"{last_ten(record, 'teacher'):.1f}"
    assert "Table 6" not in tables_page.write(others, "digits")


def constant(record, value):
    """The record with the same test accuracy in every epoch."""
    record["history"]["val_accuracy"] = [value] * 14
    return record


def test_the_papers_values_and_the_signed_differences():
    """Table 1, 2 and 6, against the numbers of the paper's tables."""
    made = [
        constant(make_record("josrc", "symmetric-0.2", dataset="cifar100n_c"), 0.6),
        constant(make_record("standard", "symmetric-0.8", dataset="cifar100n_c"), 0.04),
        *[constant(record, 0.62) for record in ablation("cifar80n_o")],
        constant(make_record("standard", "asymmetric-0.4", dataset="cifar80n_o"), 0.3),
    ]
    text = tables_page.write(made, "full")

    def beside(beginning):
        rows = table(text, beginning)
        keys = ("noise", "method", "student", "paper", "difference")
        return [tuple(row[key] for key in keys) for row in rows]

    assert beside("Table 1") == [
        ("symmetric-0.2", "Jo-SRC", "**60.0**", "58.15", "+1.85"),
        ("symmetric-0.8", "ordinary training", "**4.0**", "4.41", "-0.41"),
    ]
    assert beside("Table 2") == [
        ("symmetric-0.2", "Jo-SRC-C", "**62.0**", "", ""),
        ("symmetric-0.2", "Jo-SRC-CI", "**62.0**", "", ""),
        ("symmetric-0.2", "Jo-SRC-CIO", "**62.0**", "", ""),
        ("symmetric-0.2", "Jo-SRC", "**62.0**", "65.83", "-3.83"),
        ("asymmetric-0.4", "ordinary training", "**30.0**", "22.25", "+7.75"),
    ]
    assert beside("Table 6") == [
        ("symmetric-0.2", "Jo-SRC-C", "**62.0**", "57.12", "+4.88"),
        ("symmetric-0.2", "Jo-SRC-CI", "**62.0**", "61.32", "+0.68"),
        ("symmetric-0.2", "Jo-SRC-CIO", "**62.0**", "63.10", "-1.10"),
        ("symmetric-0.2", "Jo-SRC", "**62.0**", "65.83", "-3.83"),
    ]


def test_whole_runs_of_the_adaptive_recipe_stand_beside_the_best_published():
    """The teacher's mean over the seeds; a table of their own below that of all."""

    def of(dataset, value, cell="symmetric-0.2", **run):
        record = make_record(cell=cell, dataset=dataset, recipe="adaptive", **run)
        record["history"]["val_teacher_accuracy"] = [value] * 14
        return record

    whole = [of("cifar80n_o", 0.7), of("cifar80n_o", 0.72, seed=1)]
    whole += [of("cifar80n_o", 0.5, "asymmetric-0.4")]
    others = [
        make_record(dataset="cifar80n_o"),
        of("cifar80n_o", 0.9, overrides={"epochs": 3}),
    ]
    others += [of("digits8n_o", 0.9)]
    text = tables_page.write([*whole, *others], "full")
    assert table(text, "Beside the best published, Table 2") == [
        {
            "noise": "symmetric-0.2",
            "seeds": "0, 1",
            "teacher": "**71.0 ± 1.4**",
            "best published": "70.13",
            "difference": "+0.87",
        },
        {
            "noise": "asymmetric-0.4",
            "seeds": "0",
            "teacher": "**50.0**",
            "best published": "65.71",
            "difference": "-15.71",
        },
    ]
    assert "best published" not in tables_page.write(others, "full")


def test_the_difference_is_that_of_the_mean_over_the_seeds():
    """Seeds at 60 and 70: 65.00 - 58.51."""
    made = [
        constant(make_record(seed=seed, dataset="cifar80n_o"), value)
        for seed, value in ((0, 0.6), (1, 0.7))
    ]
    (row,) = table(tables_page.write(made, "full"), "Table 2")
    assert (row["paper"], row["difference"]) == ("58.51", "+6.49")


@pytest.mark.parametrize(
    "overrides", [{"epochs": 3}, {"data.train_size": 8000, "model.alpha": 0.3}]
)
def test_a_shortened_run_has_no_papers_value_beside_it(overrides):
    """Neither in Table 1 or 2 nor in Table 6; a whole run in the same table has."""
    whole = ablation("cifar80n_o")
    made = [
        *whole,
        *ablation("cifar80n_o", overrides=overrides),
        make_record(dataset="cifar100n_c", overrides=overrides),
    ]
    text = tables_page.write(made, "full")
    for beginning, count in (("Table 1", 0), ("Table 2", 1), ("Table 6", 4)):
        rows = table(text, beginning)
        shortened = [row for row in rows if row["recipe"] != "paper"]
        assert shortened
        for row in shortened:
            assert (row["paper"], row["difference"]) == ("", "")
            assert row["student"]
        rest = [row for row in rows if row["recipe"] == "paper"]
        assert len([row for row in rest if row["paper"]]) == count


@pytest.mark.parametrize(
    ("protocol", "dataset"), [("reduced", "cifar8n_o"), ("digits", "digits8n_o")]
)
def test_other_protocols_show_no_number_of_the_paper(protocol, dataset):
    """With every method in every cell there is no such column and no such number."""
    made = [
        make_record(method, cell, dataset=dataset, overrides=overrides)
        for method in SHOWN
        for cell in CELLS
        for overrides in ({}, {"model.alpha": 0.5})
    ]
    text = tables_page.write(made, protocol)
    for _, rows in tables_of(text):
        assert not {"paper", "difference"} & set(rows[0])
    numbers = [
        value
        for table in paper.ACCURACY.values()
        for row in table.values()
        for value in row.values()
    ]
    assert len(numbers) == 6 * 4 + 6 * 4 + 6 + 9 + 5 + 4
    for value in numbers:
        assert f"{value:.2f}" not in text
    assert "These numbers say nothing about the paper's" in text


LEARNT = "## Figure 5 in numbers: what training has learnt in the last epoch"


def test_what_training_has_learnt():
    """The last epoch's training accuracies, in percent, averaged over the seeds."""
    made = [make_record(seed=seed) for seed in (0, 1)]
    (row,) = [
        line
        for line in tables_page.write(made, "digits").split(LEARNT)[1].splitlines()
        if line.startswith("| symmetric")
    ][:1]
    names = ("clean", "id_given", "id_true", "ood_given")
    expected = [
        np.mean([100 * record["history"][f"accuracy_{name}"][-1] for record in made])
        for name in names
    ]
    assert row.split(" | ")[3:] == [
        *(f"{value:.1f}" for value in expected[:-1]),
        f"{expected[-1]:.1f} |",
    ]


def test_headings_and_introductions():
    """Each dataset has its tables; the full protocol is said to be the paper's."""
    made = [make_record(dataset="cifar80n_o"), make_record(dataset="cifar100n_c")]
    text = tables_page.write(made, "full")
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Full protocol",
        "## Table 1: CIFAR100N-C",
        "## Table 5: how right the verdicts are",
        LEARNT,
        "## Table 2: CIFAR80N-O",
        "## Table 5: how right the verdicts are",
        LEARNT,
        "## The runs",
    ]
    assert "say nothing" not in text
    assert "do not edit" in text
    assert text.endswith("|\n") and not text.endswith("\n\n")
    titles = [
        tables_page.write([make_record(dataset=dataset)], protocol).splitlines()[0]
        for protocol, dataset in (("reduced", "cifar8n_o"), ("digits", "digits8n_o"))
    ]
    assert titles == ["# Reduced protocol", "# Digits"]


def test_figures_stand_before_the_runs(made, written):
    """The page is else the same."""
    with_figures = tables_page.write(made, "digits", [("Figure 9: x", "figure9.png")])
    added = "## Figure 9: x\n\n![Figure 9: x](figure9.png)\n\n"
    assert with_figures.replace(added, "") == written
    assert with_figures.index(added) == written.index("## The runs")


def test_a_run_that_evaluates_the_teacher_shows_no_student():
    """Its `val_accuracy` is the teacher's; or such a run is refused before it starts.

    `run_folder.summarise` gives it to the teacher.
    """
    overrides = (("teacher.evaluate", "teacher"),)
    run = tables.Run("digits8n_o", "symmetric-0.5", "josrc", overrides=overrides)
    try:
        run.config()
    except ValueError as error:
        assert "teacher.evaluate" in str(error)
        return
    record = make_record(overrides=dict(overrides))
    record["config"]["teacher"] = {"evaluate": "teacher"}
    del record["history"]["val_teacher_accuracy"]
    (row,) = table(tables_page.write([record], "digits"), "As Table 2")
    assert (row["student"], row["teacher"]) == ("", f"{last_ten(record):.1f}")
