"""Tables of all methods, a line each, on rows of the suite that they share."""

import statistics

from josrc_keras.reproduction import tables_page
from josrc_keras.runs.methods import METHODS

TEXT = (
    "A line for each method, the paper's of Tables 3 and 4 included, and a table for "
    "the rows of digits and one for those of CIFAR-100. Accuracies are as above, over "
    "the seeds of a row that all of its methods have. \\* is told the share of wrong "
    "labels, and CleanNet of a tenth of the labels whether they are right. The mean is "
    "over the rows of the table, for methods that have them all. The last columns say "
    "how well a method tells right labels from wrong ones at the last epoch, as a mean "
    "over its rows with errors: the AUROC of its ranking, and precision and recall of "
    "the labels that it calls clean. All methods have the values of their papers, or "
    "those of `configs/_compared.py` where that says so. None was tuned on a row."
)
VERDICTS = ("clean_auroc", "clean_precision", "clean_recall")
HEADER = ("AUROC", "precision", "recall")


def tables(values, captions, records):
    """Makes the tables.

    Args:
        values: Percentages by row of the suite, column and seed.
        captions: Names of the columns that are methods.
        records: Records by row and column, a list each.

    Returns:
        Markdown tables, one for each kind of images; none where no method of Tables 3
        and 4 has been run.
    """
    later = [
        name
        for name in captions
        if name[0] in METHODS and not METHODS[name[0]].on_cifar
    ]
    kinds: dict = {}
    for row in values:
        if any(name in values[row] for name in later):
            kinds.setdefault(row.dataset.rstrip("0123456789"), []).append(row)
    return [_table(values, captions, records, rows) for rows in kinds.values()]


def _table(values, captions, records, rows):
    found = {
        name: caption
        for name, caption in captions.items()
        if any(values[row].get(name) for row in rows)
    }
    values = {row: _of_shared_seeds(values[row], found) for row in rows}
    means = {
        name: statistics.fmean(
            statistics.fmean(values[row][name].values()) for row in rows
        )
        for name in found
        if all(values[row].get(name) for row in rows)
    }
    lines = []
    for name, caption in found.items():
        texts = [
            tables_page.spread(list(values[row].get(name, {}).values())) for row in rows
        ]
        mean = f"{means[name]:.1f}" if name in means else ""
        if name in means and means[name] == max(means.values()):
            mean = f"**{mean}**"
        noisy = [
            record
            for row in rows
            if not row.clean
            for record in records.get((row, name), [])
            if record["run"]["seed"] in values[row][name]
        ]
        lines.append([caption, *texts, mean, *_verdicts(noisy)])
    header = ["", *(f"{row.dataset}, {row.cell}" for row in rows)]
    header += [f"mean of {len(rows)}", *HEADER]
    return tables_page.markdown_table(header, lines)


def _of_shared_seeds(of_row, methods):
    """The values of each method, of the seeds that all methods of the row have."""
    seeds = [set(of_row[name]) for name in methods if of_row.get(name)]
    shared = set.intersection(*seeds)
    return {
        name: {seed: each[seed] for seed in each if seed in shared}
        for name, each in of_row.items()
    }


def _verdicts(records):
    """Means over records at their last epochs, empty where a method sorts nothing."""
    last = [tables_page.rows_of(record)[-1] for record in records]
    found = []
    for name in VERDICTS:
        numbers = [row[name] for row in last if row.get(name) is not None]
        found.append(f"{statistics.fmean(numbers):.2f}" if numbers else "")
    return found
