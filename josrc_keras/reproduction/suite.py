"""The runs of the robustness suite."""

import importlib

from josrc_keras import _checks
from josrc_keras.reproduction import robustness, tables
from josrc_keras.runs import methods as registry

NAME = "robustness"
ROWS = {(row.dataset, row.cell): row for row in robustness.ROWS}
BASELINES = tuple(name for name in registry.METHODS if name != "josrc")
RECIPES = ("paper", "adaptive")  # Of Jo-SRC; the others have but one.
# What a field of the recipe is about, and where the idea is known from.
IDEAS = {
    "trust.mixup": "blended views (mixup; Zhang et al., ICLR 2018)",
    "trust.allowance": (
        "labels measured by what believed ones of their class get (class-wise "
        "thresholds as in FreeMatch; Wang et al., ICLR 2023)"
    ),
    "trust.hold": (
        "a noise rate that no longer falls (early learning; Liu et al., NeurIPS 2020)"
    ),
    "trust.transitions": (
        "which class is taken for which (confident learning; Northcutt et al., JAIR "
        "2021)"
    ),
    "trust.memory_epochs": (
        "a history of many epochs (AUM; Pleiss et al., NeurIPS 2020)"
    ),
    "trust.warmup_epochs": "how early labels are doubted",
    "trust.sharpness": "how decided trust is",
    "trust.judge": "the teacher judges (mean teacher; Tarvainen and Valpola, 2017)",
    "trust.decay": "how long the teacher averages",
    "trust.temperature": "sharpened targets (MixMatch; Berthelot et al., NeurIPS 2019)",
    "trust.unclean_weight": "doubted samples count by the teacher's confidence",
    "trust.alpha": "a consistency term, bounded (Jo-SRC, eq. 9 and 10)",
    "trust.smoothing": "smoothed labels (Jo-SRC, eq. 5)",
    "trust.rate": "the noise rate estimated, not told",
    "strong_views.enabled": "strong views (RandAugment; Cubuk et al., 2020)",
    "decay.name": "cosine decay (Loshchilov and Hutter, ICLR 2017)",
}


class SuiteRun(tables.Run):
    """A run of one of the suite's rows; `dataset` and `cell` say of which."""

    closed = (
        "data.validation_share",
        *(f"data.partial.{name}" for row in robustness.ROWS for name in row.partial),
    )

    def page(self):
        """The configuration of the row, before the method's own fields."""
        row = ROWS[self.dataset, self.cell]
        digits = row.partial["source"] == "digits"
        name = "partial_digits" if digits else "partial"
        page = importlib.import_module(f"josrc_keras.configs.{name}")
        config = page.get_config(self.recipe)
        fields = {f"data.partial.{key}": value for key, value in row.partial.items()}
        fields |= {"data.noise": row.noise, "data.rate": row.rate}
        fields["data.validation_share"] = robustness.HELD_OUT
        config.update_from_flattened_dict(fields | robustness.PROTOCOL[self.dataset])
        return config

    def noise(self):
        """Nothing but what the row says."""
        return {}


def runs_of(*, half, cells=(), methods=(), recipes=(), seeds, overrides=()):
    """The runs of one half of the suite.

    Args:
        half: One of `robustness.HALVES`.
        cells: `DATASET/CELL` of rows, of which those of the half count; none means all.
        methods: Names of methods; none or `"all"` means all that are compared.
        recipes: Of Jo-SRC; none means both.
        seeds: The seeds of each row.
        overrides: Further fields, as `(name, value)` with dotted names.

    Returns:
        A list of `SuiteRun`.

    Raises:
        ValueError: If an argument is unknown.
    """
    _checks.check_choice("the half", half, robustness.HALVES)
    rows = {
        f"{row.dataset}/{row.cell}": row for row in robustness.ROWS if row.half == half
    }
    for cell in cells:
        known = tuple(f"{row.dataset}/{row.cell}" for row in robustness.ROWS)
        _checks.check_choice("the cell", cell, known)
    if not methods or "all" in methods:
        methods = (*BASELINES, "josrc")
    for recipe in recipes:
        _checks.check_choice("the recipe", recipe, RECIPES)
    for method in methods:
        _checks.check_choice("the method", method, (*BASELINES, "josrc"))
    return [
        SuiteRun(
            row.dataset, row.cell, method, recipe, seed, tables.in_order(overrides)
        )
        for seed in seeds
        for name, row in rows.items()
        if not cells or name in cells
        for method in methods
        for recipe in ((recipes or RECIPES) if method == "josrc" else ("paper",))
    ]
