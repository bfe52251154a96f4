"""The robustness suite: its rows, their runs and configurations, and the command."""

import re

import numpy as np
import pytest

from josrc_keras.data.benchmarks import cifar_files
from josrc_keras.reproduction import results as records
from josrc_keras.reproduction import robustness, robustness_page, runner, tables
from josrc_keras.runs import build_data
from josrc_keras.runs import methods as registry
from tests.support import synthetic
from tests.support.forks import Forks
from tests.support.synthetic import flat

METHODS = ("standard", "decoupling", "coteaching", "coteaching_plus", "jocor")
METHODS += ("josrc",)
HALVES = {
    half: [row for row in robustness.ROWS if row.half == half]
    for half in ("develop", "report")
}


def key_of(row):
    return f"{row.dataset}/{row.cell}"


def paper_runs(half, **choice):
    return robustness.runs_of(
        half=half, **{"recipes": ("paper",), "seeds": (0,)} | choice
    )


def test_24_rows_of_24_names():
    """A dozen each half; names are parts of a path, and differ in lower case, too."""
    assert [len(HALVES[half]) for half in robustness.HALVES] == [12, 12]
    names = {key_of(row) for row in robustness.ROWS}
    assert len({name.lower() for name in names}) == len(robustness.ROWS) == 24
    for name in names:
        assert re.fullmatch(r"(digits|cifar)\d+/[\w.+-]+", name), name
    assert len(robustness.BY_NAME) == 24


@pytest.mark.parametrize("half", HALVES)
def test_each_half_has_every_kind_of_noise(half):
    """The kinds at their rates, both shares of other classes, rare classes, none."""
    rows = HALVES[half]
    assert {(row.noise, row.rate) for row in rows} == {
        ("symmetric", 0.0),
        ("symmetric", 0.2),
        ("symmetric", 0.5),
        ("symmetric", 0.8),
        ("pairflip", 0.4),
        ("image", 0.3),
    }
    assert {row.partial.get("ood_share", 0.0) for row in rows} == {0.0, 0.2, 0.4}
    assert {row.partial.get("imbalance", 1.0) for row in rows} == {1.0, 20.0}
    assert {row.partial["source"] for row in rows} == {"digits", "cifar100"}
    assert {"cifar50", "cifar10", "cifar8"} < {row.dataset for row in rows}


def test_the_clean_rows():
    """No wrong label, so no image of other classes either."""
    clean = {half: [key_of(r) for r in HALVES[half] if r.clean] for half in HALVES}
    assert clean == {
        "develop": ["digits10/clean", "cifar10/clean", "cifar50/clean"],
        "report": ["digits8/clean", "cifar8/clean"],
    }
    foreign = robustness.Row("develop", "d", "c", "symmetric", 0.0, {"ood_share": 0.2})
    assert not foreign.clean


def test_a_cell_says_what_its_row_is():
    for row in robustness.ROWS:
        parts = [f"{row.noise}-{row.rate}" if row.rate else "clean"]
        share, imbalance = (row.partial.get(k) for k in ("ood_share", "imbalance"))
        parts += [f"ood-{share}"] if share else []
        parts += [f"imbalance-{imbalance:.0f}"] if imbalance else []
        assert row.cell == "+".join(parts)
        source = "digits" if row.partial["source"] == "digits" else "cifar"
        assert row.dataset == f"{source}{row.partial['classes']}"
    assert "digits8/symmetric-0.2+ood-0.2+imbalance-20" in map(key_of, HALVES["report"])


def test_the_halves_have_other_classes_of_cifar_100():
    """0 to 49 and 50 to 99 in distribution."""
    for half, first in (("develop", 0), ("report", 50)):
        found = [row for row in HALVES[half] if row.partial["source"] == "cifar100"]
        assert len(found) == 8
        for row in found:
            assert row.partial["first_class"] == first
            assert row.partial["classes"] <= 50


@pytest.mark.parametrize("half", HALVES)
def test_the_runs_of_a_half(half):
    """All rows, methods and seeds, Jo-SRC by both recipes; under names of their own."""
    runs = robustness.runs_of(half=half, seeds=(0, 1))
    found = {(f"{r.dataset}/{r.cell}", r.method, r.recipe, r.seed) for r in runs}
    kinds = [(name, "paper") for name in METHODS] + [("josrc", "adaptive")]
    assert found == {
        (key_of(row), *kind, seed)
        for row in HALVES[half]
        for kind in kinds
        for seed in (0, 1)
    }
    assert len({run.name for run in runs}) == len(runs) == 12 * (len(METHODS) + 1) * 2


def test_names_of_both_halves_and_of_overrides_are_unique_paths():
    names = [
        run.name
        for half in HALVES
        for overrides in ((), (("epochs", 2),), (("batch_size", 9),))
        for run in robustness.runs_of(half=half, seeds=(0, 10), overrides=overrides)
    ]
    count = 24 * (len(METHODS) + 1) * 2 * 3
    assert len({name.lower() for name in names}) == len(names) == count
    for name in names:
        assert re.fullmatch(r"[\w.+=-]+/[\w.+=-]+/[\w.+=-]+", name), name


def test_choices_replace_the_defaults():
    runs = paper_runs(
        "report",
        cells=("cifar8/pairflip-0.4+ood-0.2",),
        methods=("josrc", "jocor"),
        recipes=("adaptive",),
        seeds=(4,),
        overrides=[("epochs", 3), ("batch_size", 16)],
    )
    overrides = (("batch_size", 16), ("epochs", 3))
    row = "cifar8", "pairflip-0.4+ood-0.2"
    assert runs == [
        robustness.SuiteRun(*row, "josrc", "adaptive", 4, overrides),
        robustness.SuiteRun(
            *row, "jocor", "paper", 4, overrides
        ),  # It has but one recipe.
    ]


REFUSED = {
    "half": (
        {"half": "both"},
        "Expected the half as one of ('develop', 'report'). Received: 'both'.",
    ),
    "method": (
        {"methods": ("josrc-c",)},
        f"Expected the method as one of {(*registry.COMPARED, 'josrc')}. "
        "Received: 'josrc-c'.",
    ),
    "recipe": (
        {"recipes": ("paper_text",)},
        "Expected the recipe as one of ('paper', 'adaptive'). Received: 'paper_text'.",
    ),
    "cell": (
        {"cells": ("digits8/clean", "clean")},
        f"Expected the cell as one of "
        f"{tuple(key_of(row) for row in robustness.ROWS)}. Received: 'clean'.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_unknown_names_are_refused(name):
    arguments, text = REFUSED[name]
    with pytest.raises(ValueError) as caught:
        paper_runs(**{"half": "report"} | arguments)
    assert str(caught.value) == text


def test_cells_of_the_other_half_are_not_run():
    """So that `--cell` may name some of each."""
    cells = ("digits10/clean", "digits8/clean")
    runs = paper_runs("report", cells=cells, methods=("josrc",))
    assert [(run.dataset, run.cell) for run in runs] == [("digits8", "clean")]
    assert paper_runs("report", cells=cells[:1]) == []


def test_all_methods_can_be_asked_for():
    for methods in (("all",), ("jocor", "all"), ()):
        assert paper_runs("report", methods=methods) == paper_runs("report")
    cells = ("digits8/clean",)
    for method in registry.COMPARED:  # Those of Tables 3 and 4 by name, too.
        (run,) = paper_runs("report", cells=cells, methods=(method,))
        assert run.config().method == method
    assert run.config().cleannet.steps == 1500  # The values of a small set.


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data.rate", 0.5),
        ("data.validation_share", 0.0),
        ("data.partial.classes", 9),
        ("data.partial.ood_skip", 1),
        ("data.partial.imbalance", 2.0),
    ],
)
def test_an_override_that_belies_the_row_is_refused(field, value):
    cells = ("digits8/clean",)
    run, *_ = paper_runs("report", cells=cells, overrides=[(field, value)])
    with pytest.raises(ValueError, match=rf"Received: \['{field}'\] for standard"):
        run.config()


# Batch size, epochs, first epoch of the decay; network and its width.
DIGITS = (64, 40, 20, "digits_cnn", 1.0)
SMALL = (32, 40, 16, "cnn7", 0.25)
PROTOCOL = {
    "digits6": DIGITS,
    "digits8": DIGITS,
    "digits10": DIGITS,
    "cifar8": SMALL,
    "cifar10": SMALL,
    "cifar50": (64, 30, 12, "cnn7", 0.25),
}


@pytest.mark.parametrize("half", HALVES)
def test_every_run_has_a_configuration(half):
    """What row, method, seed and protocol say; else the methods of a row are alike."""
    default = flat(paper_runs(half)[0].config().to_dict())
    for run in paper_runs(half, seeds=(3,)):
        config = run.config()
        row = robustness.BY_NAME[run.dataset, run.cell]
        assert (config.method, config.seed, config.data.seed) == (run.method, 3, 3)
        assert config.data.name == "partial"
        assert (config.data.noise, config.data.rate) == (row.noise, row.rate)
        assert config.data.validation_share == 0.2
        expected = {
            "ood_share": 0.0,
            "ood_skip": 0,
            "imbalance": 1.0,
            "images_per_class": None,
            "test_images_per_class": None,
        }
        assert config.data.partial.to_dict() == expected | row.partial
        assert PROTOCOL[run.dataset] == (
            config.batch_size,
            config.epochs,
            config.learning_rate_decay.start_epoch,
            config.network.name,
            config.network.width,
        )
        assert flat(config.to_dict()).keys() == default.keys()
        if run.method == "standard":
            first = flat(config.to_dict())
        differing = {k for k, v in flat(config.to_dict()).items() if v != first[k]}
        assert differing <= {"method"}


def test_an_override_of_another_field():
    run, *_ = paper_runs("develop", overrides=[("epochs", 2), ("model.alpha", 0.1)])
    config = run.config()
    assert (config.epochs, config.model.alpha, config.batch_size) == (2, 0.1, 64)


@pytest.fixture
def small_cifar(monkeypatch):
    """Stands in for CIFAR-100: its 600 images a class, but of 4x4 grey pixels."""
    draw = np.random.default_rng(0)

    def split(count):
        labels = np.arange(count) * 7 % 100
        images = draw.integers(0, 100, (count, 4, 4, 1))
        images += labels[:, None, None, None]
        return images.astype("uint8"), labels, np.arange(count)

    train, test = split(50_000), split(10_000)
    names = [f"class{index}" for index in range(100)]
    monkeypatch.setattr(cifar_files, "load", lambda folder: (train, test, names))


@pytest.mark.parametrize("row", robustness.ROWS, ids=key_of)
def test_the_data_of_a_row(row, small_cifar):
    """As many images of other classes, wrong labels and test images as it says."""
    pytest.importorskip("sklearn.datasets")
    run, *_ = paper_runs(row.half, cells=(key_of(row),), methods=("standard",))
    config = run.config()
    benchmark = build_data.make_benchmark(config)
    train, held = benchmark.train, benchmark.validation
    count = len(train) + len(held)
    assert len(held) == round(0.2 * count)
    truth = np.concatenate([train.true_labels, held.true_labels])
    given = np.concatenate([train.labels, held.labels])
    inside = truth >= 0
    share = row.partial.get("ood_share", 0)
    assert np.mean(~inside) == pytest.approx(share, abs=0.5 / count)
    wrong = (truth != given)[inside]
    if row.noise == "image":
        assert wrong.sum() == round(row.rate * inside.sum())
    else:
        deviation = (row.rate * (1 - row.rate) / inside.sum()) ** 0.5
        assert wrong.mean() == pytest.approx(row.rate, abs=4 * deviation)
    assert row.clean == (not (truth != given).any())
    classes = row.partial["classes"]
    assert set(given) == set(benchmark.test.labels) == set(range(classes))
    counts = np.bincount(truth[inside])
    if row.partial["source"] == "cifar100":
        first = row.partial["first_class"]
        assert benchmark.class_names[0] == f"class{first}"
        assert len(benchmark.test) == classes * (40 if classes == 50 else 100)
        expected = {"cifar50": 60, "cifar8": 125, "cifar10": 125}[row.dataset]
        if "imbalance" in row.partial:
            assert (counts[0], counts[-1]) == (250, 12)
        else:
            assert set(counts) == {expected}
    elif "imbalance" in row.partial:
        assert counts[0] / counts[-1] == pytest.approx(20, rel=0.15)


def test_no_image_of_cifar_100_is_in_both_halves(small_cifar):
    """Neither of its own classes nor of others; each image has its number as its id."""
    found = {}
    for half, rows in HALVES.items():
        rows = [row for row in rows if row.partial["source"] == "cifar100"]
        ids = found[half] = set()
        for row in rows:
            run, *_ = paper_runs(half, cells=(key_of(row),), methods=("standard",))
            benchmark = build_data.make_benchmark(run.config())
            for split in (benchmark.train, benchmark.validation):
                ids.update(split.ids.tolist())
        assert any("ood_share" in row.partial for row in rows)
    assert len(found["develop"]) > 3000 < len(found["report"])
    assert not found["develop"] & found["report"]


def test_a_run_of_the_suite_is_recorded(tmp_path):
    """With its row's name, what it says of the held-out images, and a page."""
    from tensorflow.python.framework import config as determinism

    pytest.importorskip("sklearn.datasets")
    overrides = [("epochs", 2), ("data.train_size", 160)]
    cell = "digits8/symmetric-0.2+ood-0.2+imbalance-20"
    runs = paper_runs(
        "report", cells=(cell,), methods=("standard",), overrides=overrides
    )
    results = tmp_path / "results"
    queue = runner.Queue(runs, tmp_path / "runs", results, tmp_path / "data")
    assert queue.work() is True
    determinism.disable_op_determinism()
    (record,) = records.read_all(results)
    assert (f"{record['run']['dataset']}/{record['run']['cell']}", queue.left) == (
        cell,
        [],
    )
    assert record["config"]["data"]["partial"]["imbalance"] == 20.0
    assert record["summary"]["train_images"] == 128  # Of 160 a fifth is held out.
    held_out = record["history"]["held_out_accuracy"]
    assert len(held_out) == 2
    for value in held_out:  # In shares of 32 images.
        assert value * 32 == pytest.approx(round(value * 32), abs=1e-4)
    assert runner.write_page(results, robustness.NAME) == results / "README.md"
    (row,) = synthetic.table((results / "README.md").read_text(), "The runs")
    assert (row["data"], row["noise"]) == tuple(cell.split("/"))
    assert row["changed"] == "data.train_size=160, epochs=2"
    # The second call finds its record.
    again = runner.Queue(runs, tmp_path / "runs", results, tmp_path / "data")
    assert (again.left, list(again.seconds)) == ([], runs)


# The command.

PAPER = ["--suite=robustness", "--recipe=paper"]
BAD = {
    "table": (
        [*PAPER, "--table=2"],
        r"Expected --suite or --table\. Received: --suite=robustness and "
        r"--table=\[2\]\. Leave one of them out\.",
    ),
    "suite": (["--suite=foo"], r"--suite as one of robustness\. Received: 'foo'"),
    "half": (
        [*PAPER, "--half=foo"],
        r"--half as one of develop, report\. Received: 'foo'",
    ),
    "cell": (
        [*PAPER, "--half=report", "--cell=digits10"],
        r"the cell as one of .*'digits10/clean'.*Received: 'digits10'\.",
    ),
    "method": (
        [*PAPER, "--half=report", "--method=josrc-c"],
        r"the method as one of .*'jocor', .*'josrc'\)\. Received: 'josrc-c'\.",
    ),
    "page": (
        ["--suite=robustness", "--page"],
        r"Expected records of `josrc-reproduce`\. Received: new/.*/robustness, without",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("suite")


@pytest.fixture(scope="module")
def commands(folder, tmp_path_factory):
    commands = Forks("josrc_keras.reproduce", folder, tmp_path_factory.mktemp("logs"))
    yield commands
    commands.close()


def left(out):
    """The names of the runs that a dry run says are left."""
    return [line.split()[1] for line in out.splitlines() if line.startswith("  left")]


def test_the_command_lists_the_runs_of_a_half(commands, folder):
    status, out, err = commands.run(
        *PAPER, "--half=report", "--seeds=2", "--dry_run", "--workdir=new"
    )
    assert status == 0, err
    assert left(out) == [run.name for run in paper_runs("report", seeds=(0, 1))]
    assert out.splitlines()[-1].startswith("0 of 144 runs done")
    assert not (folder / "new").exists()


def test_without_a_half_the_command_does_both(commands):
    arguments = ["--method=josrc", "--method=standard", "--epochs=2", "--dry_run"]
    status, out, err = commands.run(*PAPER, *arguments, "--workdir=new")
    assert status == 0, err
    choice = {"methods": ("josrc", "standard"), "overrides": [("epochs", 2)]}
    expected = [run.name for half in HALVES for run in paper_runs(half, **choice)]
    assert left(out) == expected
    assert len(expected) == 48


def test_cells_of_a_half(commands):
    cells = ["digits6/symmetric-0.2+ood-0.4", "cifar8/image-0.3"]
    status, out, err = commands.run(
        *PAPER,
        "--half=develop",
        "--method=jocor",
        *(f"--cell={cell}" for cell in cells),
        "--dry_run",
        "--workdir=new",
    )
    assert status == 0, err
    assert left(out) == [f"{cell}/jocor-paper-0" for cell in cells]


@pytest.mark.parametrize("name", BAD)
def test_bad_flags_are_one_clear_line(name, commands, folder):
    arguments, text = BAD[name]
    status, out, err = commands.run(*arguments, f"--workdir=new/{name}")
    assert (status, out) == (2, "")
    assert re.search(text, err), err
    assert "Traceback" not in err
    assert not (folder / "new").exists()


def test_the_command_writes_the_suites_page(commands, folder):
    """Beside its records, in the folder of the suite."""
    results = folder / "paged" / "results" / "robustness"
    made = [
        synthetic.make_record(method, "clean", dataset="digits8")
        for method in ("josrc", "standard")
    ]
    for record in made:
        record["history"]["held_out_accuracy"] = record["history"]["val_accuracy"]
    synthetic.write_all(results, made)
    status, out, err = commands.run("--page", "--suite=robustness", "--workdir=paged")
    assert (status, out) == (0, "Wrote paged/results/robustness/README.md.\n"), err
    text = (results / "README.md").read_text()
    assert text == robustness_page.write(made)
    assert text.startswith("# Robustness suite\n")
    assert len(list(results.rglob("*"))) == 3 + 2  # Two folders, records, the page.


def test_a_table_has_no_cells_of_the_suite():
    """Nor the suite those of a table."""
    with pytest.raises(ValueError, match=r"Received: 'image-0\.3'"):
        tables.runs_of(
            2, protocol="digits", cells=("image-0.3",), seeds=(0,), overrides=()
        )
    with pytest.raises(ValueError, match=r"Received: 'asymmetric-0\.4'"):
        paper_runs("report", cells=("asymmetric-0.4",))
