"""Means and claims of the suite's page, from records made by hand."""

import pytest

from josrc_keras.reproduction import robustness_page, suite_values
from tests.support.robustness_page import (
    ADAPTIVE,
    DEVELOP,
    END,
    EPOCHS,
    PAPER,
    REPORT,
    STOPPED,
    claims,
    compared,
    make,
    tables_of,
)


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
    assert suite_values.stopped(record) == pytest.approx(45.6)
    second = make(REPORT[2], "standard", seed=1, student=test, held_out=held[::-1])
    assert suite_values.stopped(second) == pytest.approx(10.0)  # Epoch 9, not 11.
    (found, *_) = compared(robustness_page.write([record, second]))
    assert found[STOPPED] == "**27.8 ± 25.2**"  # 35.6 / sqrt(2)
    expected = 10 * (0.3 + 0.8 + 0.1 * 8)
    assert found[END] == f"{expected:.1f} ± 0.0"


def test_what_choices_are_made_on():
    """The teacher's held-out accuracy of the adaptive recipe, the student's of all."""
    record = make(DEVELOP[0], held_out=0.5, held_out_teacher=0.6)
    assert suite_values.held_out([record], ("josrc", "adaptive")) == pytest.approx(
        [60.0]
    )
    assert suite_values.held_out([record], ("josrc", "paper")) == pytest.approx([50.0])


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


def test_a_method_without_a_column_is_not_the_best_of_the_row():
    """PENCIL has a line in another table alone."""
    made = [
        make(REPORT[1], "standard", student=0.6, held_out=[0.1] * 13 + [0.2]),
        make(REPORT[1], "pencil", student=0.9),
    ]
    (row,) = compared(robustness_page.write(made))[:1]
    assert row[END] == "**60.0**"


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
    found = {row["the adaptive method against"]: list(row.values())[4:] for row in rows}
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
