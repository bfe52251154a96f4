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
def lines():
    clean, noisy, other = REPORT[0], REPORT[1], REPORT[2]
    made = [
        *report_records()[1:],  # Without Decoupling, which has but one row.
        last(make(clean, "pencil", student=0.30), 0.1, 0.1, 0.1),
        last(make(noisy, "pencil", student=0.60, seed=0), 0.8, 0.5, 1.0),
        last(make(noisy, "pencil", student=0.70, seed=1), 0.9, 0.7, 0.6),
        last(make(other, "pencil", student=0.85), 0.7, 0.3, 0.2),
        make(noisy, "cleannet", student=0.2),
        make(other, "cleannet", student=0.4),
    ]
    (found,) = tables_of(robustness_page.write(made), HEADING)
    return {line[""]: line for line in found}


def test_it_has_the_rows_that_were_run(lines):
    rows = [f"{row.dataset}, {row.cell}" for row in REPORT[:3]]
    columns = list(lines["PENCIL"])
    assert columns == ["", *rows, "mean of 2", *VERDICTS]


def test_means_are_over_the_seeds_and_rows_of_all(lines):
    """Of 60, not 70, and 85: 72.5; the adaptive method has 81 and 82."""
    line = lines["PENCIL"]
    assert line["digits10, symmetric-0.8"] == "60.0"
    assert line["mean of 2"] == "72.5"
    assert lines["Jo-SRC, adaptive"]["mean of 2"] == "81.5"
    assert lines["JoCoR\\*"]["mean of 2"] == "**88.5**"


def test_verdicts_are_of_rows_with_errors(lines):
    line = lines["PENCIL"]
    assert [line[n] for n in VERDICTS] == [
        "0.75",
        "0.40",
        "0.60",
    ]


def test_a_method_that_lacks_a_row(lines):
    line = lines["CleanNet soft, told verified labels"]
    assert line["digits8, clean"] == ""
    assert line["mean of 2"] == "30.0"
