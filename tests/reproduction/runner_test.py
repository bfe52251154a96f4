"""The order of the runs, what is skipped, when it stops, what it promises."""

import contextlib
import json
import logging
import types

import pytest

from josrc_keras import _files
from josrc_keras.reproduction import results, runner, tables, tables_page
from tests.support import synthetic

EPOCHS = 4
SECONDS = {"josrc": 60, "standard": 30}  # Of an epoch.


def make_runs(*methods, seeds=(0,), overrides=(("epochs", EPOCHS),)):
    return tables.runs_of(
        2,
        protocol="digits",
        cells=("symmetric-0.5",),
        methods=methods or ("josrc",),
        seeds=seeds,
        overrides=overrides,
    )


class Clock:
    """A `time.monotonic` that moves when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(runner, "time", clock)
    return clock


@pytest.fixture
def trainer(monkeypatch, clock):
    """Stands in for `runs.train.train`, with epochs of a known time.

    Attributes:
        calls: The folders, as relative paths.
        clears: How often Keras was told to forget its graphs.
    """
    trainer = types.SimpleNamespace(calls=[], clears=0)

    def train(config, workdir, *, verbose, callbacks):
        assert verbose == 0
        trainer.calls.append("/".join(workdir.parts[-3:]))
        seconds = SECONDS[config.method]
        epochs = epochs_until_stopped(callbacks, config.epochs, seconds, clock)
        made = synthetic.make_record(config.method, seed=config.seed, epochs=epochs)
        _files.write_json(workdir / "config.json", config.to_dict())
        _files.write_csv(workdir / "history.csv", tables_page.rows_of(made))
        if epochs < config.epochs:
            return None
        summary = made["summary"] | {"wall_seconds": float(seconds * epochs)}
        summary["student"] = {"last10_mean": 0.123 + config.seed / 10}
        _files.write_json(workdir / "summary.json", summary)
        return summary

    def clear():
        trainer.clears += 1

    monkeypatch.setattr(runner.train, "train", train)
    monkeypatch.setattr(runner.keras.backend, "clear_session", clear)
    return trainer


def epochs_until_stopped(callbacks, epochs, seconds, clock):
    """How many epochs the callbacks allow."""
    model = types.SimpleNamespace(stop_training=False)
    for callback in callbacks:
        callback.set_model(model)
    for epoch in range(epochs):
        clock.now += seconds
        for callback in callbacks:
            callback.on_epoch_end(epoch)
        if model.stop_training:
            break
    return epoch + 1


def names_of(runs):
    return [run.name for run in runs]


def queue_of(runs, folder):
    return runner.Queue(runs, folder / "runs", folder / "results", folder / "data")


def test_each_run_has_a_scope_of_its_own(trainer, tmp_path):
    """Opened once the session is cleared, which would end it, and before the run."""
    opened, closed = [], []

    @contextlib.contextmanager
    def scope():
        opened.append((trainer.clears, len(trainer.calls)))
        yield
        closed.append(len(trainer.calls))

    queue = queue_of(make_runs(seeds=(0, 1)), tmp_path)
    assert queue.work(say=lambda text: None, scope=scope) is True
    assert opened == [(1, 0), (2, 1)]
    assert closed == [1, 2]


def test_every_run_is_done_in_order_and_recorded(trainer, tmp_path):
    """Once each, every seed; the record holds what the run folder holds."""
    runs = make_runs("josrc", "standard", seeds=(0, 1))
    queue = queue_of(runs, tmp_path)
    said = []
    assert queue.work(say=said.append) is True
    assert trainer.calls == names_of(runs)
    assert trainer.clears == 4
    assert queue.left == []
    found = sorted((tmp_path / "results").rglob("*.json"))
    assert found == sorted(tmp_path / "results" / f"{run.name}.json" for run in runs)
    for run in runs:
        record = results.read(results.path_of(tmp_path / "results", run))
        made = synthetic.make_record(run.method, seed=run.seed, epochs=EPOCHS)
        assert record["history"] == made["history"]
        assert record["config"]["seed"] == record["run"]["seed"] == run.seed
    unknown = "the rest will take: unknown until a run like it is done"
    end = "Epoch 3 of 4; this run should end in 1 min"
    assert said == [
        f"Training {runs[0].name} ...",
        f"{end}, all in about 13 min.",  # Three times four minutes follow.
        f"{runs[0].name}: student 12.3% in 4 min, {unknown}",
        f"Training {runs[1].name} ...",
        f"{end}, all in about 7 min.",  # Half a minute, then four and two.
        f"{runs[1].name}: student 12.3% in 2 min, the rest should take 6 min",
        f"Training {runs[2].name} ...",
        f"{end}, all in about 3 min.",
        f"{runs[2].name}: student 22.3% in 4 min, the rest should take 2 min",
        f"Training {runs[3].name} ...",
        f"{end}.",
        f"{runs[3].name}: student 22.3% in 2 min",
    ]


def test_what_is_done_is_skipped(trainer, tmp_path):
    """A later queue does the runs that are new, and touches no record."""
    queue_of(make_runs(seeds=(0, 1)), tmp_path).work(say=lambda text: None)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    trainer.calls.clear()
    runs = make_runs("josrc", "standard", seeds=(0, 1))
    queue = queue_of(runs, tmp_path)
    new = [run for run in runs if run.method == "standard"]
    assert queue.left == new
    assert queue.describe().splitlines() == [
        *(f"  done  {run.name}" for run in runs if run.method == "josrc"),
        *(f"  left  {run.name}" for run in new),
        "2 of 4 runs done, the rest will take: unknown until a run like it is done",
    ]
    assert queue.work(say=lambda text: None) is True
    assert trainer.calls == names_of(new)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert queue_of(runs, tmp_path).describe().splitlines()[-1] == "4 of 4 runs done"


def test_a_record_of_another_configuration_stops_it(trainer, tmp_path):
    """Before anything is trained."""
    runs = make_runs(seeds=(0, 1))
    queue_of(runs[1:], tmp_path).work(say=lambda text: None)
    path = results.path_of(tmp_path / "results", runs[1])
    record = json.loads(path.read_text())
    record["config"]["model"]["alpha"] = 0.9
    path.write_text(json.dumps(record))
    trainer.calls.clear()
    with pytest.raises(ValueError, match=r"model\.alpha: 0\.9 there, 0\.3 now"):
        queue_of(runs, tmp_path)
    assert trainer.calls == []


def test_bad_overrides_stop_it_before_the_first_run(trainer, tmp_path):
    with pytest.raises(ValueError, match=r"Received: \{'model\.nonsense': 1\}"):
        queue_of(make_runs(overrides=(("model.nonsense", 1),)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_stopped_has_no_record(trainer, tmp_path):
    """It is still left, with how far it came; a later queue does it to its end."""
    runs = make_runs(seeds=(0, 1))
    queue = queue_of(runs, tmp_path)
    assert queue.work(time_limit=6.5, say=lambda text: None) is False
    assert queue.left == runs[1:]
    assert not results.path_of(tmp_path / "results", runs[1]).exists()
    again = queue_of(runs, tmp_path)
    assert again.describe().splitlines() == [
        f"  done  {runs[0].name}",
        f"  left  {runs[1].name} (after epoch 3 of 4)",
        "1 of 2 runs done, the rest should take 4 min",
    ]
    assert again.work(say=lambda text: None) is True
    assert names_of([runs[0], runs[1], runs[1]]) == trainer.calls


def test_a_run_that_breaks_down_is_passed_over(trainer, tmp_path, monkeypatch):
    """The others are done; the next queue tries it again."""
    runs = make_runs(seeds=(0, 1, 2))
    train = runner.train.train

    def sometimes(config, workdir, **arguments):
        if config.seed == 1:
            raise FloatingPointError("the loss is NaN")
        return train(config, workdir, **arguments)

    monkeypatch.setattr(runner.train, "train", sometimes)
    queue = queue_of(runs, tmp_path)
    said = []
    assert queue.work(say=said.append) is False
    assert f"{runs[1].name} broke down." in said
    assert queue.broken == {runs[1]: f"{runs[1].name}: the loss is NaN"}
    assert trainer.calls == names_of([runs[0], runs[2]])
    assert queue_of(runs, tmp_path).left == [runs[1]]


@pytest.mark.parametrize(
    ("minutes", "begun", "done", "finished"),
    [
        (0.0, 1, 0, False),
        (3.9, 1, 1, False),  # It ends at 4, too late for another.
        (4.1, 2, 1, False),
        (11.9, 3, 3, True),  # Nothing is left.
        (12.1, 3, 3, True),
    ],
)
def test_no_epoch_begins_after_the_time(
    trainer, tmp_path, minutes, begun, done, finished
):
    """Three runs of four epochs, a minute each."""
    queue = queue_of(make_runs(seeds=(0, 1, 2)), tmp_path)
    assert queue.work(time_limit=minutes, say=lambda text: None) is finished
    assert len(trainer.calls) == begun
    assert len(list((tmp_path / "results").rglob("*.json"))) == done
    assert len(queue.left) == 3 - done


@pytest.mark.parametrize(
    ("epochs", "text"),
    [(4, "4 min"), (41, "41 min"), (119, "119 min"), (120, "2 h 0 min")],
)
def test_estimates_go_by_runs_of_the_same_kind(trainer, tmp_path, epochs, text):
    """A minute an epoch, whatever the number of epochs; another method says nothing."""
    queue_of(make_runs("josrc", "standard"), tmp_path).work(say=lambda text: None)
    for path in (tmp_path / "results").rglob("standard*.json"):
        record = json.loads(path.read_text())
        record["summary"]["wall_seconds"] = 1e6
        path.write_text(json.dumps(record))
    more = make_runs(overrides=(("epochs", epochs), ("model.alpha", 0.2)))
    queue = queue_of([*make_runs("josrc", "standard"), *more], tmp_path)
    assert queue.left == more
    assert queue.remaining() == f", the rest should take {text}"


def pace_of(deadline, report=lambda *found: None):
    pace = runner.Pace(deadline, report)
    pace.set_model(types.SimpleNamespace(stop_training=False))
    return pace


def test_a_run_stops_at_the_first_end_of_an_epoch_after_the_deadline(clock):
    pace = pace_of(1100.0)
    stopped = []
    for epoch in range(4):
        clock.now += 30
        pace.on_epoch_end(epoch)
        stopped.append(pace.model.stop_training)
    assert stopped == [False, False, False, True]  # At 1030, 1060, 1090, 1120.


def test_no_deadline_stops_nothing(clock):
    pace = pace_of(None)
    clock.now += 1e9
    pace.on_epoch_end(0)
    assert pace.model.stop_training is False


@pytest.mark.parametrize("first", [0, 4])
def test_the_pace_is_that_without_the_first_epoch(clock, first):
    """After 200 s, which compile, 50 and 70 s: 60 s. Once, and when resumed too."""
    reports = []
    pace = pace_of(None, lambda *found: reports.append(found))
    for epoch, seconds in enumerate([200, 50, 70, 80, 90], start=first):
        clock.now += seconds
        pace.on_epoch_end(epoch)
    assert reports == [(first + 3, 60.0)]


@pytest.fixture
def log(caplog):
    """Texts of what `absl.logging` says."""
    logger = logging.getLogger("absl")
    before = logger.propagate
    logger.propagate = True
    caplog.set_level(logging.INFO, "absl")
    yield lambda: [record.getMessage() for record in caplog.records]
    logger.propagate = before


def test_a_page_of_nothing_is_refused(tmp_path):
    text = r"Expected records of `josrc-reproduce`\. Received: .*, without any\. Run it"
    with pytest.raises(ValueError, match=text):
        runner.write_page(tmp_path / "digits", "digits")
    assert list(tmp_path.iterdir()) == []


def test_the_page_and_its_figures_stand_beside_the_records(tmp_path):
    made = [make for method in ("josrc", "standard") for make in records_of(method)]
    synthetic.write_all(tmp_path, made)
    assert runner.write_page(tmp_path, "digits") == tmp_path / "README.md"
    names = [f"figure{number}_digits8n_o.png" for number in (3, 4, 5)]
    text = (tmp_path / "README.md").read_text()
    assert [line.split("(")[1] for line in text.splitlines() if "![" in line] == [
        f"{name})" for name in names
    ]
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"README.md", "digits8n_o", *names}


def records_of(method):
    return [synthetic.make_record(method, seed=seed) for seed in (0, 1)]


def test_without_matplotlib_the_page_has_no_figures(tmp_path, monkeypatch, log):
    """And says what would add them."""
    find_spec = runner.importlib.util.find_spec
    monkeypatch.setattr(
        runner.importlib.util,
        "find_spec",
        lambda name: None if name == "matplotlib" else find_spec(name),
    )
    made = records_of("josrc")
    synthetic.write_all(tmp_path, made)
    runner.write_page(tmp_path, "digits")
    assert (tmp_path / "README.md").read_text() == tables_page.write(made, "digits")
    assert not list(tmp_path.glob("*.png"))
    assert any(r"pip install josrc-keras[report]" in text for text in log())


def test_what_a_killed_reproduction_was_writing_is_removed(trainer, tmp_path):
    """Kind: what lies beside a file that is whole, or is not written again."""
    (run,) = make_runs()
    work = runner.Queue([run], tmp_path / "runs", tmp_path / "results", tmp_path)
    assert work.work()
    record = results.path_of(tmp_path / "results", run)
    for path in (record, tmp_path / "results/README.md"):
        path.with_name(f"{_files.PREFIX}{path.name}-12345678").mkdir()
    other = record.with_name(f"{_files.PREFIX}other.json-12345678")
    other.mkdir()  # Another process writes it.
    runner.Queue([run], tmp_path / "runs", tmp_path / "results", tmp_path)
    runner.write_page(tmp_path / "results", "digits")
    assert list((tmp_path / "results").rglob(f"{_files.PREFIX}*")) == [other]
