"""What each idea contributes."""

import pytest

from josrc_keras.configs import base
from josrc_keras.reproduction import ablation, robustness_page
from tests.support.robustness_page import (
    CHANGE,
    DEVELOP,
    REPORT,
    ablation_records,
    make,
    tables_of,
)


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
    config, ideas = base.get_config(), ablation.IDEAS
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
