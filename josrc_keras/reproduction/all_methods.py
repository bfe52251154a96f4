"""A table of all methods, a line each, on rows of the suite that they share."""

import statistics

from josrc_keras.reproduction import tables_page
from josrc_keras.runs.methods import METHODS

TEXT = (
    "A line for each method, the paper's of Tables 3 and 4 included. Accuracies are as "
    "above, and \\* is told the share of wrong labels. CleanNet is told of a tenth of "
    "the labels whether they are right. The last columns say how well a method "
    "tells right labels from wrong ones at the last epoch, as a mean over the seeds of "
    "rows with errors: the AUROC of its ranking, and precision and recall of the "
    "labels that it calls clean. All have the values of their papers, or those "
    "of `configs/_compared.py` where that says so. None was tuned on a row."
)
VERDICTS = ("clean_auroc", "clean_precision", "clean_recall")
HEADER = ("AUROC", "precision", "recall")


def table(values, captions, records):
    """Makes the table.

    Args:
        values: Percentages by row of the suite, column and seed.
        captions: Names of the columns that are methods.
        records: Records by row and column, a list each.

    Returns:
        A Markdown table; empty where no method of Tables 3 and 4 has been run.
    """
    later = [
        name
        for name in captions
        if name[0] in METHODS and not METHODS[name[0]].on_cifar
    ]
    rows = [row for row in values if any(name in values[row] for name in later)]
    if not rows:
        return ""
    lines, means = [], {}
    for name, caption in captions.items():
        cells = [values[row].get(name, {}) for row in rows]
        if not any(cells):
            continue
        texts = [tables_page.spread(list(each.values())) for each in cells]
        if all(cells):
            means[caption] = statistics.fmean(
                statistics.fmean(each.values()) for each in cells
            )
        noisy = [
            record
            for row in rows
            if not row.clean
            for record in records.get((row, name), [])
        ]
        mean = f"{means[caption]:.1f}" if caption in means else ""
        lines.append([caption, *texts, mean, *_verdicts(noisy)])
    header = ["", *(f"{row.dataset}, {row.cell}" for row in rows), "mean", *HEADER]
    best = max(means.values(), default=None)
    for line in lines:
        if best is not None and line[1 + len(rows)] == f"{best:.1f}":
            line[1 + len(rows)] = f"**{best:.1f}**"
    return tables_page.markdown_table(header, lines)


def _verdicts(records):
    """Means over records at their last epochs, empty where a method sorts nothing."""
    last = [tables_page.rows_of(record)[-1] for record in records]
    found = []
    for name in VERDICTS:
        numbers = [row[name] for row in last if row.get(name) is not None]
        found.append(f"{statistics.fmean(numbers):.2f}" if numbers else "")
    return found
