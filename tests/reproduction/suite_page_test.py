"""Every number of the robustness suite's page, from records made by hand."""

import copy
import random
import statistics

import numpy as np
import pytest

from josrc_keras.configs import base
from josrc_keras.reproduction import results, robustness, robustness_page, runner
from tests.reproduction import synthetic

EPOCHS = 14
REPORT, DEVELOP = (
    [row for row in robustness.ROWS if row.half == half]
    for half in ("report", "develop")
)
END, STOPPED = "ordinary, at its end", "ordinary, stopped"
PAPER, ADAPTIVE = "Jo-SRC, paper", "Jo-SRC, adaptive"


def around(mean):
    """14 epochs: four that would change the mean, then ten with this one."""
    late = [mean + 0.01, mean - 0.01] * 5
    return [0.99, 0.0, 0.99, 0.01, *late]


def make(row, method="josrc", recipe="paper", seed=0, **values):
    """A record of a row of the suite.

    Args:
        row: A `robustness.Row`.
        method: Name of the method.
        recipe: Its recipe.
        seed: Seed of the run.
        **values: The mean of the last 10 epochs of `student`, `teacher`, `held_out`
            and `held_out_teacher`, in [0, 1], where it is not random; a list for all
            epochs; or `overrides`.
    """
    run = {"dataset": row.dataset, "recipe": recipe}
    run["overrides"] = values.pop("overrides", {})
    record = synthetic.make_record(method, row.cell, seed, epochs=EPOCHS, **run)
    draw = np.random.default_rng(seed)
    history = record["history"]
    history["held_out_accuracy"] = draw.random(EPOCHS).round(6).tolist()
    if method == "josrc":
        history["held_out_teacher_accuracy"] = draw.random(EPOCHS).round(6).tolist()
    if recipe == "adaptive":
        for name in ("noise_rate", "clean_fraction"):
            history[name] = draw.random(EPOCHS).round(6).tolist()
    names = {
        "student": "val_accuracy",
        "teacher": "val_teacher_accuracy",
        "held_out": "held_out_accuracy",
        "held_out_teacher": "held_out_teacher_accuracy",
    }
    for name, value in values.items():
        history[names[name]] = value if isinstance(value, list) else around(value)
    return record


def tables_of(text, heading):
    """The tables below a heading, each a list of rows as dicts."""
    return [rows for found, rows in synthetic.tables_of(text) if found == heading]


def compared(text, heading="The reported half"):
    return tables_of(text, heading)[0]


def claims(text):
    """`{against: (mean, least, most)}` of the claims table."""
    _, rows = tables_of(text, "The reported half")
    return {
        row["the adaptive recipe against"]: (row["mean"], row["least"], row["most"])
        for row in rows
    }


def test_an_accuracy_is_the_mean_of_the_last_ten_epochs():
    """The student's of all, but the teacher's of the adaptive recipe."""
    row = REPORT[0]
    made = [
        make(row, "standard", student=0.61, held_out=[0.5] * EPOCHS),
        make(row, "jocor", student=0.62),
        make(row, "josrc", student=0.63, teacher=0.73),
        make(row, "josrc", "adaptive", student=0.64, teacher=0.74),
    ]
    (found, *_) = compared(robustness_page.write(made))
    assert (found["data"], found["noise"], found["seeds"]) == ("digits8", "clean", "1")
    assert found[END] == "61.0"
    assert found["JoCoR\\*"] == "62.0"
    assert found[PAPER] == "63.0"
    assert found[ADAPTIVE] == "74.0"
    assert found[STOPPED] == "**99.0**"  # All epochs are equal, so the first.


def test_means_and_deviations_over_the_seeds():
    """Of 60 and 70: 65 and sqrt(50); columns of methods that have no run are absent."""
    last = [0.1] * (EPOCHS - 1) + [0.2]
    made = [
        make(REPORT[1], "standard", seed=seed, student=value, held_out=last)
        for seed, value in ((0, 0.6), (1, 0.7))
    ]
    made.append(make(REPORT[1], "decoupling", student=0.1))
    (found, *_) = compared(robustness_page.write(made))
    assert found[END] == "**65.0 ± 7.1**"
    assert found[STOPPED] == "64.0 ± 7.1"  # The last epoch has 1 less than the mean.
    assert found["Decoupling"] == "10.0 (1 of 2)"
    assert found["seeds"] == "2"
    names = ["data", "noise", "seeds", END, STOPPED, "Decoupling"]
    assert list(found) == names


def test_ordinary_training_stopped_by_the_noisy_labels():
    """The test accuracy at the first epoch of the highest held-out accuracy."""
    held = [0.1, 0.4, 0.3, 0.5, 0.2, 0.5, 0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    test = [0.05, 0.9, 0.2, 0.456, 0.3, 0.8, 0.1] + [0.1] * 7
    record = make(REPORT[2], "standard", student=test, held_out=held)
    assert robustness_page.stopped(record) == pytest.approx(45.6)
    second = make(REPORT[2], "standard", seed=1, student=test, held_out=held[::-1])
    assert robustness_page.stopped(second) == pytest.approx(10.0)  # Epoch 9, not 11.
    (found, *_) = compared(robustness_page.write([record, second]))
    assert found[STOPPED] == "**27.8 ± 25.2**"  # 35.6 / sqrt(2)
    expected = 10 * (0.3 + 0.8 + 0.1 * 8)
    assert found[END] == f"{expected:.1f} ± 0.0"


def test_what_choices_are_made_on():
    """The teacher's held-out accuracy of the adaptive recipe, the student's of all."""
    record = make(DEVELOP[0], held_out=0.5, held_out_teacher=0.6)
    assert robustness_page.held_out([record], ("josrc", "adaptive")) == pytest.approx(
        [60.0]
    )
    assert robustness_page.held_out([record], ("josrc", "paper")) == pytest.approx(
        [50.0]
    )


def test_the_best_of_a_row_is_bold():
    made = [
        make(REPORT[0], "standard", student=0.6, held_out=[0.1] * 13 + [0.2]),
        make(REPORT[0], "josrc", student=0.7, teacher=0.95),
        make(REPORT[1], "standard", student=0.5, held_out=[0.2] * 14),
        make(REPORT[1], "josrc", student=0.7, teacher=0.95),
    ]
    first, second, *_ = compared(robustness_page.write(made))
    assert (first[END], first[STOPPED], first[PAPER]) == ("60.0", "59.0", "**70.0**")
    assert (second[END], second[STOPPED], second[PAPER]) == ("50.0", "**99.0**", "70.0")


def report_records():
    """All rows of the reported half, each with what makes it known by its number i.

    In percent: adaptive 80 + i, ordinary 50 + 2i, stopped 70, JoCoR 90 - i. Decoupling
    has but one row.
    """
    made = [make(REPORT[0], "decoupling", student=0.4)]
    for number, row in enumerate(REPORT):
        standard = around(0.5 + 0.02 * number)
        standard[1] = 0.7
        held = [0.1, 0.9] + [0.2] * 12
        teacher = 0.8 + 0.01 * number
        made += [
            make(row, "standard", student=standard, held_out=held),
            make(row, "josrc", "adaptive", student=0.1, teacher=teacher),
            make(row, "jocor", student=0.9 - 0.01 * number),
        ]
    return made


@pytest.fixture(scope="module")
def made():
    return report_records()


@pytest.fixture(scope="module")
def written(made):
    return robustness_page.write(made)


def test_the_means_over_the_rows(written):
    """Rows 0 and 4 are clean: of 0 to 11 the mean is 5.5, of the others 6.2."""
    assert [number for number, row in enumerate(REPORT) if row.clean] == [0, 4]
    *rows, noisy, everything = compared(written)
    assert [(row["data"], row["noise"]) for row in rows] == [
        (row.dataset, row.cell) for row in REPORT
    ]
    assert noisy["data"] == "mean of the noisy rows"
    assert everything["data"] == "mean of all rows"
    names = (END, STOPPED, "JoCoR\\*", ADAPTIVE, "Decoupling")
    assert [noisy[name] for name in names] == ["62.4", "70.0", "83.8", "86.2", ""]
    assert [everything[name] for name in names] == ["61.0", "70.0", "84.5", "85.5", ""]
    assert rows[3][ADAPTIVE] == "83.0"
    assert rows[3]["JoCoR\\*"] == "**87.0**"
    assert rows[11][ADAPTIVE] == "**91.0**"
    assert (rows[0]["Decoupling"], rows[1]["Decoupling"]) == ("40.0", "")


def test_what_is_claimed(written):
    """Adaptive less ordinary is 30 - i, less stopped 10 + i, less JoCoR 2i - 10."""
    assert claims(written) == {
        "ordinary training at its end, noisy rows": ("+23.8", "+19.0", "+29.0"),
        "ordinary training stopped, noisy rows": ("+16.2", "+11.0", "+21.0"),
        "ordinary training at its end, clean rows": ("+28.0", "+26.0", "+30.0"),
        "JoCoR\\*, all rows": ("+1.0", "-10.0", "+12.0"),
    }


def test_a_claim_is_of_the_seeds_that_both_have(made, written):
    """Row 1 with a second seed of ordinary training, 62, and then of both, 87."""
    held = [0.9] + [0.1] * 13
    ordinary = make(REPORT[1], "standard", seed=1, student=0.62, held_out=held)
    assert claims(robustness_page.write([*made, ordinary])) == claims(written)
    adaptive = make(REPORT[1], "josrc", "adaptive", seed=1, teacher=0.87)
    changed = claims(robustness_page.write([*made, ordinary, adaptive]))
    # (29 + 25) / 2 is 2 less than before, so that the most is row 2's, 28.
    assert changed["ordinary training at its end, noisy rows"] == (
        "+23.6",
        "+19.0",
        "+28.0",
    )
    _, least, most = changed["ordinary training stopped, noisy rows"]
    assert (least, most) == ("-0.5", "+21.0")  # (11 + 87 - 99) / 2
    assert changed["JoCoR\\*, all rows"] == claims(written)["JoCoR\\*, all rows"]


def test_how_many_rows_are_ahead(made):
    """Row 1's 29 and 25 are ahead by more than they differ; JoCoR's are one seed."""
    held = [0.9] + [0.1] * 13
    more = [
        make(REPORT[1], "standard", seed=1, student=0.62, held_out=held),
        make(REPORT[1], "josrc", "adaptive", seed=1, teacher=0.87),
    ]
    _, rows = tables_of(robustness_page.write([*made, *more]), "The reported half")
    found = {row["the adaptive recipe against"]: list(row.values())[4:] for row in rows}
    assert found == {
        "ordinary training at its end, noisy rows": ["10 of 10", "1 of 1"],
        "ordinary training stopped, noisy rows": ["9 of 10", "0 of 1"],
        "ordinary training at its end, clean rows": ["2 of 2", ""],
        "JoCoR\\*, all rows": ["6 of 12", ""],  # 2i - 10.
    }


def test_a_method_without_a_seed_in_common_is_not_compared(made):
    """JoCoR with another seed in one row."""
    others = [
        make(REPORT[1], "jocor", seed=5, student=0.5) if is_jocor_of(r, 1) else r
        for r in made
    ]
    assert "JoCoR\\*, all rows" not in claims(robustness_page.write(others))


def is_jocor_of(record, number):
    run, row = record["run"], REPORT[number]
    found = run["dataset"], run["cell"], run["method"]
    return found == (row.dataset, row.cell, "jocor")


def last_epoch(record, **values):
    """Sets what the last epoch of a record found."""
    for name, value in values.items():
        record["history"][name] = [0.5] * (EPOCHS - 1) + [value]
    return record


def test_what_the_recipe_says_of_the_labels():
    """40% and 44% wrong; of clean data no AUROC; none but the adaptive recipe's."""
    found = {"noise_rate": 0.25, "clean_fraction": 0.8}
    found |= {"clean_precision": 0.6, "clean_recall": 0.8, "clean_auroc": 0.75}
    pages = robustness_page.write(
        [
            last_epoch(make(REPORT[1], "josrc", "adaptive"), **found),
            last_epoch(
                make(REPORT[1], "josrc", "adaptive", seed=1),
                **found | {"clean_precision": 0.56, "noise_rate": 0.27},
            ),
            last_epoch(make(REPORT[0], "josrc", "adaptive"), **found),
            make(REPORT[2], "josrc"),
            make(REPORT[2], "jocor"),
            make(DEVELOP[0], "josrc", "adaptive"),
        ]
    )
    (table,) = tables_of(pages, "What the recipe says of the labels")
    clean, noisy = (list(row.values()) for row in table)
    assert clean[2:] == ["40.0", "25.0", "20.0", ""]
    names = [REPORT[1].dataset, REPORT[1].cell]
    assert noisy == [
        *names,
        "42.0 ± 2.8",
        "26.0 ± 1.4",
        "20.0 ± 0.0",
        "0.75 ± 0.00",
    ]


def test_nothing_judged_right_is_no_share():
    values = {"clean_fraction": 0.0, "clean_precision": 0.0, "clean_recall": 0.0}
    assert robustness_page.right_share(values) == 0.0


def test_nothing_is_claimed_of_rows_without_both(made):
    """Here one without the adaptive recipe."""
    fewer = [
        record
        for record in made
        if record["run"]["recipe"] != "adaptive"
        or record["run"]["dataset"] != "cifar50"
    ]
    text = robustness_page.write(fewer)
    assert "Not all rows have been run." in text
    assert len(tables_of(text, "The reported half")) == 1
    *_, noisy, everything = compared(text)
    assert (noisy[ADAPTIVE], everything[ADAPTIVE]) == ("", "")
    assert noisy[END] == "62.4"


def test_there_is_no_mean_of_some_rows(made):
    """With one row of the half left out."""
    name = REPORT[5].dataset, REPORT[5].cell
    fewer = [r for r in made if (r["run"]["dataset"], r["run"]["cell"]) != name]
    text = robustness_page.write(fewer)
    *rows, noisy, everything = compared(text)
    assert len(rows) == 11
    for mean, title in ((noisy, "the noisy rows"), (everything, "all rows")):
        assert mean.pop("data") == f"mean of {title}: 1 are not run yet"
        assert set(mean.values()) == {""}
    assert "Not all rows have been run." in text


def test_the_halves_are_apart(made, written):
    """What was developed on changes no number of the reported half."""
    last = [0.1] * (EPOCHS - 1) + [0.2]
    more = [
        *made,
        make(DEVELOP[0], "standard", student=0.1, held_out=last),
        make(DEVELOP[0], "josrc", "adaptive", teacher=0.2),
    ]
    text = robustness_page.write(more)
    for ours, theirs in zip(
        tables_of(text, "The reported half"),
        tables_of(written, "The reported half"),
        strict=True,
    ):
        assert ours == theirs
    (table,) = tables_of(text, "Developed on")
    assert [row["data"] for row in table] == [
        "digits10",
        "mean of the noisy rows: 9 are not run yet",
        "mean of all rows: 11 are not run yet",
    ]
    found = [table[0][name] for name in (END, STOPPED, ADAPTIVE)]
    assert found == ["10.0", "9.0", "**20.0**"]
    assert set(list(table[1].values())[1:]) == {""}
    assert tables_of(written, "Developed on") == []


FULL = {  # Held-out and test accuracy of the teacher, by row and seed.
    (1, 0): (0.10, 0.20),
    (1, 1): (0.50, 0.70),
    (2, 0): (0.60, 0.80),
}
CHANGED = {(1, 1): (0.48, 0.60), (1, 2): (0.9, 0.9), (2, 0): (0.54, 0.78)}
CHANGE = {"model.alpha": 0.0, "model.relabel": []}


def ablation_records():
    made = []
    for values, overrides in ((FULL, {}), (CHANGED, CHANGE)):
        for (number, seed), (held, test) in values.items():
            made.append(
                make(
                    DEVELOP[number],
                    "josrc",
                    "adaptive",
                    seed,
                    overrides=overrides,
                    held_out_teacher=held,
                    teacher=test,
                )
            )
    return made


def test_the_ablation_pairs_rows_and_seeds():
    """Row 1 has seed 1 in common: -2 and -10; row 2 seed 0: -6 and -2."""
    text = robustness_page.write(ablation_records())
    ((row,),) = tables_of(text, "What each idea contributes")
    assert row == {
        "idea": "",
        "changed to": "`model.alpha=0.0`, `model.relabel=[]`",
        "rows": "2",
        "held out (noisy)": "-4.0",
        "test (clean)": "-6.0",
    }


CONSTANTS = {  # Of the rule, which are no ideas.
    "doubt",
    "hold_share",
    "learnt",
    "least_rate",
    "memory_share",
    "most_rate",
    "strength",
    "tau_ood",
    "warmup_share",
}


@pytest.mark.parametrize("section", ["adaptive", "trust"])
def test_every_idea_of_the_ablation_has_a_name(section):
    """One for each field of `config.adaptive` but for constants, and no other.

    Records of before version 0.2 have the field's name of then.
    """
    config, ideas = base.get_config(), robustness_page.IDEAS
    fields = {f"adaptive.{name}" for name in {*config.adaptive} - CONSTANTS}
    known = {*config.to_dict(), *ideas}
    assert {n for n in ideas if n.startswith("adaptive.")} == fields
    assert {name.partition(".")[0] for name in ideas} <= known
    results = ablation_records()
    for record in results:
        if record["run"]["overrides"]:
            changed = {f"{section}.mixup": 0.0, f"{section}.hold": False}
            record["run"]["overrides"] = changed
    ((row,),) = tables_of(robustness_page.write(results), "What each idea contributes")
    assert row["changed to"] == f"`{section}.hold=False`, `{section}.mixup=0.0`"
    assert row["idea"].endswith("; blended views (mixup; Zhang et al., ICLR 2018)")


def test_a_row_counts_once_in_the_ablation_however_many_its_seeds():
    """With seed 0 at +8 and +18 beside -2 and -10: +3 and +4 of row 1."""
    values = {"held_out_teacher": 0.18, "teacher": 0.38, "overrides": CHANGE}
    more = make(DEVELOP[1], "josrc", "adaptive", 0, **values)
    text = robustness_page.write([*ablation_records(), more])
    ((row,),) = tables_of(text, "What each idea contributes")
    assert (row["held out (noisy)"], row["test (clean)"]) == ("-1.5", "+1.0")


def test_other_runs_are_no_ablation(made, written):
    """Of the reported half, of another recipe, or of a row that was not run whole."""
    overrides = {"model.alpha": 0.0}
    more = [
        make(REPORT[1], "josrc", "adaptive", overrides=overrides),
        make(DEVELOP[1], "josrc", "paper", overrides=overrides),
        make(DEVELOP[1], "standard", overrides=overrides),
        make(DEVELOP[1], "josrc", "adaptive", overrides=overrides),
    ]
    text = robustness_page.write([*made, *more])
    assert "What each idea contributes" not in text
    for ours, theirs in zip(
        tables_of(text, "The reported half"),
        tables_of(written, "The reported half"),
        strict=True,
    ):
        assert ours == theirs  # Changed runs are not in the means either.
    assert "Developed on" not in text


def test_the_runs(made, written):
    """Each, with its command and what it found."""
    (rows,) = tables_of(written, "The runs")
    assert len(rows) == len(made) == 37
    deviation = 100 * statistics.stdev([0.01, -0.01] * 5)
    assert rows[0] == {
        "data": "digits8",
        "noise": "clean",
        "method": "Decoupling",
        "recipe": "",
        "changed": "",
        "seed": "0",
        "student": f"40.0 ± {deviation:.1f}",
        "teacher": rows[0]["teacher"],
        "noise checksum": "`00abcdefabcd`",
        "minutes": "1.0",
        "device": "an abacus",
        "versions": "python 3.99, keras 9.9",
        "command": "`reproduce.py --seeds=1`",
    }
    assert (rows[1]["method"], rows[1]["teacher"]) == ("ordinary training", "")
    assert (rows[2]["recipe"], rows[2]["teacher"]) == (
        "adaptive",
        f"80.0 ± {deviation:.1f}",
    )
    overrides = {"model.alpha": 0.0, "epochs": 3}
    changed = make(REPORT[0], "josrc", "adaptive", overrides=overrides)
    (row,) = synthetic.table(robustness_page.write([changed]), "The runs")
    assert row["changed"] == "model.alpha=0.0, epochs=3"


def test_the_order_of_the_records_is_nothing_to_the_numbers(made):
    mixed = [*made, *ablation_records()]
    text = robustness_page.write(mixed)
    random.Random(0).shuffle(mixed)
    other = robustness_page.write(mixed)
    ours, theirs = (page.partition("## The runs")[0] for page in (text, other))
    assert theirs == ours


def test_the_histories_count_and_not_the_summaries(made, written):
    changed = copy.deepcopy(made)
    changed[1]["history"]["val_accuracy"][-1] += 0.05
    assert robustness_page.write(changed) != written
    changed = copy.deepcopy(made)
    for record in changed:
        for name in ("student", "teacher", "best_epoch"):
            record["summary"][name] = None
    assert robustness_page.write(changed) == written
    assert "43.2" not in written  # What the summaries claim.


def test_every_method_has_a_column(written):
    made = [
        make(REPORT[0], method, recipe)
        for method, recipe in [
            *((name, "paper") for name in robustness.BASELINES),
            ("josrc", "paper"),
            ("josrc", "adaptive"),
        ]
    ]
    (found, *_) = compared(robustness_page.write(made))
    assert list(found)[3:] == [
        END,
        STOPPED,
        "Decoupling",
        "Co-teaching\\*",
        "Co-teaching+\\*",
        "JoCoR\\*",
        PAPER,
        ADAPTIVE,
    ]
    assert all(found.values())


def test_records_are_read_and_the_page_is_written_beside_them(made, written, tmp_path):
    """A suite's cells are no broken records; without any there is no page."""
    with pytest.raises(ValueError, match=r"Expected records of `josrc-reproduce`"):
        runner.write_page(tmp_path, robustness.NAME)
    synthetic.write_all(tmp_path, made)
    path = runner.write_page(tmp_path, robustness.NAME)
    assert path == tmp_path / "README.md"
    assert path.read_text() == robustness_page.write(results.read_all(tmp_path))
    assert compared(path.read_text()) == compared(written)
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["README.md"]
