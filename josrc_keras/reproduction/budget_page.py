"""The Markdown page of the runs within a budget, computed from their records."""

import itertools
import json
import math
import statistics

from josrc_keras import _files
from josrc_keras.configs import base
from josrc_keras.reproduction import (
    budget,
    figures,
    paper,
    tables,
    tables_page,
    templates,
)
from josrc_keras.runs import plots

INTRODUCTION = templates.read("budget.md")
# Lines of the choices in a figure; the paper's is dotted.
STYLES = ("-", "--", "-.", (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 2)))
LONGEST_NAME = 45  # Characters that fit below a panel.


def write(records, drawn=()):
    """Makes the page.

    Args:
        records: Records as `results.read_all` returns them.
        drawn: `(caption, relative path)` of each figure.

    Returns:
        The page, a Markdown text.
    """
    parts = ["# Within a budget of arithmetic", INTRODUCTION]
    groups = grouped(records)
    for dataset in dict.fromkeys(key[0] for key in groups):
        of_dataset = {key: v for key, v in groups.items() if key[0] == dataset}
        parts += [f"## {tables_page.TITLES[dataset]}", _accuracies(of_dataset)]
        found = _found(of_dataset)
        if found:
            parts += ["### What was found out about the labels", FOUND, found]
    parts += [f"## {caption}\n\n![{caption}]({path})" for caption, path in drawn]
    parts += ["## The runs", _runs(groups)]
    return "\n\n".join(parts) + "\n"


FOUND = (
    "By the audit of each run: AUROC of the label score for wrong labels, "
    "out-of-distribution images included; the noise rate, beside the true one; and "
    "AUROC of the evidence for out-of-distribution images among all images, where "
    "there are any. For training from scratch the best published is 0.63, SED's on "
    "CIFAR80N-O."
)


def grouped(records):
    """Records by `(dataset, cell, method, recipe, overrides, budget)`."""

    def key(record):
        run = record["run"]
        overrides = json.dumps(run["overrides"], sort_keys=True)
        fields = ("dataset", "cell", "method", "recipe")
        return (*(run[name] for name in fields), overrides, run["budget"])

    def place(record):
        dataset, cell, method, recipe, overrides, petaflop = key(record)
        cells, methods = list(tables.CELLS), list(tables.METHODS)
        choice = recipe != "lean", recipe, len(overrides), overrides
        of_method = methods.index(method), choice
        return dataset, cells.index(cell), petaflop, of_method, record["run"]["seed"]

    groups: dict = {}
    for record in sorted(records, key=place):
        groups.setdefault(key(record), []).append(record)
    return groups


def accuracy(record):
    """Test accuracy in percent: the mean over the last tenth of the epochs.

    It is that of the network that the method delivers.
    """
    adaptive = record["config"]["method"] == "josrc_adaptive"
    column = "val_teacher_accuracy" if adaptive else "val_accuracy"
    values = record["history"][column]
    return 100 * statistics.fmean(values[-max(math.ceil(len(values) / 10), 1) :])


def _accuracies(groups):
    header = ["noise", "PFLOP", "method", "recipe", "epochs", "seeds", "accuracy"]
    header += ["paper", "difference", "best published", "CPU hours"]
    rows = []
    for key, records in groups.items():
        dataset, cell, method, recipe, overrides, petaflop = key
        values = [accuracy(record) for record in records]
        papers = paper.ACCURACY[dataset].get(method, {}).get(cell)
        ahead = "" if papers is None else f"{statistics.fmean(values) - papers:+.1f}"
        rows.append(
            [
                cell,
                f"{petaflop:g}",
                _name(method, recipe),
                _choice(recipe, overrides),
                str(len(records[0]["history"]["epoch"])),
                ", ".join(str(record["run"]["seed"]) for record in records),
                f"**{tables_page.spread(values)}**",
                "" if papers is None else f"{papers:.2f}",
                ahead,
                f"{paper.BEST[dataset][cell]:.2f}",
                _mean([_hours(record) for record in records], 1),
            ]
        )
    return tables_page.markdown_table(header, rows)


def _hours(record):
    return record["summary"]["cpu_seconds"] / 3600


def _name(method, recipe):
    """What a method is called, which for `josrc` depends on the recipe."""
    if method == "josrc" and recipe in base.ADAPTIVE:
        return "Jo-SRC, adaptive"
    return tables_page.NAMES[method]


def _choice(recipe, overrides):
    given = json.loads(overrides).items()
    return ", ".join([recipe, *(f"{name}={value}" for name, value in given)])


def _mean(values, digits=2):
    known = [value for value in values if value is not None]
    return f"{statistics.fmean(known):.{digits}f}" if known else ""


def _found(groups):
    header = ["noise", "PFLOP", "method", "recipe", "wrong labels", "noise rate"]
    header += ["true", "out-of-distribution"]
    rows = []
    for key, records in groups.items():
        _, cell, method, recipe, overrides, petaflop = key
        audits = [record["audit"] for record in records if record.get("audit")]
        if audits:
            names = ["label_auroc", "noise_rate_estimated", "noise_rate"]
            names += ["ood_auroc_all"]
            numbers = [_mean([each[name] for each in audits]) for name in names]
            first = [cell, f"{petaflop:g}", _name(method, recipe)]
            rows.append([*first, _choice(recipe, overrides), *numbers])
    return tables_page.markdown_table(header, rows) if rows else ""


def _runs(groups):
    header = ["noise", "method", "recipe", "seed", "PFLOP", "accuracy", "minutes"]
    header += ["cores", "noise checksum", "device", "versions", "command"]
    rows = []
    for key, records in groups.items():
        for record in records:
            summary = record["summary"]
            rows.append(
                [
                    f"{key[0]} {key[1]}",
                    _name(*key[2:4]),
                    _choice(*key[3:5]),
                    str(record["run"]["seed"]),
                    f"{summary['petaflop']:.3f}",
                    f"{accuracy(record):.1f}",
                    str(math.ceil(summary["wall_seconds"] / 60)),
                    str(summary["cores"]),
                    f"`{summary['noise_checksum'][:12]}`",
                    summary["device"],
                    ", ".join(f"{k} {v}" for k, v in summary["versions"].items()),
                    f"`{summary['command']}`",
                ]
            )
    return tables_page.markdown_table(header, rows)


def draw(records, folder):
    """Draws accuracy against arithmetic, a figure for each dataset.

    Args:
        records: Records as `results.read_all` returns them.
        folder: Folder of the PNG files.

    Returns:
        `(caption, file name)` of each figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    drawn = []
    groups = grouped(records)
    for dataset in dict.fromkeys(key[0] for key in groups):
        name = f"accuracy_{dataset}.png"
        of_dataset = {key: v for key, v in groups.items() if key[0] == dataset}
        _draw_dataset(folder / name, of_dataset)
        caption = f"Accuracy against arithmetic, {tables_page.TITLES[dataset]}"
        drawn.append((caption, name))
    return drawn


def _draw_dataset(path, groups):
    """Draws a panel for each cell: each run by its epochs, the paper as a line.

    The colour of a run says which method it has, its line which recipe and overrides.
    """
    pyplot = plots.import_pyplot()
    cells = [cell for cell in tables.CELLS if any(key[1] == cell for key in groups)]
    figure, axes = pyplot.subplots(
        1,
        len(cells),
        figsize=(max(4.0 * len(cells), 6.4), 4.2),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    names: dict = {}
    choices = sorted(
        {key[3:5] for key in groups},
        key=lambda each: (each[0] != "lean", len(each[1]), each),
    )
    styles = dict(zip(choices, itertools.cycle(STYLES), strict=False))
    for ax, cell in zip(axes[0], cells, strict=True):
        dataset = next(iter(groups))[0]
        papers = paper.ACCURACY[dataset]["josrc"][cell]
        line = ax.axhline(papers, color="#444444", linestyle=":")
        names[f"the paper, {budget.PAPER} PFLOP"] = line
        for key, records in groups.items():
            if key[1] == cell:
                for record in records:
                    label = f"{_name(*key[2:4])}, {_choice(*key[3:5])}"
                    names[label] = _curve(ax, record, styles[key[3:5]])
        ax.set_title(cell)
        ax.set_xlabel("PFLOP")
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("test accuracy, %")
    # A panel is as wide as a short name, and two columns are as wide as two panels.
    short = max(map(len, names)) <= LONGEST_NAME
    columns = 2 if short and len(cells) > 1 else 1
    figure.legend(names.values(), names, loc="outside lower center", ncols=columns)
    _files.remove_unfinished(path.parent, path.name)
    with _files.replacing(path) as beside:
        figure.savefig(beside, dpi=120, format="png")
    pyplot.close(figure)


def _curve(ax, record, style):
    adaptive = record["config"]["method"] == "josrc_adaptive"
    column = "val_teacher_accuracy" if adaptive else "val_accuracy"
    values = [100 * value for value in record["history"][column]]
    each = record["summary"]["petaflop"] / len(values)
    colour = figures.COLOURS.get(record["run"]["method"])
    (line,) = ax.plot(
        [each * (i + 1) for i in range(len(values))], values, style, color=colour
    )
    return line
