"""Runs within a budget of arithmetic: their epochs, their records and their page."""

import json

import pytest

from josrc_keras.reproduction import budget, budget_page, results, tables
from josrc_keras.runs import arithmetic, plots
from tests.support import synthetic

CELLS = ("symmetric-0.2", "symmetric-0.5", "symmetric-0.8", "asymmetric-0.4")


@pytest.mark.parametrize(
    ("method", "recipe", "passes"),
    [
        ("josrc", "lean", 4),  # One view of the student, three passes, and a teacher's.
        ("josrc", "adaptive", 8),
        ("josrc", "paper", 8),
        ("standard", "lean", 3),
        ("coteaching", "paper", 6),
    ],
)
def test_the_budget_decides_the_epochs(method, recipe, passes):
    """49,920 images of an epoch in whole batches, 225 million operations a pass."""
    (run,) = budget.runs_of(
        [2], budget=1.0, cells=CELLS[:1], methods=(method,), recipes=(recipe,)
    )
    config = run.config()
    assert config.epochs == round(1e15 / (49_920 * 225_140_736 * passes))
    warmup = min(10, config.epochs // 2)
    assert config.threshold.warmup_epochs == config.forget.warmup_epochs == warmup
    assert config.learning_rate_decay.start_epoch == round(80 * config.epochs / 200)
    assert run.name == f"cifar80n_o/{CELLS[0]}/1PF-{method}-{recipe}-0"
    assert run.fields()["budget"] == 1.0


def test_runs_of_both_tables():
    """Every cell of both, of the recipe lean unless others are named."""
    runs = budget.runs_of([1, 2], budget=0.5, seeds=range(2))
    assert [run.name for run in runs] == [
        f"{dataset}/{cell}/0.5PF-josrc-lean-{seed}"
        for dataset in ("cifar100n_c", "cifar80n_o")
        for seed in range(2)
        for cell in CELLS
    ]
    (chosen,) = budget.runs_of(
        [1], budget=4, cells=CELLS[3:], overrides=[("epochs", 3)]
    )
    assert chosen.config().epochs == 3
    full = tables.runs_of(1, protocol="full", cells=CELLS[3:], seeds=(0,), overrides=())
    assert chosen.config().data == full[0].config().data


def test_bad_budgets_are_refused():
    with pytest.raises(ValueError, match=r"table of --protocol=budget.*Received: 3"):
        budget.runs_of([3], budget=1)
    (run,) = budget.runs_of([1], budget=0, cells=CELLS[:1])
    with pytest.raises(ValueError, match=r"above 0 PFLOP\. Received: 0"):
        run.config()


def test_a_network_that_is_not_counted():
    """It trains as ever, and its record says that nothing is known."""
    import keras

    class Model:
        student = keras.Sequential([keras.Input((2,)), keras.layers.Embedding(9, 2)])

        def passes(self):
            return 3

    assert arithmetic.petaflop(Model(), 100) is None


def make_record(method, recipe, cell=CELLS[0], seed=0, petaflop=1.0, **run):
    record = synthetic.make_record(
        method, cell, seed, epochs=22, dataset="cifar80n_o", recipe=recipe, **run
    )
    record["run"]["budget"] = petaflop
    adaptive = recipe in ("lean", "adaptive") and method == "josrc"
    record["config"]["method"] = "josrc_adaptive" if adaptive else method
    record["summary"] |= {"petaflop": petaflop, "cpu_seconds": 5400, "cores": 2}
    if method == "josrc":
        record["audit"] = {"label_auroc": 0.9, "noise_rate": 0.36}
        record["audit"] |= {"noise_rate_estimated": 0.3, "ood_auroc_all": 0.7}
    return record


@pytest.fixture(scope="module")
def records():
    return [
        make_record("standard", "paper"),
        make_record("josrc", "lean"),
        make_record("josrc", "lean", seed=1),
        make_record("josrc", "lean", petaflop=4.0),
        make_record("josrc", "paper", cell=CELLS[3]),
    ]


def test_the_page_by_hand(records):
    """The mean of the last three of 22 epochs, a tenth, of what each delivers."""
    page = budget_page.write(records, [("A caption", "figure.png")])
    rows = synthetic.table(page, "Table 2")
    assert [(row["noise"], row["PFLOP"], row["recipe"]) for row in rows] == [
        (CELLS[0], "1", "paper"),
        (CELLS[0], "1", "lean"),
        (CELLS[0], "4", "lean"),
        (CELLS[3], "1", "paper"),
    ]
    teacher = [
        100 * sum(r["history"]["val_teacher_accuracy"][-3:]) / 3 for r in records[1:3]
    ]
    assert rows[1]["accuracy"].startswith(f"**{sum(teacher) / 2:.1f} ± ")
    assert rows[1]["seeds"] == "0, 1"
    assert rows[1]["difference"] == f"{sum(teacher) / 2 - 65.83:+.1f}"
    student = 100 * sum(records[4]["history"]["val_accuracy"][-3:]) / 3
    assert rows[3]["accuracy"] == f"**{student:.1f}**"
    assert (rows[3]["paper"], rows[0]["CPU hours"]) == ("53.03", "1.5")
    found = synthetic.table(page, "What was found out")
    assert [row["wrong labels"] for row in found] == ["0.90"] * 3
    assert found[0]["noise rate"] == "0.30"
    assert "![A caption](figure.png)" in page


def test_the_figure_is_drawn(records, tmp_path):
    ((caption, name),) = budget_page.draw(records, tmp_path)
    assert caption == "Accuracy against arithmetic, Table 2: CIFAR80N-O"
    assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_runs_are_told_apart_by_their_lines(tmp_path, monkeypatch):
    """Those of a method have its colour, and a line for each choice."""
    pyplot = plots.import_pyplot()
    closed = []
    monkeypatch.setattr(pyplot, "close", closed.append)
    changed = make_record("josrc", "lean")
    changed["run"]["overrides"] = {"adaptive.leave_one_out": False}
    drawn = [make_record("josrc", "lean"), changed, make_record("standard", "lean")]
    budget_page.draw(drawn, tmp_path)
    monkeypatch.undo()
    (figure,) = closed
    ordinary, plain, other = figure.axes[0].get_lines()[1:]
    assert plain.get_color() == other.get_color() != ordinary.get_color()
    assert plain.get_linestyle() == ordinary.get_linestyle() == "-"
    assert other.get_linestyle() == "--"
    # No name is cut off.
    size = figure.bbox.width
    (legend,) = figure.legends
    assert 0 <= legend.get_window_extent().x0 < legend.get_window_extent().x1 <= size
    pyplot.close(figure)


def test_records_of_budgets_are_read(records, tmp_path):
    """Two budgets of a cell are two records."""
    for record in records:
        run = record["run"]
        overrides = tuple(run["overrides"].items())
        of_run = budget.BudgetRun(
            run["dataset"],
            run["cell"],
            run["method"],
            run["recipe"],
            run["seed"],
            overrides,
            budget=run["budget"],
        )
        path = results.path_of(tmp_path, of_run)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))
    found = results.read_all(tmp_path)
    assert len(found) == len(records)
    assert sorted(record["run"]["budget"] for record in found) == [1, 1, 1, 1, 4]
