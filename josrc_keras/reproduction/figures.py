"""The paper's Figures 3, 4 and 5, drawn from the histories in the records."""

import statistics
from pathlib import Path

from josrc_keras import files, plots
from josrc_keras.reproduction import grid, page

COLOURS = {
    "standard": "#999999",
    "decoupling": "#8c564b",
    "coteaching": "#e377c2",
    "coteaching_plus": "#bcbd22",
    "jocor": "#d62728",
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
STYLES = {"standard": "--", "josrc": "-"}


def draw(records, folder):
    """Draws what the records have the numbers for, a file a dataset and figure.

    Args:
        records: What `records.read_all` found.
        folder: Where the PNG files go.

    Returns:
        `(caption, file name)` of each figure that was drawn.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    drawn = []
    plain = {
        key: found
        for key, found in page.grouped(records).items()
        if key[3] == "paper" and key[4] == "{}"
    }
    for dataset in dict.fromkeys(key[0] for key in plain):
        groups = {key[1:3]: v for key, v in plain.items() if key[0] == dataset}
        for number, caption, panel in (
            (3, "test accuracy of the student", _accuracy_panel),
            (4, "precision of the clean verdict", _precision_panel),
            (5, "training accuracy by what the samples are", _kinds_panel),
        ):
            name = f"figure{number}_{dataset}.png"
            if _draw(Path(folder) / name, groups, panel):
                drawn.append((f"Figure {number}: {caption}, {dataset}", name))
    return drawn


def _draw(path, groups, panel):
    """One panel for each cell; False if no panel had anything to draw."""
    cells = [cell for cell in grid.CELLS if any(key[0] == cell for key in groups)]
    pyplot = plots.import_pyplot()
    size = (4.2 * len(cells), 4.2)
    figure, axes = pyplot.subplots(
        1, len(cells), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    lines: dict = {}
    for cell, ax in zip(cells, axes[0], strict=True):
        of_cell = {method: v for (c, method), v in groups.items() if c == cell}
        lines |= panel(ax, of_cell)
        ax.set(title=cell, xlabel="epoch")
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    if lines:
        axes[0][0].set_ylabel(panel.__doc__.rstrip("."))
        columns = min(len(lines), 2 if len(cells) < 3 else 4)
        figure.legend(
            lines.values(),
            lines.keys(),
            loc="outside lower center",
            ncols=columns,
            frameon=False,
        )
        with files.replacing(path) as beside:
            figure.savefig(beside, dpi=110)
    pyplot.close(figure)
    return bool(lines)


def _accuracy_panel(ax, groups):
    """Test accuracy, %."""
    return {
        page.NAMES[method]: _band(ax, found, "val_accuracy", color=COLOURS[method])
        for method, found in groups.items()
    }


def _precision_panel(ax, groups):
    """Precision of the clean verdict, %."""
    return {
        page.NAMES[method]: _band(ax, found, "clean_precision", color=COLOURS[method])
        for method, found in groups.items()
        if "clean_precision" in found[0]["history"]
    }


def _kinds_panel(ax, groups):
    """Training accuracy, %."""
    return {
        f"{page.NAMES[method]}: {name}": _band(
            ax, found, column, color=colour, linestyle=STYLES[method]
        )
        for method, found in groups.items()
        for column, (name, colour) in KINDS.items()
        if method in STYLES and column in found[0]["history"]
    }


def _band(ax, records, column, **style):
    """The mean over the seeds as a line, from lowest to highest as a band."""
    histories = [record["history"] for record in records]
    epochs = histories[0]["epoch"]
    values = list(zip(*(h[column] for h in histories), strict=True))
    mean = [100 * statistics.fmean(each) for each in values]
    (line,) = ax.plot(epochs, mean, linewidth=1.4, **style)
    low, high = ([100 * pick(each) for each in values] for pick in (min, max))
    ax.fill_between(epochs, low, high, alpha=0.15, linewidth=0, color=line.get_color())
    return line
