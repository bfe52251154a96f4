"""The paper's Figures 3, 4 and 5, drawn from the histories in the records."""

import statistics
from pathlib import Path

from josrc_keras import _files
from josrc_keras.reproduction import tables, tables_page
from josrc_keras.runs import plots

COLOURS = {
    "standard": "#999999",
    "decoupling": "#8c564b",
    "coteaching": "#e377c2",
    "coteaching_plus": "#bcbd22",
    "jocor": "#d62728",
    "dividemix": "#17becf",
    "mlnt": "#9467bd",
    "meta_cleaner": "#7f7f00",
    "deepself": "#b15928",
    "cleannet": "#6a3d9a",
    "cleannet_hard": "#cab2d6",
    "josrc-c": "#8c6bb1",
    "josrc-ci": "#41ab5d",
    "josrc-cio": "#d98032",
    "josrc": "#1f4e8c",
}
KINDS = {
    "accuracy_clean": ("clean, against the label", "#2a7f4f"),
    "accuracy_id_given": ("in-distribution noise, against the given label", "#d98032"),
    "accuracy_id_true": ("in-distribution noise, against the true label", "#1f4e8c"),
    "accuracy_ood_given": ("out of distribution, against the given label", "#7a4fa3"),
}


def draw(records, folder):
    """Draws the figures that the records have numbers for, a file for each dataset.

    Args:
        records: Records as `results.read_all` returns them.
        folder: Folder of the PNG files.

    Returns:
        `(caption, file name)` of each figure that was drawn.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    drawn = []
    plain = {
        key: found
        for key, found in tables_page.grouped(records).items()
        if key[3] == "paper" and key[4] == "{}"
    }
    for dataset in dict.fromkeys(key[0] for key in plain):
        groups = {key[1:3]: v for key, v in plain.items() if key[0] == dataset}
        for number, caption, draw_one in (
            (3, "test accuracy of the student", _draw_accuracy),
            (4, "precision of the clean verdict", _draw_precision),
            (5, "training accuracy by what the samples are", _draw_kinds),
        ):
            name = f"figure{number}_{dataset}.png"
            if draw_one(Path(folder) / name, groups):
                drawn.append((f"Figure {number}: {caption}, {dataset}", name))
    return drawn


def _draw_accuracy(path, groups):
    return _draw_methods(path, groups, "val_accuracy", "test accuracy, %")


def _draw_precision(path, groups):
    label = "precision of the clean verdict, %"
    return _draw_methods(path, groups, "clean_precision", label)


def _draw_methods(path, groups, column, label):
    """Draws a panel for each cell with a line for each method. False without lines."""
    lines = {
        (cell, method): [(column, tables_page.NAMES[method], COLOURS.get(method))]
        for cell, method in groups
    }
    cells = _cells(groups)
    panels = [[[(cell, method) for method in tables.METHODS] for cell in cells]]
    return _draw_panels(path, groups, panels, lines, cells, [label])


def _draw_kinds(path, groups):
    """Draws a panel for each method and cell with a line for each kind of samples."""
    kinds = [(column, name, colour) for column, (name, colour) in KINDS.items()]
    lines = dict.fromkeys(groups, kinds)
    cells = _cells(groups)
    compared = [m for m in tables.COMPARED if any(key[1] == m for key in groups)]
    panels = [[[(cell, method)] for cell in cells] for method in compared]
    labels = [f"{tables_page.NAMES[method]}, %" for method in compared]
    return _draw_panels(path, groups, panels, lines, cells, labels)


def _cells(groups):
    return [cell for cell in tables.CELLS if any(key[0] == cell for key in groups)]


def _draw_panels(path, groups, panels, lines, titles, labels):
    """Draws rows of panels.

    Args:
        path: Path of the PNG file.
        groups: Dict from `(cell, method)` to records.
        panels: Rows of panels, each a list of keys, which `groups` need not have.
        lines: Dict from a key to `(column of the history, name, colour)` of each line.
        titles: A title for each column of panels.
        labels: A label for each row.

    Returns:
        Whether there was anything to draw.
    """
    if not panels:
        return False
    pyplot = plots.import_pyplot()
    rows, columns = len(panels), len(titles)
    figure, axes = pyplot.subplots(
        rows,
        columns,
        figsize=(max(4.0 * columns, 6.4), 2.7 * rows + 1.2),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    names = {}
    for row, label, of_row in zip(axes, labels, panels, strict=True):
        row[0].set_ylabel(label)
        for ax, keys in zip(row, of_row, strict=True):
            for key in keys:
                for column, name, colour in lines.get(key, ()):
                    # A column of zeros means that there is no such sample.
                    if any(groups[key][0]["history"].get(column, ())):
                        names[name] = _band(ax, groups[key], column, color=colour)
            ax.grid(alpha=0.25)
            ax.spines[["top", "right"]].set_visible(False)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    for ax in axes[-1]:
        ax.set_xlabel("epoch")
    if names:
        figure.legend(
            names.values(),
            names.keys(),
            loc="outside lower center",
            ncols=min(len(names), 4 if columns > 2 else columns),
            frameon=False,
        )
        with _files.replacing(path) as beside:
            figure.savefig(beside, dpi=110)
    pyplot.close(figure)
    return bool(names)


def _band(ax, records, column, **style):
    """Draws the mean over the seeds as a line, and lowest to highest as a band."""
    histories = [record["history"] for record in records]
    epochs = histories[0]["epoch"]
    values = list(zip(*(h[column] for h in histories), strict=True))
    mean = [100 * statistics.fmean(each) for each in values]
    (line,) = ax.plot(epochs, mean, linewidth=1.4, **style)
    low, high = ([100 * pick(each) for each in values] for pick in (min, max))
    ax.fill_between(epochs, low, high, alpha=0.15, linewidth=0, color=line.get_color())
    return line
