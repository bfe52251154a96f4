"""The table of all methods, from records made by hand."""

import pytest

from josrc_keras.reproduction import robustness_page
from tests.support.robustness_page import REPORT, make, report_records, tables_of

HEADING = "All methods"
VERDICTS = ["AUROC", "precision", "recall"]


def test_it_is_absent_without_a_method_of_tables_3_and_4(written):
    assert tables_of(written, HEADING) == []


def last(record, auroc, precision, recall):
    """The record with these numbers about verdicts in its last epoch."""
    names = "clean_auroc", "clean_precision", "clean_recall"
    for name, value in zip(names, (auroc, precision, recall), strict=True):
        record["history"][name] = [0.0] * 13 + [value]
    return record


@pytest.fixture(scope="module")
def tables():
    clean, noisy, other = REPORT[0], REPORT[1], REPORT[2]
    photos = next(row for row in REPORT if row.dataset == "cifar10")
    made = [
        *report_records(),
        last(make(clean, "pencil", student=0.30), 0.1, 0.1, 0.1),
        last(make(noisy, "pencil", student=0.60, seed=0), 0.8, 0.5, 1.0),
        last(make(noisy, "pencil", student=0.70, seed=1), 0.9, 0.7, 0.6),
        last(make(other, "pencil", student=0.85), 0.7, 0.3, 0.2),
        make(noisy, "cleannet", student=0.2),
        make(other, "cleannet", student=0.4),
        last(make(photos, "pencil", student=0.45), 0.6, 0.4, 0.3),
    ]
    found = tables_of(robustness_page.write(made), HEADING)
    return [{line[""]: line for line in table} for table in found]


@pytest.fixture(scope="module")
def lines(tables):
    """The lines of the digits."""
    return tables[0]


def test_they_have_the_rows_that_were_run(tables):
    rows = [f"{row.dataset}, {row.cell}" for row in REPORT[:3]]
    columns = [list(table["PENCIL"]) for table in tables]
    assert columns == [
        ["", *rows, "mean of 3", *VERDICTS],
        ["", "cifar10, symmetric-0.5", "mean of 1", *VERDICTS],
    ]


def test_means_are_over_the_rows_and_the_seeds_of_all(lines):
    """Of 30, 60, not 70, and 85: 58.3; the adaptive method has 80, 81 and 82."""
    line = lines["PENCIL"]
    assert line["digits10, symmetric-0.8"] == "60.0"
    assert line["mean of 3"] == "58.3"
    assert lines["Jo-SRC, adaptive"]["mean of 3"] == "81.0"
    assert lines["JoCoR\\*"]["mean of 3"] == "**89.0**"


def test_verdicts_are_of_rows_with_errors(tables):
    lines, photos = tables
    assert [lines["PENCIL"][n] for n in VERDICTS] == ["0.75", "0.40", "0.60"]
    assert [photos["PENCIL"][n] for n in VERDICTS] == ["0.60", "0.40", "0.30"]


def test_a_method_that_lacks_a_row_has_no_mean(lines):
    line = lines["CleanNet soft, told verified labels"]
    assert line["digits8, clean"] == ""
    assert line["digits10, image-0.3"] == "40.0"
    assert line["mean of 3"] == ""
    assert lines["Decoupling"]["mean of 3"] == ""
