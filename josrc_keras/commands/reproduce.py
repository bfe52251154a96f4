r"""Runs the cells of the paper's tables, records them, and writes the page.

josrc-reproduce --table=2 --seeds=3 --workdir=runs/full
josrc-reproduce --table=2 --cell=symmetric-0.2 --workdir=runs/full
josrc-reproduce --table=2 --table=6 --protocol=reduced --seeds=3 --workdir=runs/reduced
josrc-reproduce --table=3 --table=4 --manual_dir=DOWNLOADS --workdir=runs/full
josrc-reproduce --protocol=budget --budget=1 --table=1 --table=2 --workdir=runs/budget
josrc-reproduce --suite=robustness --half=report --seeds=3 --workdir=runs/suite
josrc-reproduce --page --workdir=runs/reduced

Stop it at any time: the same command resumes after the last saved epoch, and skips runs
that are done. WORKDIR/results/PROTOCOL/ holds a JSON file for each run, README.md and
the figures. Tables 3 and 4 need large datasets that are downloaded by hand, and written
to WORKDIR/data/ once for all runs.
"""

import ast
from pathlib import Path

from absl import flags, logging

from josrc_keras.commands import shell

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the runs and the results.")
_TABLE = flags.DEFINE_multi_integer("table", [], "1 to 6; may be repeated.")
_CELL = flags.DEFINE_multi_string(
    "cell",
    [],
    "symmetric-0.2, symmetric-0.5, symmetric-0.8 or asymmetric-0.4; in Tables 3 and 4 "
    "as-given; in the suite DATASET/CELL. May be repeated; none: all.",
)
_SUITE = flags.DEFINE_enum(
    "suite", None, ["robustness"], "Instead of a table: small data with all noises."
)
_HALF = flags.DEFINE_multi_enum(
    "half", [], ["develop", "report"], "Half of the suite's rows; none: both."
)
_METHOD = flags.DEFINE_multi_string(
    "method",
    [],
    "josrc, josrc-c, josrc-ci, josrc-cio, standard, decoupling, coteaching, "
    "coteaching_plus, jocor, f_correction, m_correction, joint_optim, pencil, "
    "dividemix, mlnt, meta_cleaner, deepself, cleannet, cleannet_hard, or all that the "
    "table compares; none: the table's rows of Jo-SRC.",
)
_RECIPE = flags.DEFINE_enum(
    "recipe",
    None,
    ["paper", "published_code", "paper_text", "adaptive", "lean"],
    "See configs/base.py; none: paper, in the suite paper and adaptive, within a "
    "budget lean.",
)
_PROTOCOL = flags.DEFINE_enum(
    "protocol",
    "full",
    ["full", "reduced", "digits", "budget"],
    "The paper's, one for a CPU, one that needs no download, or the paper's with a "
    "budget of arithmetic.",
)
_BUDGET = flags.DEFINE_float(
    "budget",
    None,
    "PFLOP (1e15 operations of the networks) of each run of --protocol=budget. The "
    "paper's runs take 17.9.",
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 1, "Number of seeds of each cell: 0, 1, ...", lower_bound=1
)
_EPOCHS = flags.DEFINE_integer(
    "epochs", None, "Fewer epochs, for a rehearsal.", lower_bound=1
)
_OVERRIDE = flags.DEFINE_multi_string(
    "override", [], "FIELD=VALUE of the configuration, such as network.head=linear."
)
_TIME_LIMIT = flags.DEFINE_float(
    "time_limit",
    None,
    "Minutes after which to stop, at the end of an epoch.",
    lower_bound=0.0,
)
_MANUAL_DIR = flags.DEFINE_string(
    "manual_dir", None, "Folder that Clothing1M and Food-101N were downloaded to."
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Only say what is left to do.")
_PAGE = flags.DEFINE_bool("page", False, "Only write page and figures anew.")
_STRATEGY, _LOGICAL_DEVICES = shell.define_strategy_flags()
shell.require("workdir")


def _reproduce():
    if _STRATEGY.value == "multi_worker":
        raise ValueError(
            "One process works through the queue of runs. Received: "
            "--strategy=multi_worker. Use --strategy=mirrored, or josrc-train for a "
            "run on many machines."
        )
    shell.begin()
    from josrc_keras.devices import strategies
    from josrc_keras.reproduction import runner

    workdir = Path(str(_WORKDIR.value))
    protocol = _SUITE.value or _PROTOCOL.value
    results = workdir / "results" / protocol
    if _PAGE.value:
        shell.say(f"Wrote {runner.write_page(results, protocol)}.")
        return
    queue = runner.Queue(
        _runs(), workdir / "runs", results, workdir / "data", _MANUAL_DIR.value
    )
    shell.say(queue.describe())
    if _DRY_RUN.value:
        return
    try:
        queue.work(
            time_limit=_TIME_LIMIT.value,
            say=shell.say,
            scope=lambda: strategies.scope(_STRATEGY.value, _LOGICAL_DEVICES.value),
        )
    except (KeyboardInterrupt, SystemExit) as stop:
        logging.warning("Stopped. The same command goes on from the last saved epoch.")
        shell.exit_at_once(stop.code if isinstance(stop, SystemExit) else 130)
    if queue.left:
        shell.say("The time is up. The same command goes on from here.")
    if queue.seconds:  # A page needs a record.
        shell.say(f"Wrote {runner.write_page(results, protocol)}.")
    if queue.broken:
        raise FloatingPointError("; ".join(queue.broken.values()))


def _runs():
    """The runs that the flags ask for, each once."""
    from josrc_keras.reproduction import budget, tables

    if _HALF.value and not _SUITE.value:
        raise ValueError(
            f"--half chooses rows of a suite. Received: --half={_HALF.value} without "
            "--suite. Add --suite=robustness, or leave --half out."
        )
    if _SUITE.value and _TABLE.value:
        raise ValueError(
            f"Expected --suite or --table. Received: --suite={_SUITE.value} and "
            f"--table={_TABLE.value}. Leave one of them out."
        )
    if not _TABLE.value and not _SUITE.value:
        raise ValueError(
            f"Expected --table=N, one of {tuple(tables.DATASETS)}. Received: none."
        )
    within_budget = _PROTOCOL.value == budget.NAME and not _SUITE.value
    if within_budget != (_BUDGET.value is not None):
        raise ValueError(
            "--protocol=budget and --budget=PFLOP belong together. Received: "
            f"--protocol={_PROTOCOL.value}, --budget={_BUDGET.value}. Give both, such "
            "as --protocol=budget --budget=1, or neither."
        )
    overrides = [_parsed(text) for text in _OVERRIDE.value]
    if _EPOCHS.value is not None:
        overrides.append(("epochs", _EPOCHS.value))
    choice = {
        "cells": tuple(_CELL.value),
        "methods": tuple(_METHOD.value),
        "seeds": range(_SEEDS.value),
        "overrides": overrides,
    }
    if _SUITE.value:
        return _runs_of_suite(choice)
    if within_budget:
        recipes = (_RECIPE.value,) if _RECIPE.value else ()
        return budget.runs_of(
            _TABLE.value, budget=_BUDGET.value, recipes=recipes, **choice
        )
    runs = [
        run
        for table in _TABLE.value
        for run in tables.runs_of(
            table,
            protocol=_PROTOCOL.value,
            recipe=_RECIPE.value or "paper",
            **choice,
        )
    ]
    return list(dict.fromkeys(runs))


def _runs_of_suite(choice):
    from josrc_keras.reproduction import robustness

    runs = [
        run
        for half in _HALF.value or robustness.HALVES
        for run in robustness.runs_of(
            half=half, recipes=(_RECIPE.value,) if _RECIPE.value else (), **choice
        )
    ]
    if not runs:
        raise ValueError(
            f"Expected cells of --half={_HALF.value}. Received: --cell={_CELL.value}, "
            "of the other half. Leave one of them out."
        )
    return runs


def _parsed(text):
    """`(field, value)` of `FIELD=VALUE`. The value is a Python literal, or a string."""
    field, equals, value = text.partition("=")
    if not field or not equals:
        raise ValueError(f"Expected --override=FIELD=VALUE. Received: {text!r}.")
    try:
        return field, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return field, value


def main():
    """Entry point of `josrc-reproduce`."""
    shell.run(_reproduce)


if __name__ == "__main__":
    main()
