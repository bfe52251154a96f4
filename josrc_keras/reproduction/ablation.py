"""A table of what each idea of the adaptive method contributes, from the suite."""

import json
import statistics

from josrc_keras.reproduction import robustness, tables_page, templates
from josrc_keras.reproduction.suite_values import (
    ADAPTIVE,
    accuracies,
    by_seed,
    held_out,
)
from josrc_keras.runs import configuration

# The idea behind a field of the adaptive method, and its source.
IDEAS = json.loads(templates.read("ideas.json"))


def table(groups):
    """The developing half, each time with one field at a different value."""
    whole = {
        key[:2]: found for key, found in groups.items() if key[2:] == (ADAPTIVE, "{}")
    }
    changes = dict.fromkeys(
        key[3] for key in groups if key[2] == ADAPTIVE and key[3] != "{}"
    )
    rows = []
    for change in changes:
        pairs = []
        for key, found in groups.items():
            row = robustness.BY_NAME[key[:2]]
            same = key[2:] == (ADAPTIVE, change) and row.half == "develop"
            if same and key[:2] in whole:
                pairs.append((by_seed(found), by_seed(whole[key[:2]])))
        pairs = [(a, b) for a, b in pairs if a.keys() & b.keys()]
        if not pairs or set(json.loads(change)) & set(tables_page.SHORTER):
            continue
        cells = []
        for measure in (held_out, accuracies):
            differences = [
                statistics.fmean(
                    measure([changed[s]], ADAPTIVE)[0] - measure([full[s]], ADAPTIVE)[0]
                    for s in sorted(changed.keys() & full.keys())
                )
                for changed, full in pairs
            ]
            cells += [f"{statistics.fmean(differences):+.1f}"]
        fields = json.loads(change)
        names = [configuration.new_name(name) for name in fields]
        ideas = "; ".join(IDEAS[name] for name in names if name in IDEAS)
        texts = ", ".join(f"`{name}={value}`" for name, value in fields.items())
        rows.append([ideas, texts, str(len(pairs)), *cells])
    if not rows:
        return ""
    text = (
        "Each line is the adaptive method with one field changed, on rows of the "
        "developing half. The last two columns are mean differences to the method as "
        "it is, in points, over the same rows and seeds."
    )
    header = ["idea", "changed to", "rows", "held out (noisy)", "test (clean)"]
    return f"{text}\n\n{tables_page.markdown_table(header, rows)}"
