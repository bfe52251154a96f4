"""The cells of Tables 1 and 2 for a budget of arithmetic, instead of 200 epochs.

The data, the network and the test images are the paper's. The number of epochs follows
from the budget: the arithmetic of the networks in training, in PFLOP
(`runs.arithmetic`). The paper's runs take 17.9. The epoch in which the learning rate
begins to fall comes earlier in proportion to the paper's 200 epochs. A warm-up keeps
its epochs, since a network needs them before it can select, up to half of the run.
"""

import dataclasses

import ml_collections

from josrc_keras import _checks
from josrc_keras.audit import audit, truth
from josrc_keras.cleaning import audit_of_run
from josrc_keras.reproduction import tables
from josrc_keras.runs import arithmetic, build_data, folder, methods

NAME = "budget"
TABLES = (1, 2)
CLASSES = {"cifar100n_c": 100, "cifar80n_o": 80}
IMAGES, SHAPE = 50_000, (32, 32, 3)
EPOCHS = 200  # The paper's.
PAPER = 17.9  # PFLOP of the paper's runs: 200 epochs of eight passes.
# Fields that count epochs before a network selects.
WARMUPS = ("threshold.warmup_epochs", "forget.warmup_epochs", "forget.agreeing_epochs")


@dataclasses.dataclass(frozen=True)
class BudgetRun(tables.Run):
    """A run of a table's cell within a budget.

    Attributes:
        budget: PFLOP, positive.
    """

    budget: float = 1.0

    @property
    def name(self):
        """A relative path that no other run has."""
        cell, _, run = super().name.rpartition("/")
        return f"{cell}/{self.budget:g}PF-{run}"

    def fields(self):
        """What identifies the run in its record."""
        return super().fields() | {"budget": self.budget}

    def audit(self, workdir):
        """How good the audit of the finished run is, as `audit.compare` returns it.

        None for a method that does not sort samples.
        """
        config = ml_collections.ConfigDict(folder.read_config(workdir))
        if not methods.METHODS[config.method].sorts:
            return None
        model = audit_of_run.load_model(workdir)
        train = build_data.make_benchmark(config, workdir).train
        table = audit(model, train.images, train.labels, view_pairs=1)
        return truth.compare(table, train.true_labels)

    def config(self):
        """The configuration of the run, with the epochs that the budget pays for.

        Raises:
            ValueError: If the recipe is unknown, an override does not fit, or the
                budget is not positive.
        """
        config = super().config()
        chosen = dict(self.overrides)
        if "epochs" not in chosen:
            config.epochs = arithmetic.epochs_for(
                self.budget, config, CLASSES[self.dataset], IMAGES, SHAPE
            )
        for name in set(WARMUPS) - set(chosen):
            section, _, field = name.rpartition(".")
            most = max(config.epochs // 2, 1)
            config[section][field] = min(config[section][field], most)
        if "learning_rate_decay.start_epoch" not in chosen:
            decay = config.learning_rate_decay
            decay.start_epoch = round(decay.start_epoch * config.epochs / EPOCHS)
        return config


def runs_of(
    chosen, *, budget, cells=(), methods=(), recipes=(), seeds=(0,), overrides=()
):
    """The runs that fill tables within a budget.

    Args:
        chosen: Numbers of tables, of `TABLES`.
        budget: PFLOP of each run.
        cells: Names of cells; empty for all.
        methods: Names of methods, or `"all"`; empty for Jo-SRC.
        recipes: Recipes of `configs/base.py`; empty for `lean`.
        seeds: The seeds of each cell.
        overrides: Further fields, as `(name, value)` with dotted names.

    Returns:
        A list of `BudgetRun`.

    Raises:
        ValueError: If an argument is unknown.
    """
    for table in chosen:
        _checks.check_choice("the table of --protocol=budget", table, TABLES)
    plain = [
        run
        for table in chosen
        for recipe in recipes or ("lean",)
        for run in tables.runs_of(
            table,
            protocol="full",
            cells=cells,
            methods=methods,
            recipe=recipe,
            seeds=seeds,
            overrides=overrides,
        )
    ]
    of_run = [field.name for field in dataclasses.fields(tables.Run)]
    return [
        BudgetRun(**{name: getattr(run, name) for name in of_run}, budget=budget)
        for run in plain
    ]
