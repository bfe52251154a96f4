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
        cells: `DATASET/CELL` of rows; none means all of the half's.
        methods: Names of methods; none means all that are compared.
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
        guards.check_choice(f"the cell of the half {half}", cell, tuple(rows))
    methods = methods or (*BASELINES, "josrc")
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
