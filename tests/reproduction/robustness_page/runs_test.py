"""Single runs on the page: what they say of labels, and where they come from."""

import copy
import random
import statistics

import pytest

from josrc_keras.reproduction import results, robustness, robustness_page, runner
from tests.support import synthetic
from tests.support.robustness_page import (
    ADAPTIVE,
    DEVELOP,
    END,
    EPOCHS,
    PAPER,
    REPORT,
    STOPPED,
    ablation_records,
    compared,
    make,
    tables_of,
)


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
    (table,) = tables_of(pages, "What the method says of the labels")
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
