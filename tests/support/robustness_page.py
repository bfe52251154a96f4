"""Records of the suite made by hand, and the tables of its page."""

import numpy as np

from josrc_keras.reproduction import robustness
from tests.support import synthetic

EPOCHS = 14
REPORT, DEVELOP = (
    [row for row in robustness.ROWS if row.half == half]
    for half in ("report", "develop")
)
END, STOPPED = "ordinary, at its end", "ordinary, stopped"
PAPER, ADAPTIVE = "Jo-SRC, paper", "Jo-SRC, adaptive"


def around(mean):
    """14 epochs: four that would change the mean, then ten with this one."""
    late = [mean + 0.01, mean - 0.01] * 5
    return [0.99, 0.0, 0.99, 0.01, *late]


def make(row, method="josrc", recipe="paper", seed=0, **values):
    """A record of a row of the suite.

    Args:
        row: A `robustness.Row`.
        method: Name of the method.
        recipe: Its recipe.
        seed: Seed of the run.
        **values: The mean of the last 10 epochs of `student`, `teacher`, `held_out`
            and `held_out_teacher`, in [0, 1], where it is not random; a list for all
            epochs; or `overrides`.
    """
    run = {"dataset": row.dataset, "recipe": recipe}
    run["overrides"] = values.pop("overrides", {})
    record = synthetic.make_record(method, row.cell, seed, epochs=EPOCHS, **run)
    draw = np.random.default_rng(seed)
    history = record["history"]
    history["held_out_accuracy"] = draw.random(EPOCHS).round(6).tolist()
    if method == "josrc":
        history["held_out_teacher_accuracy"] = draw.random(EPOCHS).round(6).tolist()
    if recipe == "adaptive":
        for name in ("noise_rate", "clean_fraction"):
            history[name] = draw.random(EPOCHS).round(6).tolist()
    names = {
        "student": "val_accuracy",
        "teacher": "val_teacher_accuracy",
        "held_out": "held_out_accuracy",
        "held_out_teacher": "held_out_teacher_accuracy",
    }
    for name, value in values.items():
        history[names[name]] = value if isinstance(value, list) else around(value)
    return record


def tables_of(text, heading):
    """The tables below a heading, each a list of rows as dicts."""
    return [rows for found, rows in synthetic.tables_of(text) if found == heading]


def compared(text, heading="The reported half"):
    return tables_of(text, heading)[0]


def claims(text):
    """`{against: (mean, least, most)}` of the claims table."""
    _, rows = tables_of(text, "The reported half")
    return {
        row["the adaptive method against"]: (row["mean"], row["least"], row["most"])
        for row in rows
    }


def report_records():
    """All rows of the reported half, each with what makes it known by its number i.

    In percent: adaptive 80 + i, ordinary 50 + 2i, stopped 70, JoCoR 90 - i. Decoupling
    has but one row.
    """
    made = [make(REPORT[0], "decoupling", student=0.4)]
    for number, row in enumerate(REPORT):
        standard = around(0.5 + 0.02 * number)
        standard[1] = 0.7
        held = [0.1, 0.9] + [0.2] * 12
        teacher = 0.8 + 0.01 * number
        made += [
            make(row, "standard", student=standard, held_out=held),
            make(row, "josrc", "adaptive", student=0.1, teacher=teacher),
            make(row, "jocor", student=0.9 - 0.01 * number),
        ]
    return made


FULL = {  # Held-out and test accuracy of the teacher, by row and seed.
    (1, 0): (0.10, 0.20),
    (1, 1): (0.50, 0.70),
    (2, 0): (0.60, 0.80),
}
CHANGED = {(1, 1): (0.48, 0.60), (1, 2): (0.9, 0.9), (2, 0): (0.54, 0.78)}
CHANGE = {"model.alpha": 0.0, "model.relabel": []}


def ablation_records():
    made = []
    for values, overrides in ((FULL, {}), (CHANGED, CHANGE)):
        for (number, seed), (held, test) in values.items():
            made.append(
                make(
                    DEVELOP[number],
                    "josrc",
                    "adaptive",
                    seed,
                    overrides=overrides,
                    held_out_teacher=held,
                    teacher=test,
                )
            )
    return made
