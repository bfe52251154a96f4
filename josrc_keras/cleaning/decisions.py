"""Decisions of a person about an audit's samples, as the report exports them."""

import io
import json
from pathlib import Path

from absl import logging

from josrc_keras import _checks, _files
from josrc_keras.cleaning import plan

COLUMNS = ("id", "given_name", "decision", "new_name", "time")
ACTIONS = {
    "relabel": "relabel",
    "keep": "keep",
    "none": "set_aside",
    "unsure": "look",
    "delete": "delete",
}
PAIRS = 8  # Pairs of classes that a preview shows.


def read(path):
    """Reads a file of decisions, CSV or JSON.

    Args:
        path: Path of what the report exports: a CSV file with at least the columns
            `id`, `decision` and `new_name`, or a JSON file with a list of such rows as
            `decisions`.

    Returns:
        A `pandas.DataFrame` of texts with the columns `COLUMNS`, a row for each
        decision. A cell that is missing is empty.

    Raises:
        ImportError: If pandas is not installed.
        ValueError: If the file can't be read, lacks a column, has an unknown decision,
            or decides a sample twice.
    """
    pandas = _checks.imported("pandas", "Decisions are a table of pandas", "report")
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")  # Names may have "\\r\\n".
        if text.lstrip()[:1] in ("{", "["):
            found = json.loads(text)
            rows = found if isinstance(found, list) else found["decisions"]
            table = pandas.DataFrame(rows).fillna("").astype(str)
        else:
            table = pandas.read_csv(
                io.StringIO(text, newline=""), dtype=str, keep_default_na=False
            )
            table = plan.with_texts(table, _files.value_of)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"Expected a file of decisions. Received: {path} ({error}). Export it from "
            "the report."
        ) from error
    missing = [name for name in COLUMNS[:4] if name not in table]
    unknown = set(table.get("decision", ())) - set(ACTIONS)
    if missing or unknown:
        raise ValueError(
            f"Expected the columns {', '.join(COLUMNS[:4])}, and decisions of "
            f"{', '.join(ACTIONS)}. Received: {path}, without {missing or 'none'} of "
            f"the columns and with the decisions {sorted(unknown)} besides. Export it "
            "from the report."
        )
    twice = table["id"][table["id"].duplicated()]
    if len(twice):
        raise ValueError(
            f"Expected each sample once. Received: {list(twice[:3])} more than once in "
            f"{path}. Import both files into the report, which shows where they differ."
        )
    return table.reindex(columns=list(COLUMNS), fill_value="")


def planned(table, decided, class_names=()):
    """Decides what is to be done about each sample: only what a person decided.

    Args:
        table: An audit's table.
        decided: What `read` returned.
        class_names: Names of classes besides those in the table.

    Returns:
        A `pandas.DataFrame` as of `plan.plan`, whose `action` may also be `"delete"`,
        with an empty `new_name`. Samples without a decision are kept.

    Raises:
        ValueError: If a sample is not in the audit or had a different label there, or
            is to get a label that is no class of the audit.
    """
    table = table.astype({name: str for name in plan.TEXTS}).set_index("id", drop=False)
    decided = decided.set_index("id")
    _check(decided, table, {*class_names, *table["given_name"]})
    action = decided["decision"].map(ACTIONS)
    same = (action == "relabel") & (
        decided["new_name"] == table["given_name"].reindex(decided.index)
    )
    action[same] = "keep"
    result = table[["id", "given_name"]].copy()
    result["action"] = "keep"
    result.loc[action.index, "action"] = action
    result["new_name"] = result["given_name"]
    relabelled = action.index[action == "relabel"]
    result.loc[relabelled, "new_name"] = decided.loc[relabelled, "new_name"]
    result.loc[result["action"].isin(plan.GONE), "new_name"] = ""
    result["label_score"] = table["label_score"]
    return result.reset_index(drop=True)


def _check(decided, table, classes):
    strange = decided.index.difference(table.index)
    if len(strange):
        raise ValueError(
            "Expected decisions on this audit. Received: ids that it does not have, "
            f"such as {list(strange[:3])}. Give the file that its own report exported."
        )
    before = table["given_name"].reindex(decided.index)
    for name in decided.index[(decided["given_name"] != before).to_numpy()][:1]:
        raise ValueError(
            f"Expected decisions on the labels of this audit. Received: {name!r} with "
            f"the given label {decided['given_name'][name]!r}, which has "
            f"{before[name]!r} here. Review this audit's own report."
        )
    classes = {*classes, *table["predicted_name"]}
    relabelled = decided[decided["decision"] == "relabel"]
    unknown = relabelled[~relabelled["new_name"].isin(classes)]
    if len(unknown):
        raise ValueError(
            "Expected classes of the audit in `new_name`. Received: "
            f"{unknown['new_name'].iloc[0]!r} for {unknown.index[0]!r}. Use one of "
            f"{sorted(classes)[:10]}."
        )
    unsure = int((decided["decision"] == "unsure").sum())
    if unsure:
        logging.info("%d samples are unsure, and stay as they are.", unsure)


def preview(planned):
    """What a plan would do, as lines of text.

    Args:
        planned: What `planned` or `plan.plan` returned.

    Returns:
        A list of texts: the number of samples for each action, the most frequent pairs
        of old and new labels, and an example of each action.
    """
    counts = planned["action"].value_counts()
    shown = [f"{counts[name]} {name}" for name in counts.index]
    lines = [f"{len(planned)} samples: {', '.join(shown)}."]
    acted = plan.acted_on(planned)
    moves = acted[acted["action"] == "relabel"]
    pairs = moves.groupby(["given_name", "new_name"]).size()
    pairs = pairs.sort_values(ascending=False, kind="stable")
    for (given, new), number in pairs.head(PAIRS).items():
        lines.append(f"  {number} from {given!r} to {new!r}")
    if len(pairs) > PAIRS:
        lines.append(f"  and {len(pairs) - PAIRS} pairs of classes more")
    for action, rows in acted.groupby("action", sort=False):
        first = rows.iloc[0]
        to = f" to {first['new_name']!r}" if action == "relabel" else ""
        lines.append(f"  {action}, for example: {first['id']!r}{to}")
    return lines
