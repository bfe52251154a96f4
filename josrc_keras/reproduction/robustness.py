"""The rows of the robustness suite, and which of them may be developed on.

The halves were fixed before any method was tried (commit "A suite ..."). Both hold each
kind of noise (except `blockflip`, which is a pairflip in blocks). The developing half
is never reported as a result, and no image of CIFAR-100 is in both halves. The
in-distribution classes of the developing half are 0 to 49, those of the reported half
50 to 99. Out-of-distribution images, of any class, are the 251st to 375th of a class in
the developing half, and the 376th to 500th in the reported half. Choices are to be made
on `validation`, a held-out fifth of the training images with noisy labels.
"""

import dataclasses
import importlib
from typing import Any

from josrc_keras import _checks
from josrc_keras.reproduction import tables
from josrc_keras.runs import methods as registry

HALVES = ("develop", "report")
DIGITS = {"source": "digits"}
CIFAR = {"source": "cifar100", "images_per_class": 125}
# The largest class has 250 images, the smallest 12, so that rare classes have some.
CIFAR_RARE = {"source": "cifar100", "images_per_class": 250, "imbalance": 20.0}
CIFAR_MANY = {
    "source": "cifar100",
    "images_per_class": 60,
    "test_images_per_class": 40,
}

# Fields of the configuration by dataset, the same for every method: what a user would
# set without knowing the noise.
_DIGITS = {"batch_size": 64, "epochs": 40, "learning_rate_decay.start_epoch": 20}
_SMALL = {"batch_size": 32, "epochs": 40, "learning_rate_decay.start_epoch": 16}
PROTOCOL: dict = {
    "digits6": _DIGITS,
    "digits8": _DIGITS,
    "digits10": _DIGITS,
    "cifar8": _SMALL,
    "cifar10": _SMALL,
    "cifar50": {"batch_size": 64, "epochs": 30, "learning_rate_decay.start_epoch": 12},
}
HELD_OUT = 0.2  # Share of the training images that `validation` has, with noisy labels.


@dataclasses.dataclass(frozen=True)
class Row:
    """A dataset of the suite.

    Attributes:
        half: `"develop"` or `"report"`.
        dataset: Name of the data, with the number of classes.
        cell: Name of the noise.
        noise: Noise kind, as in `data.partial`.
        rate: Share of wrong labels among the in-distribution images, in [0, 1].
        partial: Further arguments of `data.partial`.
    """

    half: str
    dataset: str
    cell: str
    noise: str
    rate: float
    partial: Any = dataclasses.field(hash=False)

    @property
    def clean(self):
        """Whether all labels of the row are right."""
        return not self.rate and not self.partial.get("ood_share")


def _row(half, classes, noise, rate, ood_share=0.0, **partial):
    name = "digits" if partial["source"] == "digits" else "cifar"
    dataset = f"{name}{classes}"
    first_class = 50 if half == "report" and name == "cifar" else 0
    parts = [f"{noise}-{rate}" if rate else "clean"]
    parts += [f"ood-{ood_share}"] * (ood_share > 0)
    if "imbalance" in partial:
        parts.append(f"imbalance-{partial['imbalance']:g}")
    partial = {"classes": classes, "first_class": first_class} | partial
    if ood_share:
        partial["ood_share"] = ood_share
        if name == "cifar":
            partial["ood_skip"] = 375 if half == "report" else 250
    return Row(half, dataset, "+".join(parts), noise, rate, partial)


def _many(half, noise, rate, ood_share=0.0):
    return _row(half, 50, noise, rate, ood_share, **CIFAR_MANY)


ROWS = (
    _row("develop", 10, "symmetric", 0.0, **DIGITS),
    _row("develop", 8, "symmetric", 0.5, 0.2, **DIGITS, images_per_class=120),
    _row("develop", 10, "pairflip", 0.4, **DIGITS),
    _row("develop", 6, "symmetric", 0.2, 0.4, **DIGITS, images_per_class=120),
    _row("develop", 10, "symmetric", 0.0, **CIFAR),
    _row("develop", 10, "symmetric", 0.2, 0.2, **CIFAR),
    _row("develop", 8, "symmetric", 0.5, **CIFAR),
    _row("develop", 8, "symmetric", 0.8, **CIFAR),
    _row("develop", 8, "image", 0.3, **CIFAR),
    _row("develop", 10, "symmetric", 0.2, **CIFAR_RARE),
    _many("develop", "symmetric", 0.5, 0.2),
    _many("develop", "symmetric", 0.0),
    _row("report", 8, "symmetric", 0.0, **DIGITS),
    _row("report", 10, "symmetric", 0.8, **DIGITS),
    _row("report", 10, "image", 0.3, **DIGITS),
    _row("report", 8, "symmetric", 0.2, 0.2, **DIGITS, imbalance=20.0),
    _row("report", 8, "symmetric", 0.0, **CIFAR),
    _row("report", 8, "symmetric", 0.2, 0.4, **CIFAR),
    _row("report", 10, "symmetric", 0.5, **CIFAR),
    _row("report", 8, "pairflip", 0.4, 0.2, **CIFAR),
    _row("report", 10, "image", 0.3, **CIFAR),
    _row("report", 10, "pairflip", 0.4, **CIFAR),
    _many("report", "symmetric", 0.2),
    _many("report", "image", 0.3),
)

NAME = "robustness"
BY_NAME = {(row.dataset, row.cell): row for row in ROWS}
BASELINES = registry.ON_CIFAR  # Compared with Jo-SRC unless methods are named.
RECIPES = ("paper", "adaptive")  # Jo-SRC's recipes. Other methods have only `paper`.


class SuiteRun(tables.Run):
    """A run of the suite's row that `dataset` and `cell` name."""

    closed = (
        "data.validation_share",
        *(f"data.partial.{name}" for row in ROWS for name in row.partial),
    )

    def base_config(self):
        """The row's configuration, before the method's fields."""
        row = BY_NAME[self.dataset, self.cell]
        digits = row.partial["source"] == "digits"
        name = "partial_digits" if digits else "partial"
        page = importlib.import_module(f"josrc_keras.configs.{name}")
        config = page.get_config(self.recipe)
        fields = {f"data.partial.{key}": value for key, value in row.partial.items()}
        fields |= {"data.noise": row.noise, "data.rate": row.rate}
        fields["data.validation_share"] = HELD_OUT
        config.update_from_flattened_dict(fields | PROTOCOL[self.dataset])
        return config

    def noise(self):
        """No further fields, since the row has its noise."""
        return {}


def runs_of(*, half, cells=(), methods=(), recipes=(), seeds, overrides=()):
    """The runs of one half of the suite.

    Args:
        half: One of `HALVES`.
        cells: `DATASET/CELL` of rows; those of the other half are left out. Empty for
            all rows.
        methods: Names of methods; empty or `"all"` for `BASELINES` and Jo-SRC. The
            methods of the paper's Tables 3 and 4 have to be named. They run with the
            values of the row's configuration, `configs/_compared.py`, for every noise.
        recipes: Recipes of Jo-SRC; empty for both.
        seeds: The seeds of each row.
        overrides: Further fields, as `(name, value)` with dotted names.

    Returns:
        A list of `SuiteRun`.

    Raises:
        ValueError: If an argument is unknown.
    """
    _checks.check_choice("the half", half, HALVES)
    rows = {f"{row.dataset}/{row.cell}": row for row in ROWS if row.half == half}
    for cell in cells:
        known = tuple(f"{row.dataset}/{row.cell}" for row in ROWS)
        _checks.check_choice("the cell", cell, known)
    if not methods or "all" in methods:
        methods = (*BASELINES, "josrc")
    for recipe in recipes:
        _checks.check_choice("the recipe", recipe, RECIPES)
    for method in methods:
        _checks.check_choice("the method", method, (*registry.COMPARED, "josrc"))
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
