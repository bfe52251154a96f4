"""The numbers of the page, against NumPy on the same histories."""

import copy

import numpy as np
import pytest

from josrc_keras.reproduction import paper, tables, tables_page
from tests.reproduction import synthetic
from tests.reproduction.synthetic import make_record, table, tables_of

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


@pytest.fixture(scope="module")
def made():
    """Records of the digits: three seeds, two methods, two cells."""
    return [
        make_record(method, cell, seed)
        for method in ("josrc", "standard")
        for cell in ("asymmetric-0.4", "symmetric-0.2")
        for seed in (2, 0, 1)
    ]


@pytest.fixture(scope="module")
def written(made):
    return tables_page.write(made, "digits")


def of(made, cell, method):
    """The records of a cell, by seed."""
    found = [
        r for r in made if (r["run"]["cell"], r["run"]["method"]) == (cell, method)
    ]
    return sorted(found, key=lambda record: record["run"]["seed"])


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
            "best published": "69.10",
            "difference": "+1.90",
        },
        {
            "noise": "asymmetric-0.4",
            "seeds": "0",
            "teacher": "**50.0**",
            "best published": "64.40",
            "difference": "-14.40",
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
    assert len(numbers) == 6 * 4 + 6 * 4 + 2 + 4
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
