"""The runs of the robustness suite."""

import importlib

from josrc_keras import guards
from josrc_keras import methods as registry
from josrc_keras.reproduction import grid, robustness

NAME = "robustness"
ROWS = {(row.dataset, row.cell): row for row in robustness.ROWS}
BASELINES = tuple(name for name in registry.METHODS if name != "josrc")
RECIPES = ("paper", "adaptive")  # Of Jo-SRC; the others have but one.


class SuiteRun(grid.Run):
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
    guards.check_choice("the half", half, robustness.HALVES)
    rows = {
        f"{row.dataset}/{row.cell}": row for row in robustness.ROWS if row.half == half
    }
    for cell in cells:
        known = tuple(f"{row.dataset}/{row.cell}" for row in robustness.ROWS)
        guards.check_choice("the cell", cell, known)
    if not methods or "all" in methods:
        methods = (*BASELINES, "josrc")
    for recipe in recipes:
        guards.check_choice("the recipe", recipe, RECIPES)
    for method in methods:
        guards.check_choice("the method", method, (*BASELINES, "josrc"))
    return [
        SuiteRun(row.dataset, row.cell, method, recipe, seed, grid.in_order(overrides))
        for seed in seeds
        for name, row in rows.items()
        if not cells or name in cells
        for method in methods
        for recipe in ((recipes or RECIPES) if method == "josrc" else ("paper",))
    ]
