"""The runs that a table needs, each a configuration with a name."""

import dataclasses
import importlib
import re
from typing import ClassVar

from josrc_keras import _checks
from josrc_keras.reproduction import paper
from josrc_keras.runs import configuration
from josrc_keras.runs import methods as registry

# The noise of a cell: its kind, and its rate among the in-distribution classes. Real
# datasets have None.
CELLS: dict = {
    paper.SYMMETRIC_20: ("symmetric", 0.2),
    paper.SYMMETRIC_50: ("symmetric", 0.5),
    paper.SYMMETRIC_80: ("symmetric", 0.8),
    paper.ASYMMETRIC_40: ("pairflip", 0.4),
    paper.AS_GIVEN: None,
}

# The fields that a method changes in the configuration. Jo-SRC-C, -CI and -CIO are the
# paper's ablation without the consistency term: with clean samples only, with
# in-distribution noise, too, and with all three kinds.
METHODS: dict = {
    **{name: {"method": name} for name in registry.COMPARED},
    "josrc-c": {"model.alpha": 0.0, "model.relabel": ()},
    "josrc-ci": {"model.alpha": 0.0, "model.relabel": ("in_distribution",)},
    "josrc-cio": {"model.alpha": 0.0},
    "josrc": {},
}

# Fields that no override may change, since names and tables depend on them. Tables show
# both networks.
FIXED = (
    "method",
    "seed",
    "data.name",
    "data.dir",
    "data.manual_dir",
    "data.noise",
    "data.rate",
    "data.seed",
    "teacher.evaluate",
)

# The methods of Tables 1 and 2. Tables 3 and 4 have those with a published value.
COMPARED = (*registry.ON_CIFAR, "josrc")
ABLATION = ("josrc-c", "josrc-ci", "josrc-cio", "josrc")

# A table's datasets by protocol. Table 5 judges the verdicts of the runs of Table 2.
_OPEN = {"full": ("cifar80n_o",), "reduced": ("cifar8n_o",), "digits": ("digits8n_o",)}
DATASETS: dict = {
    1: {"full": ("cifar100n_c",)},
    2: _OPEN,
    3: {"full": ("clothing1m_resnet18", "clothing1m_resnet50")},
    4: {"full": ("food101n_resnet50",)},
    5: _OPEN,
    6: _OPEN,
}
NOISY = tuple(cell for cell, noise in CELLS.items() if noise is not None)
TABLE_CELLS = {1: NOISY, 2: NOISY, 5: NOISY, 6: NOISY}
TABLE_CELLS |= {3: (paper.AS_GIVEN,), 4: (paper.AS_GIVEN,)}
PROTOCOLS = ("full", "reduced", "digits")


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run of a table.

    Attributes:
        dataset: Name of a configuration, which is also the dataset's.
        cell: One of `CELLS`.
        method: One of `METHODS`.
        recipe: A recipe of `configs/base.py`.
        seed: Seed of training and noise.
        overrides: Further fields, as `(name, value)` with dotted names.
    """

    dataset: str
    cell: str
    method: str
    recipe: str = "paper"
    seed: int = 0
    overrides: tuple = ()
    closed: ClassVar[tuple] = ()  # Further fields that no override may change.

    @property
    def name(self):
        """A relative path that no other run has."""
        changes = "".join(
            f"+{configuration.recorded_name(key)}={value}"
            for key, value in self.overrides
        )
        changes = re.sub(r"[^\w.+=-]", "_", changes)
        run = f"{self.method}-{self.recipe}{changes}-{self.seed}"
        return f"{self.dataset}/{self.cell}/{run}"

    def fields(self):
        """What identifies the run in its record."""
        return {
            "dataset": self.dataset,
            "cell": self.cell,
            "method": self.method,
            "recipe": self.recipe,
            "seed": self.seed,
            "overrides": dict(self.overrides),
        }

    def audit(self, workdir):
        """What the finished run in a folder has found out; None keeps no such thing."""
        del workdir

    def base_config(self):
        """The dataset's configuration, before the fields of cell and method."""
        page = importlib.import_module(f"josrc_keras.configs.{self.dataset}")
        return page.get_config(self.recipe)

    def noise(self):
        """The fields that the cell sets, as a dict."""
        if CELLS[self.cell] is None:
            return {}
        return dict(zip(("data.noise", "data.rate"), CELLS[self.cell], strict=True))

    def config(self):
        """The configuration of the run.

        Raises:
            ValueError: If the recipe is unknown, or an override does not fit.
        """
        config = self.base_config()
        overrides = dict(configuration.new_override(*each) for each in self.overrides)
        fixed = [
            name
            for name in overrides
            if name in (*FIXED, *self.closed, *METHODS[self.method])
        ]
        if self.recipe in ("adaptive", "lean") and self.method in ABLATION[:-1]:
            raise ValueError(
                "The ablation is of the paper's parts, which the adaptive recipe has "
                f"not. Received: --recipe={self.recipe}, --method={self.method}. Use "
                "--recipe=paper."
            )
        if fixed:
            raise ValueError(
                "Expected overrides of fields that table, cell, method and seed leave "
                f"open. Received: {fixed} for {self.method}. Use --cell, --method or "
                "--seeds instead, --manual_dir for downloads, or josrc-train."
            )
        fields = {"seed": self.seed} | self.noise()
        fields |= METHODS[self.method] | overrides
        try:
            config.update_from_flattened_dict(fields)
        except (KeyError, TypeError, ValueError) as error:
            # The error lists the other fields with all their internals. These go.
            reason = re.sub(r'(?s) Other fields present: ".*}"', "", str(error.args[0]))
            raise ValueError(
                f"Expected overrides that configs/base.py lists. Received: "
                f"{dict(self.overrides)} ({reason.rstrip('.')})."
            ) from error
        if config.method in registry.JOSRC:  # Others may share overrides with it.
            configuration.check_effective(config, list(overrides))
        return config


def runs_of(table, *, protocol, cells=(), methods=(), recipe="paper", seeds, overrides):
    """The runs that fill a table.

    Args:
        table: Number of the table, 1 to 6.
        protocol: `"full"`, the paper's; `"reduced"`, for a CPU; or `"digits"`, which
            needs no download.
        cells: Names of cells; empty for all cells of the table, in Table 6 the first.
        methods: Names of methods, or `"all"` for those that the table compares; empty
            for Jo-SRC, in Table 6 for the ablation.
        recipe: A recipe of `configs/base.py`.
        seeds: The seeds of each cell.
        overrides: Further fields, as `(name, value)` with dotted names.

    Returns:
        A list of `Run`.

    Raises:
        ValueError: If an argument is unknown, or the table has no such protocol.
    """
    _checks.check_choice("the table", table, tuple(DATASETS))
    _checks.check_choice("the protocol", protocol, PROTOCOLS)
    if protocol not in DATASETS[table]:
        raise ValueError(
            f"Expected a table of the {protocol} protocol, one of "
            f"{[t for t, names in DATASETS.items() if protocol in names]}. Received: "
            f"{table}. Use another --table, or --protocol=full."
        )
    for cell in cells:
        _checks.check_choice(f"the cell of table {table}", cell, TABLE_CELLS[table])
    for method in set(methods) - {"all"}:
        _checks.check_choice("the method", method, tuple(METHODS))
    cells = cells or (TABLE_CELLS[table][:1] if table == 6 else TABLE_CELLS[table])
    methods = methods or (ABLATION if table == 6 else ("josrc",))
    overrides = in_order(overrides)
    return [
        Run(dataset, cell, method, recipe, seed, overrides)
        for dataset in DATASETS[table][protocol]
        for seed in seeds
        for cell in cells
        for method in (compared(table, dataset) if "all" in methods else methods)
    ]


def compared(table, dataset):
    """The methods that a table compares on a dataset, of the registry's order."""
    if table == 6:
        return ABLATION
    if TABLE_CELLS[table] != (paper.AS_GIVEN,):
        return COMPARED
    return tuple(name for name in METHODS if name in paper.ACCURACY[dataset])


def in_order(overrides):
    """Sorts overrides by name, so that equal configurations are equal runs.

    The last value of a field counts, and lists become tuples.

    Raises:
        ValueError: If a value is a dict or a set.
    """
    fields = dict(overrides)
    for name, value in fields.items():
        if isinstance(value, dict | set):
            raise ValueError(
                "Expected overrides of a field each. Received: "
                f"{name}={value!r}. Use {name}.FIELD=VALUE."
            )
        if isinstance(value, list):
            fields[name] = tuple(value)
    return tuple(sorted(fields.items()))
