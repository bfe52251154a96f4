"""The Markdown page of a protocol, computed from the histories in its records."""

import itertools
import json
import math
import statistics

from josrc_keras.metrics import AccuracyByKind
from josrc_keras.reproduction import paper, tables, templates
from josrc_keras.runs import summary as runs_summary
from josrc_keras.runs.methods import METHODS

TEXTS = json.loads(templates.read("tables.json"))
NAMES = {
    **{name: method.title + "*" * method.told for name, method in METHODS.items()},
    "josrc-c": "Jo-SRC-C",
    "josrc-ci": "Jo-SRC-CI",
    "josrc-cio": "Jo-SRC-CIO",
}
# Overrides of these fields leave the protocol, so that its claims exclude such runs.
SHORTER = (
    "epochs",
    "data.train_size",
    "data.image_size",
    "augmentation.size",
    "network.name",
    "network.width",
    "network.weights",
)
TITLES = {
    "cifar100n_c": "Table 1: CIFAR100N-C",
    "cifar80n_o": "Table 2: CIFAR80N-O",
    "clothing1m_resnet18": "Table 3: Clothing1M, ResNet-18",
    "clothing1m_resnet50": "Table 3: Clothing1M, ResNet-50",
    "food101n_resnet50": "Table 4: Food-101N, ResNet-50",
    "cifar8n_o": "As Table 2: CIFAR8N-O",
    "digits8n_o": "As Table 2: digits 0 to 7, with 8 and 9 out-of-distribution",
}


def write(records, protocol, figures=()):
    """Makes the page.

    Args:
        records: Records as `results.read_all` returns them.
        protocol: One of `tables.PROTOCOLS`.
        figures: `(caption, relative path)` of each figure.

    Returns:
        The page, a Markdown text.
    """
    title, introduction = TEXTS["introduction"][protocol]
    groups = grouped(records)
    parts = [
        f"# {title}",
        "Written by `josrc-reproduce` from the histories in the JSON files beside it; "
        "do not edit.",
        introduction,
        "Accuracies are on clean test labels, in percent: the mean of the last 10 "
        "epochs, then the mean over the seeds and, after ±, their standard deviation. "
        "The best epoch is picked on the test images, so it is optimistic: it is shown "
        "for reference only.",
    ]
    if any(key[2] in METHODS and METHODS[key[2]].told for key in groups):
        parts.append(TEXTS["told"])
    if protocol == "full":
        parts.append(TEXTS["unchecked"])
    for dataset in dict.fromkeys(key[0] for key in groups):
        of_dataset = {k: v for k, v in groups.items() if k[0] == dataset}
        parts += [f"## {TITLES[dataset]}", _accuracies(of_dataset)]
        beside_best = _against_best(of_dataset)
        if beside_best:
            heading = f"## Beside the best published, {TITLES[dataset]}"
            parts += [heading, TEXTS["best"], beside_best]
        if any(key[2] in ("josrc-c", "josrc-ci", "josrc-cio") for key in of_dataset):
            parts += ["## Table 6: what each part contributes", _ablation(of_dataset)]
        if all(key[1] == paper.AS_GIVEN for key in of_dataset):
            continue  # Nobody knows which of the dataset's labels are right.
        parts += [
            "## Table 5: how right the verdicts are",
            "Precision / recall / F1 over a training epoch, and the area under the "
            "ROC curve of the clean likelihood (for methods other than Jo-SRC, of "
            "`exp(-loss)`). All are means over the seeds.",
            _verdicts(of_dataset),
            "## Figure 5 in numbers: what training has learnt in the last epoch",
            "Training accuracy in percent, as a mean over the seeds: on clean samples, "
            "on in-distribution noise against the given (wrong) and the true label, "
            "and on out-of-distribution samples against the given label.",
            _learnt(of_dataset),
        ]
    parts += [f"## {caption}\n\n![{caption}]({path})" for caption, path in figures]
    parts += ["## The runs", _runs(groups)]
    return "\n\n".join(parts) + "\n"


def grouped(records):
    """Records by `(dataset, cell, method, recipe, overrides)`, seeds together."""

    def key(record):
        run = record["run"]
        return (
            run["dataset"],
            list(tables.CELLS).index(run["cell"]),
            list(tables.METHODS).index(run["method"]),
            run["recipe"],
            # Runs without overrides come first.
            (bool(run["overrides"]), json.dumps(run["overrides"], sort_keys=True)),
        )

    ordered = sorted(records, key=lambda record: (key(record), record["run"]["seed"]))
    return {
        (k[0], [*tables.CELLS][k[1]], [*tables.METHODS][k[2]], k[3], k[4][1]): list(
            same
        )
        for k, same in itertools.groupby(ordered, key)
    }


def rows_of(record):
    """The history of a record, as a list of a dict for each epoch."""
    columns = record["history"]
    return [
        {k: v for k, v in zip(columns, values, strict=True) if v is not None}
        for values in zip(*columns.values(), strict=True)
    ]


def accuracy(record, network):
    """The accuracy of `"student"` or `"teacher"`, as `summary.accuracy` returns it."""
    names = {"student": "val_accuracy", "teacher": "val_teacher_accuracy"}
    return runs_summary.accuracy(rows_of(record), names[network])


def _over_seeds(records, network, field):
    found = [accuracy(record, network) for record in records]
    return [100 * each[field] for each in found if each is not None]


def spread(values, digits=1):
    """The mean of values and, after ±, their deviation; empty without values."""
    if not values:
        return ""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{deviation}"


def _choice(key):
    overrides = json.loads(key[4])
    return ", ".join([key[3], *(f"{k}={v}" for k, v in overrides.items())])


def _is_shorter(key):
    """Whether overrides shorten a group's runs, or make them smaller."""
    return any(name in json.loads(key[4]) for name in SHORTER)


def _reference(key, part):
    """The paper's value for a group of runs, or None where the paper has none."""
    _, cell, method, *_ = key
    if _is_shorter(key):
        return None
    return paper.ACCURACY.get(part, {}).get(method, {}).get(cell)


def _beside_paper(key, part, student):
    value = _reference(key, part)
    if value is None:
        return ["", ""]
    return [f"{value:.2f}", f"{statistics.fmean(student) - value:+.2f}"]


def _accuracies(groups, part=None):
    full = any(key[0] in paper.ACCURACY for key in groups)
    header = ["noise", "method", "recipe", "seeds", "student", "teacher"]
    header += ["student's best epoch"] + (["paper", "difference"] if full else [])
    rows = []
    for key, records in groups.items():
        student = _over_seeds(records, "student", "last10_mean")
        row = [
            key[1],
            NAMES[key[2]],
            _choice(key),
            _seeds(records),
            f"**{spread(student)}**",
            spread(_over_seeds(records, "teacher", "last10_mean")),
            spread(_over_seeds(records, "student", "best")),
        ]
        rows.append(row + (_beside_paper(key, part or key[0], student) if full else []))
    return markdown_table(header, rows)


def _against_best(groups):
    """The adaptive method's full runs beside the best published; empty without runs."""
    header = ["noise", "seeds", "teacher", "best published", "difference"]
    rows = []
    for key, records in groups.items():
        best = paper.BEST.get(key[0], {}).get(key[1])
        of_recipe = key[2:4] == ("josrc", "adaptive")
        if best is None or not of_recipe or _is_shorter(key):
            continue
        found = _over_seeds(records, "teacher", "last10_mean")
        difference = f"{statistics.fmean(found) - best:+.2f}"
        row = [key[1], _seeds(records), f"**{spread(found)}**", f"{best:.2f}"]
        rows.append([*row, difference])
    return markdown_table(header, rows) if rows else ""


def _ablation(groups):
    """Table 6: the cells that have a run with a part left out."""
    parts = {key: found for key, found in groups.items() if key[2] in tables.ABLATION}
    left_out = {(key[1], *key[3:]) for key in parts if key[2] != "josrc"}
    kept = {k: found for k, found in parts.items() if (k[1], *k[3:]) in left_out}
    return _accuracies(kept, paper.ABLATION)


def _verdicts(groups):
    header = ["noise", "method", "recipe", "epoch", "clean", "in-distribution noise"]
    header += ["out-of-distribution", "AUROC"]
    rows = []
    for key, records in groups.items():
        if "clean_precision" not in records[0]["history"]:
            continue
        for epoch in ("best", "last"):
            seen = [_row_at(record, epoch) for record in records]
            closed = key[0] == "cifar100n_c"  # It has no out-of-distribution images.
            kinds = ("clean", "id") if closed else ("clean", "id", "ood")
            cells = [_scores(seen, kind) for kind in kinds] + [""] * closed
            area = _mean([row["clean_auroc"] for row in seen])
            rows.append([key[1], NAMES[key[2]], _choice(key), epoch, *cells, area])
    return markdown_table(header, rows)


def _learnt(groups):
    header = ["noise", "method", "recipe", "clean", "noise, given", "noise, true"]
    header += ["out-of-distribution"]
    columns = AccuracyByKind.result_names()
    rows = []
    for key, records in groups.items():
        if columns[0] not in records[0]["history"]:
            continue
        last = [_row_at(record, "last") for record in records]
        cells = [
            f"{100 * statistics.fmean(row[column] for row in last):.1f}"
            for column in columns
        ]
        if key[0] == "cifar100n_c":  # It has no out-of-distribution images.
            cells[-1] = ""
        rows.append([key[1], NAMES[key[2]], _choice(key), *cells])
    return markdown_table(header, rows)


def _scores(rows, kind):
    """Means of the three scores of a verdict; empty for a method without it."""
    names = [f"{kind}_{score}" for score in ("precision", "recall", "f1")]
    if names[0] not in rows[0]:
        return ""
    return " / ".join(_mean([row[name] for row in rows]) for name in names)


def _row_at(record, epoch):
    history = rows_of(record)
    if epoch == "last":
        return history[-1]
    return max(history, key=lambda row: row["val_accuracy"])


def _mean(values):
    return f"{statistics.fmean(values):.2f}"


def _runs(groups):
    header = ["noise", "method", "recipe", "seed", "epochs", "student", "teacher"]
    header += ["best", "noise checksum", "minutes", "device", "versions", "command"]
    rows = []
    for key, records in groups.items():
        for record in records:
            summary = record["summary"]
            student, teacher = (
                accuracy(record, network) for network in ("student", "teacher")
            )
            rows.append(
                [
                    key[1],
                    NAMES[key[2]],
                    _choice(key),
                    str(record["run"]["seed"]),
                    str(len(record["history"]["epoch"])),
                    within(student),
                    within(teacher),
                    f"{100 * student['best']:.1f}",
                    f"`{summary['noise_checksum'][:12]}`",
                    str(math.ceil(summary["wall_seconds"] / 60)),
                    summary["device"],
                    ", ".join(f"{k} {v}" for k, v in summary["versions"].items()),
                    f"`{summary['command']}`",
                ]
            )
    note = (
        "Student and teacher: mean of the last 10 epochs ± their standard deviation "
        "within the run."
    )
    return f"{note}\n\n{markdown_table(header, rows)}"


def within(found):
    """The last-10 mean and deviation that `accuracy` returned, in percent."""
    if found is None:
        return ""
    deviation = found["last10_deviation"]
    spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
    return f"{100 * found['last10_mean']:.1f}{spread}"


def _seeds(records):
    return ", ".join(str(record["run"]["seed"]) for record in records)


def markdown_table(header, rows):
    """A table in Markdown, from a list of texts and a list of such rows."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
