"""Every table of every protocol: which runs, under which names, configured how."""

import importlib
import itertools
import re
from pathlib import PurePosixPath

import pytest

from josrc_keras.reproduction import paper, tables
from tests.support.synthetic import flat

ALL_CELLS = {
    "symmetric-0.2": ("symmetric", 0.2),
    "symmetric-0.5": ("symmetric", 0.5),
    "symmetric-0.8": ("symmetric", 0.8),
    "asymmetric-0.4": ("pairflip", 0.4),
}
BOTH = ("in_distribution", "out_of_distribution")
# Method: its model, and what Jo-SRC is told.
METHODS = {
    "standard": ("standard", None, BOTH),
    "josrc-c": ("josrc", 0.0, ()),
    "josrc-ci": ("josrc", 0.0, ("in_distribution",)),
    "josrc-cio": ("josrc", 0.0, BOTH),
    "josrc": ("josrc", None, BOTH),
}
DATASETS = {"full": "cifar80n_o", "reduced": "cifar8n_o", "digits": "digits8n_o"}
ALL_DATASETS = ("cifar100n_c", *DATASETS.values())


def runs_of(table, protocol="full", *, seeds=(0,), overrides=(), **choice):
    return tables.runs_of(
        table, protocol=protocol, seeds=seeds, overrides=overrides, **choice
    )


def flat_config(*arguments, **keywords):
    """The configuration of a run with dotted names."""
    return flat(tables.Run(*arguments, **keywords).config().to_dict())


def test_all_methods_of_tables_3_and_4():
    """Those that the paper's tables have a value for, by network."""
    runs = [run for table in (3, 4) for run in runs_of(table, methods=("all",))]
    found: dict = {}
    for run in runs:
        assert run.config().method == run.method
        found.setdefault(run.dataset, {})[run.method] = run.cell
    expected = {name: paper.ACCURACY[name] for name in found}
    assert found == {
        name: {method: "as-given" for method in each} for name, each in expected.items()
    }
    counts = {name: len(each) for name, each in found.items()}
    assert counts == {
        "clothing1m_resnet18": 6,
        "clothing1m_resnet50": 9,
        "food101n_resnet50": 5,
    }


TABLES = [(1, "full", "cifar100n_c")]
TABLES += [(t, p, name) for t in (2, 5, 6) for p, name in DATASETS.items()]


@pytest.mark.parametrize(("table", "protocol", "dataset"), TABLES)
def test_every_table_and_protocol(table, protocol, dataset):
    """The cells of the paper; Table 6 has one cell and the ablation."""
    runs = runs_of(table, protocol, seeds=range(2))
    assert {run.dataset for run in runs} == {dataset}
    if table == 6:
        expected = [
            ("symmetric-0.2", method, seed)
            for seed in (0, 1)
            for method in ("josrc-c", "josrc-ci", "josrc-cio", "josrc")
        ]
    else:
        expected = [(cell, "josrc", seed) for seed in (0, 1) for cell in ALL_CELLS]
    assert [(run.cell, run.method, run.seed) for run in runs] == expected
    assert {(run.recipe, run.overrides) for run in runs} == {("paper", ())}


@pytest.mark.parametrize("protocol", DATASETS)
def test_tables_share_runs(protocol):
    """Table 5 judges Table 2's runs; Table 6's whole method is one of Table 2's."""
    choice = {"seeds": range(3), "overrides": [("epochs", 3)], "recipe": "paper_text"}
    second = runs_of(2, protocol, **choice)
    assert len(set(second)) == 12
    assert runs_of(5, protocol, **choice) == second
    sixth = runs_of(6, protocol, **choice)
    whole = [run for run in sixth if run.method == "josrc"]
    assert whole == [run for run in second if run.cell == "symmetric-0.2"]
    assert len(set(second) | set(sixth)) == 12 + 9


def test_choices_replace_the_defaults():
    runs = runs_of(
        6,
        "digits",
        cells=("asymmetric-0.4", "symmetric-0.8"),
        methods=("standard",),
        recipe="published_code",
        seeds=(4,),
        overrides=[("epochs", 3)],
    )
    assert runs == [
        tables.Run(
            "digits8n_o", cell, "standard", "published_code", 4, (("epochs", 3),)
        )
        for cell in ("asymmetric-0.4", "symmetric-0.8")
    ]


NASTY = [
    (),
    (("epochs", 3),),
    (("epochs", 30),),
    (("epochs", 3), ("model.alpha", 0.25)),
    (("model.relabel", ()),),
    (("model.relabel", ("in_distribution",)),),
    (("network.name", "../../tmp/x y"),),
    (("network.name", "/etc/passwd\n*?"),),
    (("network.name", ".."),),
]


def test_names_are_unique_paths():
    """Over everything that can differ, and safe whatever an override holds."""
    runs = {
        run
        for (table, protocol, _), recipe, overrides in itertools.product(
            TABLES, ("paper", "published_code", "paper_text"), NASTY
        )
        for run in runs_of(
            table,
            protocol,
            recipe=recipe,
            overrides=overrides,
            methods=tuple(METHODS),
            cells=tuple(ALL_CELLS),
            seeds=(0, 1, 10),
        )
    }
    assert len(runs) == 4 * 4 * 5 * 3 * 3 * len(NASTY)
    names = {run.name for run in runs}
    assert len(names) == len(runs)
    assert len({name.lower() for name in names}) == len(runs)
    for name in names:
        assert re.fullmatch(r"[\w.+=-]+/[\w.+=-]+/[\w.+=-]+", name), name
        assert not any(part.startswith(".") for part in PurePosixPath(name).parts)


def test_a_name_says_what_the_run_is():
    run = tables.Run(
        "cifar8n_o", "asymmetric-0.4", "josrc-ci", "paper_text", 7, (("epochs", 3),)
    )
    assert run.name == "cifar8n_o/asymmetric-0.4/josrc-ci-paper_text+epochs=3-7"


def test_the_order_of_overrides_makes_no_difference():
    """Else one configuration is trained twice, and counts as two seeds on the page."""
    overrides = [("epochs", 3), ("model.alpha", 0.25)]
    first, second = (
        runs_of(2, "digits", overrides=each) for each in (overrides, overrides[::-1])
    )
    assert [run.config().to_dict() for run in first] == [
        run.config().to_dict() for run in second
    ]
    assert [run.name for run in first] == [run.name for run in second]


@pytest.mark.parametrize("dataset", ALL_DATASETS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cell", ALL_CELLS)
def test_config_is_what_the_run_says(dataset, cell, method):
    overrides = (("epochs", 3), ("data.train_size", 99))
    config = tables.Run(dataset, cell, method, seed=3, overrides=overrides).config()
    assert (config.data.name, config.data.noise, config.data.rate) == (
        dataset,
        *ALL_CELLS[cell],
    )
    assert (config.seed, config.data.seed) == (3, 3)  # The noise follows the seed.
    assert (config.epochs, config.data.train_size) == (3, 99)
    name, alpha, relabel = METHODS[method]
    assert (config.method, tuple(config.model.relabel)) == (name, relabel)
    default = 0.5 if dataset.startswith(("cifar80", "cifar100")) else 0.3
    assert config.model.alpha == (default if alpha is None else alpha)


@pytest.mark.parametrize("dataset", ALL_DATASETS)
def test_only_that_is_changed(dataset):
    """All else is as the configuration's page says."""
    page = importlib.import_module(f"josrc_keras.configs.{dataset}")
    default = flat(page.get_config("paper").to_dict())
    config = flat_config(dataset, "asymmetric-0.4", "josrc-c", seed=1)
    assert config.keys() == default.keys()
    changed = {"data.noise", "data.rate", "data.seed", "seed"}
    changed |= {"model.alpha", "model.relabel"}
    assert {name for name in config if config[name] != default[name]} == changed


# As the table in configs/base.py: the field in `paper` and in the recipe.
RECIPES = {
    "published_code": {
        "threshold.first_epoch": (1, 0),
        "model.inclusive": (False, True),
    },
    "paper_text": {
        "network.head": ("mlp", "linear"),
        "learning_rate_decay.beta_1": (0.1, None),
        "model.teacher_views": ("both", "first"),
    },
}


@pytest.mark.parametrize("dataset", ALL_DATASETS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_differ_in_the_listed_fields(dataset, recipe):
    """In nothing else; the digits' network has a linear head in every recipe."""
    ours, theirs = (
        flat_config(dataset, "symmetric-0.2", "josrc", name)
        for name in ("paper", recipe)
    )
    differing = {k: (ours[k], theirs[k]) for k in ours if ours[k] != theirs[k]}
    expected = dict(RECIPES[recipe])
    if dataset == "digits8n_o":
        expected.pop("network.head", None)
    assert differing == expected
    assert ours.keys() == theirs.keys()


REFUSED = {
    "table": (
        {"table": 7},
        r"Expected the table as one of \(1, 2, 3, 4, 5, 6\)\. Received: 7\.",
    ),
    "protocol": (
        {"protocol": "short"},
        r"protocol as one of \('full', 'reduced', 'digits'\)\. Received: 'short'",
    ),
    "cell": (
        {"cells": ("symmetric-0.2", "foo")},
        r"Expected the cell of table 2 as one of .*'asymmetric-0\.4'.*Received: 'foo'",
    ),
    "method": (
        {"methods": ("josrc", "mentor")},
        r"Expected the method as one of .*'josrc-cio'.*Received: 'mentor'",
    ),
    "table 1 reduced": (
        {"table": 1, "protocol": "reduced"},
        r"reduced protocol, one of \[2, 5, 6\]\. Received: 1\. .*--protocol=full",
    ),
    "table 1 digits": (
        {"table": 1, "protocol": "digits"},
        r"digits protocol, one of \[2, 5, 6\]\. Received: 1\. .*--protocol=full",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_unknown_choices_are_refused(name):
    arguments, text = REFUSED[name]
    with pytest.raises(ValueError, match=text):
        runs_of(**{"table": 2, "protocol": "full"} | arguments)


def config_with(**overrides):
    fields = tuple((k.replace("__", "."), v) for k, v in overrides.items())
    return tables.Run("digits8n_o", "symmetric-0.2", "josrc", overrides=fields).config()


def test_unknown_recipe_is_refused():
    run = tables.Run("digits8n_o", "symmetric-0.2", "josrc", "published")
    with pytest.raises(ValueError, match=r"Received: 'published'.*'published_code'"):
        run.config()


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("model__nonsense", 1, r"configs/base\.py.*'model\.nonsense': 1.*nonsense"),
        ("model__alhpa", 1, r"(?s)'model\.alhpa': 1\}.*Did you mean.*alpha"),
        ("nonsense", 1, r"configs/base\.py.*Received: \{'nonsense': 1\}"),
        ("epochs", "many", r"Received: \{'epochs': 'many'\}.*<class 'int'>"),
        ("epochs__x", 1, r"Received: \{'epochs\.x': 1\}.*not a ConfigDict"),
        ("optimizer__arguments__beta_1", 0.5, r"Received: .*beta_1': 0\.5"),
    ],
)
def test_unknown_overrides_are_refused(field, value, text):
    with pytest.raises(ValueError, match=text):
        config_with(**{field: value})


def test_a_refused_override_is_told_in_a_line():
    """Not with every field's internals."""
    with pytest.raises(ValueError, match="nonsense") as refused:
        config_with(nonsense=1)
    assert len(str(refused.value)) < 300
    assert "FieldReference" not in str(refused.value)


@pytest.mark.parametrize(
    ("method", "field", "value"),
    [
        ("josrc", "data.name", "cifar80n_o"),
        ("josrc", "data.noise", "pairflip"),
        ("josrc", "data.rate", 0.8),
        ("josrc", "data.seed", 5),
        ("josrc", "seed", 5),
        ("josrc", "method", "standard"),
        ("josrc-c", "model.alpha", 0.3),
        ("josrc-c", "model.relabel", ("in_distribution",)),
    ],
)
def test_an_override_cannot_belie_the_name(method, field, value):
    """Cell, method and seed have flags of their own; the page goes by those."""
    run = tables.Run("digits8n_o", "symmetric-0.2", method, overrides=((field, value),))
    with pytest.raises(ValueError, match=rf"Expected .*Received: .*{field}"):
        run.config()


def test_a_list_is_as_good_as_a_tuple():
    """As in --override=model.relabel=[]."""
    runs = runs_of(2, "digits", overrides=[("model.relabel", [])])
    assert len(set(runs)) == 4
    assert tuple(runs[0].config().model.relabel) == ()


def test_the_papers_numbers_are_those_of_the_configurations():
    """`paper.py` and the pages of the configurations say the same."""
    for table, dataset in ((1, "cifar100n_c"), (2, "cifar80n_o")):
        page = importlib.import_module(f"josrc_keras.configs.{dataset}")
        text = re.search(rf"Table {table}.*asymmetric.*", page.__doc__, re.DOTALL)[0]
        values = re.findall(r"(\d0)% (\d+\.\d+)", text)
        assert [rate for rate, _ in values] == ["20", "50", "80", "40"]
        assert paper.ACCURACY[dataset]["josrc"] == {
            cell: float(value)
            for cell, (_, value) in zip(ALL_CELLS, values, strict=True)
        }
    assert (
        paper.ACCURACY[paper.ABLATION]["josrc"].items()
        <= paper.ACCURACY["cifar80n_o"]["josrc"].items()
    )
