"""The pictures of a run, from its history."""

from josrc_keras import _checks, _files, _runtime
from josrc_keras.runs.folder import network_columns

BARS = 50  # Number of bars that the bins of the metric's histogram are merged into.

COLOURS = {"clean": "#2a7f4f", "id": "#d98032", "ood": "#7a4fa3"}
NAMES = {
    "clean": "clean",
    "id": "in-distribution noise",
    "ood": "out-of-distribution",
}


def import_pyplot():
    """Matplotlib's `pyplot`, set to draw into files.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    with _runtime.fonts_elsewhere():
        needs = "The plots need matplotlib"
        _checks.imported("matplotlib", needs, "report").use("Agg")
        from matplotlib import pyplot
    return pyplot


def draw_all(folder, history, histogram=None):
    """Draws those plots for which a run's history has the numbers.

    Args:
        folder: A `pathlib.Path`, the folder of the PNG files.
        history: A list of a dict for each epoch, as `callbacks.RunCheckpoint` keeps.
        histogram: Counts of the clean likelihood by truth, as
            `metrics.SelectionQuality.histograms` returns, or None.

    Returns:
        The list of paths that were written; empty without a history.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    if not history:
        return []
    drawn = {
        "accuracy": (_draw_accuracy, "val_accuracy" in history[-1]),
        "fractions": (_draw_fractions, "clean_fraction" in history[-1]),
        "precision": (_draw_precision, "clean_precision" in history[-1]),
        "clean_likelihood": (_draw_likelihood, histogram is not None),
    }
    pyplot = import_pyplot()
    paths = []
    for name, (draw, possible) in drawn.items():
        if not possible:
            continue
        figure, axes = pyplot.subplots(figsize=(7, 4.6), layout="constrained")
        draw(axes, history, histogram)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        path = folder / f"{name}.png"
        with _files.replacing(path) as beside:
            figure.savefig(beside, dpi=120)
        pyplot.close(figure)
        paths.append(path)
    return paths


def _line(axes, history, key, **style):
    points = [(row["epoch"], row[key]) for row in history if key in row]
    style.setdefault("marker", "o" if len(points) < 2 else "")
    axes.plot(*zip(*points, strict=True), **style)


def _draw_accuracy(axes, history, _):
    columns = network_columns(history[-1])
    colours = {"student": "#1f4e8c", "teacher": "#b3541e"}
    for network, column in columns.items():
        label = f"{network}, test" if len(columns) > 1 else "test"
        _line(axes, history, column, label=label, color=colours[network])
    if "accuracy" in history[-1]:
        _line(
            axes,
            history,
            "accuracy",
            label="training, against the given (noisy) labels",
            color="#999999",
            linestyle="--",
        )
    axes.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1.02), title="Accuracy")


def _draw_fractions(axes, history, _):
    for kind, name in NAMES.items():
        _line(axes, history, f"{kind}_fraction", label=name, color=COLOURS[kind])
    _line(
        axes,
        history,
        "tau_clean",
        label="threshold on the clean likelihood",
        color="#999999",
        linestyle="--",
    )
    axes.set(
        xlabel="epoch",
        ylabel="share of the samples; threshold",
        ylim=(0, 1.02),
        title="How the samples are sorted",
    )


def _draw_precision(axes, history, _):
    for kind, name in NAMES.items():
        _line(axes, history, f"{kind}_precision", label=name, color=COLOURS[kind])
        _line(
            axes,
            history,
            f"{kind}_recall",
            label=f"{name}, recall",
            color=COLOURS[kind],
            linestyle=":",
        )
    axes.set(
        xlabel="epoch",
        ylabel="precision (recall dotted)",
        ylim=(0, 1.02),
        title="How right the verdicts are",
    )


def _draw_likelihood(axes, history, histogram):
    merged = max(1, len(histogram["clean"]) // BARS)
    edges = histogram["edges"][::merged]
    width = edges[1] - edges[0]
    bottom = [0] * (len(edges) - 1)
    for kind, name in NAMES.items():
        counts = [
            sum(histogram[kind][start : start + merged])
            for start in range(0, len(histogram[kind]), merged)
        ]
        colour = COLOURS[kind]
        axes.bar(
            edges[:-1], counts, width, bottom, align="edge", label=name, color=colour
        )
        bottom = [b + c for b, c in zip(bottom, counts, strict=True)]
    if "tau_clean" in history[-1]:
        tau = history[-1]["tau_clean"]
        axes.axvline(tau, color="#999999", linestyle="--", label="threshold")
    axes.set(
        xlabel="clean likelihood",
        ylabel="training samples",
        xlim=(0, 1),
        title="Clean likelihood in the last epoch, by what the samples are",
    )
