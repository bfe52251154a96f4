"""The Markdown page of the robustness suite, computed from its records."""

import json
import statistics

from josrc_keras.reproduction import (
    ablation,
    all_methods,
    robustness,
    tables_page,
    templates,
)
from josrc_keras.reproduction.suite_values import (
    ADAPTIVE,
    ORDINARY,
    PAPER,
    accuracies,
    stopped,
)
from josrc_keras.runs.methods import COMPARED, METHODS, ON_CIFAR

STOP = "stop"  # Ordinary training at the epoch that held-out noisy labels choose.
ALL: dict = {
    ORDINARY: "ordinary, at its end",
    STOP: "ordinary, stopped",
    **{
        (name, "paper"): METHODS[name].title + "\\*" * METHODS[name].told
        for name in COMPARED[1:]
    },
    PAPER: "Jo-SRC, paper",
    ADAPTIVE: "Jo-SRC, adaptive",
}
# The wide table has these columns. `all_methods` has a line for every method.
CAPTIONS = {
    name: caption
    for name, caption in ALL.items()
    if name == STOP or name[0] in (*ON_CIFAR, "josrc")
}
INTRODUCTION = templates.read("robustness.md")


def write(records):
    """Makes the page.

    Args:
        records: Records as `results.read_all` returns them.

    Returns:
        The page, a Markdown text.
    """
    groups = _grouped(records)
    parts = ["# Robustness suite", INTRODUCTION]
    for half, title in (("report", "The reported half"), ("develop", "Developed on")):
        found = _plain(groups, half)
        if found:
            parts += [f"## {title}", _compared(found)]
        if half == "report" and found:
            parts += [_claims(found)]
            every = all_methods.tables(found, ALL, _by_column(groups))
            if every:
                parts += ["## All methods", all_methods.TEXT, *every]
            doubt = _doubt(groups)
            if doubt:
                parts += ["## What the method says of the labels", doubt]
    ideas = ablation.table(groups)
    if ideas:
        parts += ["## What each idea contributes", ideas]
    parts += ["## The runs", _runs(records)]
    return "\n\n".join(parts) + "\n"


def _grouped(records):
    """Records by `(row, (method, recipe), overrides)`, seeds together."""
    groups: dict = {}
    for record in records:
        run = record["run"]
        row = robustness.BY_NAME[run["dataset"], run["cell"]]
        method = run["method"], run["recipe"]
        overrides = json.dumps(run["overrides"], sort_keys=True)
        key = row.dataset, row.cell, method, overrides
        groups.setdefault(key, []).append(record)
    return groups


def _plain(groups, half):
    """Values by row, column and seed, of the runs without overrides."""
    found: dict = {}
    for row in robustness.ROWS:
        values = {}
        for (dataset, cell, method, overrides), records in groups.items():
            if (dataset, cell) == (row.dataset, row.cell) and overrides == "{}":
                seeds = [record["run"]["seed"] for record in records]
                if method in ALL:
                    each = accuracies(records, method)
                    values[method] = dict(zip(seeds, each, strict=True))
                if method == ORDINARY:
                    each = [stopped(record) for record in records]
                    values[STOP] = dict(zip(seeds, each, strict=True))
        if row.half == half and values:
            found[row] = values
    return found


def _by_column(groups):
    """Records of runs without overrides, by `(row, (method, recipe))`."""
    return {
        (robustness.BY_NAME[dataset, cell], method): records
        for (dataset, cell, method, overrides), records in groups.items()
        if overrides == "{}"
    }


def _columns(found):
    return [
        name for name in CAPTIONS if any(name in values for values in found.values())
    ]


def _compared(found):
    columns = _columns(found)
    header = ["data", "noise", "seeds", *(CAPTIONS[name] for name in columns)]
    rows = []
    for row, every in found.items():
        values = {name: each for name, each in every.items() if name in columns}
        best = max((_mean(each) for each in values.values()), default=None)
        seeds = max((len(each) for each in values.values()), default=0)
        cells = []
        for name in columns:
            each = values.get(name, {})
            text = tables_page.spread(list(each.values()))
            text = f"**{text}**" if text and _mean(each) == best else text
            fewer = 0 < len(each) < seeds
            cells.append(f"{text} ({len(each)} of {seeds})" if fewer else text)
        rows.append([row.dataset, row.cell, str(seeds), *cells])
    half = [row for row in robustness.ROWS if row.half == next(iter(found)).half]
    missing = [row for row in half if row not in found]
    for title, kept in (
        ("mean of the noisy rows", [r for r in found if not r.clean]),
        ("mean of all rows", list(found)),
    ):
        noisy = title.endswith("noisy rows")
        of_kind = [row for row in missing if not (noisy and row.clean)]
        if of_kind:
            rows.append([f"{title}: {len(of_kind)} are not run yet"])
            rows[-1] += [""] * (len(header) - 1)
            continue
        cells = []
        for name in columns:
            of_rows = [found[row].get(name) for row in kept]
            whole = kept and all(of_rows)
            means = [_mean(each) for each in of_rows] if whole else []
            cells.append(f"{statistics.fmean(means):.1f}" if means else "")
        rows.append([title, "", "", *cells])
    return tables_page.markdown_table(header, rows)


def _claims(found):
    """How far the adaptive method is ahead, in points, by row and in the mean.

    Differences are over the seeds that both methods have been run with.
    """
    wanted = [row for row in robustness.ROWS if row.half == "report"]
    if not all({ADAPTIVE, ORDINARY} <= found.get(row, {}).keys() for row in wanted):
        return "Not all rows have been run."
    noisy = [row for row in found if not row.clean]
    clean = [row for row in found if row.clean]

    def ahead(rows, name):
        """Differences by row and seed; empty if some row has no seed in common."""
        differences = []
        for row in rows:
            ours, theirs = found[row][ADAPTIVE], found[row].get(name, {})
            both = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
            if not both:
                return []
            differences.append(both)
        return differences

    lines = [
        _line("ordinary training at its end, noisy rows", ahead(noisy, ORDINARY)),
        _line("ordinary training stopped, noisy rows", ahead(noisy, STOP)),
        _line("ordinary training at its end, clean rows", ahead(clean, ORDINARY)),
    ]
    for name in _columns(found):
        if name in (ORDINARY, STOP, ADAPTIVE):
            continue
        differences = ahead(list(found), name)
        if differences:
            lines.append(_line(f"{CAPTIONS[name]}, all rows", differences))
    text = (
        "The differences are in points of accuracy, over the seeds that both have. The "
        "last column counts rows with several seeds in which the adaptive method is "
        "ahead by more than the standard deviation of the difference over the seeds."
    )
    header = ["the adaptive method against", "mean", "least", "most", "rows ahead"]
    header += ["by more than seeds differ"]
    return f"{text}\n\n{tables_page.markdown_table(header, lines)}"


def _mean(by_seed):
    return statistics.fmean(by_seed.values())


def _line(name, differences):
    """A row of the table of claims, from the differences by row and seed."""
    if not differences:
        return [name, *[""] * 5]
    means = [statistics.fmean(each) for each in differences]
    ahead = [mean > 0 for mean in means]
    clearly = [
        statistics.fmean(each) > statistics.stdev(each)
        for each in differences
        if len(each) > 1
    ]
    numbers = [f"{pick(means):+.1f}" for pick in (statistics.fmean, min, max)]
    counts = [
        f"{sum(which)} of {len(which)}" if which else "" for which in (ahead, clearly)
    ]
    return [name, *numbers, *counts]


def _doubt(groups):
    """The labels of the reported half, as the adaptive method judges them and as known.

    The table has percentages of the training images at the last epoch, and the AUROC
    of trust, as means over the seeds.
    """
    rows = []
    for row in robustness.ROWS:
        found = groups.get((row.dataset, row.cell, ADAPTIVE, "{}"), [])
        if row.half != "report" or not found:
            continue
        last = [tables_page.rows_of(record)[-1] for record in found]
        columns = [
            [100 * (1 - right_share(values)) for values in last],
            [100 * values["noise_rate"] for values in last],
            [100 * (1 - values["clean_fraction"]) for values in last],
        ]
        auroc = (
            "" if row.clean else tables_page.spread([v["clean_auroc"] for v in last], 2)
        )
        cells = [tables_page.spread(each) for each in columns]
        rows.append([row.dataset, row.cell, *cells, auroc])
    if not rows:
        return ""
    text = (
        "Numbers are in percent of the training images, at the last epoch. *Wrong* is "
        "the true share of wrong labels, out-of-distribution images included. *Noise "
        "rate* is the method's working estimate. It is counted among images that the "
        "network is sure of, and usually too low (`josrc_keras.audit` estimates the "
        "real share). The next column is the share of labels that it trusts by at most "
        "a half. Other labels are trusted in part, too: the AUROC says how well trust "
        "tells right labels from wrong ones."
    )
    header = ["data", "noise", "wrong", "noise rate", "trusted by at most ½", "AUROC"]
    return f"{text}\n\n{tables_page.markdown_table(header, rows)}"


def right_share(values):
    """The share of rightly labelled samples, from an epoch's verdicts and truth."""
    judged = values["clean_fraction"] * values["clean_precision"]
    return judged / values["clean_recall"] if values["clean_recall"] else 0.0


def _runs(records):
    header = ["data", "noise", "method", "recipe", "changed", "seed", "student"]
    header += ["teacher", "noise checksum", "minutes", "device", "versions", "command"]
    rows = []
    for record in records:
        run, summary = record["run"], record["summary"]
        changed = ", ".join(f"{k}={v}" for k, v in run["overrides"].items())
        student, teacher = (
            tables_page.accuracy(record, n) for n in ("student", "teacher")
        )
        rows.append(
            [
                run["dataset"],
                run["cell"],
                METHODS[run["method"]].title,
                run["recipe"] if run["method"] == "josrc" else "",
                changed,
                str(run["seed"]),
                tables_page.within(student),
                tables_page.within(teacher),
                f"`{summary['noise_checksum'][:12]}`",
                f"{summary['wall_seconds'] / 60:.1f}",
                summary["device"],
                ", ".join(f"{k} {v}" for k, v in summary["versions"].items()),
                f"`{summary['command']}`",
            ]
        )
    return tables_page.markdown_table(header, rows)
