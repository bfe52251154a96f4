"""The plan of what to do about an audit: an action for each sample, in a table.

`josrc_keras.cleaning.moves` carries the plan out where the samples are photos.
"""

import csv
from pathlib import Path

from absl import logging

from josrc_keras import _checks, _files
from josrc_keras.audit import scores

ACTIONS = {
    scores.CLEAN: "keep",
    scores.IN_DISTRIBUTION: "relabel",
    scores.OUT_OF_DISTRIBUTION: "set_aside",
    scores.UNDECIDED: "look",
}
STAY = ("keep", "look")  # Nothing is done; a person is to look at the latter.
GONE = ("set_aside", "delete")  # The sample gets no label.
TEXTS = ("id", "given_name", "verdict", "predicted_name")


def read_table(path):
    """Reads an audit's CSV file, or a file of rows that were ticked in its report.

    Raises:
        ImportError: If pandas is not installed.
        ValueError: If the file can't be read, or lacks columns or verdicts.
    """
    pandas = _checks.imported("pandas", "An audit is a table of pandas", "report")
    try:
        table = pandas.read_csv(
            path,
            dtype=dict.fromkeys(TEXTS, str),
            keep_default_na=False,
            na_values={"clean_share": [""], "label_score": [""]},
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f"Expected the CSV file of an audit. Received: {path} ({error})."
        ) from error
    table = with_texts(table, _files.value_of)
    missing = [name for name in TEXTS if name not in table]
    unknown = set(map(str, table.get("verdict", ()))) - set(ACTIONS)
    if missing or unknown:
        raise ValueError(
            f"Expected the columns {', '.join(TEXTS)}, and verdicts of "
            f"{', '.join(ACTIONS)}. Received: {path}, without {missing or 'none'} of "
            f"the columns and with the verdicts {sorted(unknown)} besides. Take "
            "audit.csv, or what the report exports."
        )
    return table


def write_table(table, path):
    """Writes a table that `read_table` can read, completely or not at all.

    Texts are in quotes, since a name may hold any character, even a carriage return. A
    text that a spreadsheet would run as a formula has an apostrophe before it.
    """
    table = with_texts(table, _files.cell_of)
    with _files.replacing(path) as beside:
        table.to_csv(beside, index=False, quoting=csv.QUOTE_NONNUMERIC)


def with_texts(table, function):
    """Applies a function to each text of a table, the columns' names included.

    Args:
        table: A `pandas.DataFrame`, which stays as it is.
        function: `_files.cell_of`, or its inverse `_files.value_of`.

    Returns:
        A `pandas.DataFrame`.
    """
    table = table.rename(columns=function)
    for name in table:
        if table[name].dtype.kind not in "biuf":
            table[name] = table[name].map(function)
    return table


def plan(table, chosen=None, below=None):
    """Decides what is to be done about each sample.

    Args:
        table: An audit's table.
        chosen: A table of the same kind with the rows to act on, such as those that a
            person ticked, who may have changed `verdict` and `predicted_name`. All
            other rows are kept. None follows the audit in all rows.
        below: Rows with a higher `label_score` are kept; None sets no limit.

    Returns:
        A `pandas.DataFrame` with `id`, `given_name`, `action` (`"keep"`, `"relabel"`,
        `"set_aside"` or `"look"`), `new_name` (empty if set aside) and `label_score`.

    Raises:
        ValueError: If a chosen row is not in the audit, occurs twice, or is to get a
            label that is no class of the audit.
    """
    table = table.astype({name: str for name in TEXTS}).set_index("id", drop=False)
    verdict, name = table["verdict"].copy(), table["predicted_name"].copy()
    if chosen is not None:
        chosen = chosen.astype({name: str for name in TEXTS}).set_index("id")
        _check_chosen(chosen, table)
        verdict[:] = scores.CLEAN
        verdict[chosen.index] = chosen["verdict"]
        name[chosen.index] = chosen["predicted_name"]
    action = verdict.map(ACTIONS)
    same = (action == "relabel") & (name == table["given_name"])
    action[same] = "keep"
    if below is not None:
        action[~(table["label_score"].astype(float) <= below)] = "keep"
    new = table["given_name"].where(action != "relabel", name)
    result = table[["id", "given_name"]].copy()
    result["action"] = action
    result["new_name"] = new.where(action != "set_aside", "")
    result["label_score"] = table["label_score"]
    return result.reset_index(drop=True)


def acted_on(planned):
    """The rows of a plan whose samples get a different label or none."""
    return planned[~planned["action"].isin(STAY)]


def _check_chosen(chosen, table):
    strange = chosen.index.difference(table.index)
    if len(strange):
        raise ValueError(
            "Expected rows of this audit. Received: ids that it does not have, "
            f"such as {list(strange[:3])}. Export them from its own report."
        )
    twice = chosen.index[chosen.index.duplicated()]
    if len(twice):
        raise ValueError(
            f"Expected each row once. Received: {list(twice[:3])} more than once. "
            "Remove all but one of them."
        )
    relabelled = chosen[chosen["verdict"] == scores.IN_DISTRIBUTION]
    classes = {*table["given_name"], *table["predicted_name"]}
    unknown = relabelled[~relabelled["predicted_name"].isin(classes)]
    if len(unknown):
        raise ValueError(
            "Expected classes of the audit in `predicted_name`. Received: "
            f"{unknown['predicted_name'].iloc[0]!r} for {unknown.index[0]!r}. Use one "
            f"of {sorted(classes)[:10]}."
        )
    for verdict in (scores.CLEAN, scores.UNDECIDED):
        number = int((chosen["verdict"] == verdict).sum())
        if number:
            logging.warning(
                "%d of the chosen rows are called %s, and stay as they are. Change "
                "`verdict` in the file to act on them.",
                number,
                verdict,
            )


def write_csv(planned, output):
    """Writes the plan to `OUTPUT/relabel.csv`, and returns the path."""
    path = Path(output) / "relabel.csv"
    write_table(planned, path)
    return path
