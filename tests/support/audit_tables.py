"""Tables of an audit, for the tests of its report."""

import numpy as np
import pandas

VERDICTS = ("clean", "in_distribution_noise", "out_of_distribution")
UNDECIDED = "undecided"
HOSTILE = (
    "<script>window.hacked = 1; alert(1)</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "</script><script>window.hacked = 1</script>",
    "a'b\"c, d",
    "名前 ü.jpg",
    "line\u2028separator\nnew & line",
    "{{data}} $title \\u003c",
    "<!--<script>",
)


def make_table(rows=240, classes=6, *, ids=None, names=None, clean=False, seed=0):
    """A table of random verdicts; a tenth of the rows are duplicates."""
    random = np.random.default_rng(seed)
    names = np.array(names or [f"class {i}" for i in range(classes)], object)
    given = random.integers(0, classes, rows)
    predicted = random.integers(0, classes, rows)
    code = np.zeros(rows, int) if clean else random.choice(3, rows, p=(0.6, 0.3, 0.1))
    shares = random.dirichlet((1, 1, 1), rows)
    sets = np.full(rows, -1)
    twice = random.permutation(rows)[: rows // 20 * 2]
    sets[twice] = np.arange(len(twice)) // 2
    scores = {
        name: random.random(rows).round(4)
        for name in (
            "label_score",
            "clean_likelihood",
            "ood_score",
            "predicted_probability",
        )
    }
    return pandas.DataFrame(
        {
            "id": [f"img{i}.png" for i in range(rows)] if ids is None else ids,
            "given_label": given,
            "given_name": names[given],
            "verdict": np.array(VERDICTS)[code],
            "is_label_issue": code > 0,
            **scores,
            "predicted_label": predicted,
            "predicted_name": names[predicted],
            "clean_share": shares[:, 0].round(4),
            "in_distribution_share": shares[:, 1].round(4),
            "out_of_distribution_share": shares[:, 2].round(4),
            "duplicate_set": sets,
        }
    )


def _rates(table):
    return {
        "noise_rate": (table.verdict != VERDICTS[0]).mean(),
        "in_distribution_rate": (table.verdict == VERDICTS[1]).mean(),
        "out_of_distribution_rate": (table.verdict == VERDICTS[2]).mean(),
        "undecided_rate": (table.verdict == UNDECIDED).mean(),
    }


def make_findings(table, names=None):
    """What `write_report` takes with `make_table`'s table of the same names."""
    names = names or [f"class {i}" for i in range(table.given_label.max() + 1)]
    noise = table[table.verdict == VERDICTS[1]]
    pair = ["given_label", "given_name", "predicted_label", "predicted_name"]
    pairs = noise.groupby(pair).size().reset_index(name="images")
    sets = table[table.duplicate_set >= 0].groupby("duplicate_set")
    return {
        "images": len(table),
        "classes": len(names),
        "class_names": list(names),
        **_rates(table),
        "by_class": [
            {"label": label, "name": name, "images": len(rows), **_rates(rows)}
            for label, name in enumerate(names)
            for rows in [table[table.given_label == label]]
        ],
        "confused_pairs": pairs.to_dict("records"),
        "duplicates": [
            {
                "duplicate_set": number,
                "ids": rows.id.tolist(),
                "given_names": rows.given_name.tolist(),
            }
            for number, rows in sets
            if rows.given_label.nunique() > 1
        ],
        "skipped": [{"id": HOSTILE[1], "reason": "truncated <b>file</b>"}],
        "source": {"dataset": HOSTILE[0], "run": "runs/digits"},
    }


def make_image(row, channels=3, size=32):
    """A uint8 image that differs from row to row."""
    random = np.random.default_rng(row)
    return random.integers(0, 256, (size, size, channels), "uint8")
