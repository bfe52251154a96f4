"""The record of a real run: what is in it, and what is refused."""

import csv
import dataclasses
import json
import shutil

import pytest

from josrc_keras.reproduction import results, tables, tables_page
from josrc_keras.runs import configuration
from tests.support import synthetic


@pytest.fixture(scope="module")
def written(trained_run, tmp_path_factory):
    """`(folder of the protocol, path of the record)` of the run of two epochs."""
    folder = tmp_path_factory.mktemp("results") / "digits"
    return folder, results.write(folder, *trained_run)


def rows_of(workdir):
    with open(workdir / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_record_reads_back(written, trained_run):
    """The run, its configuration and its summary, under the run's name."""
    (folder, path), (run, workdir) = written, trained_run
    assert path == folder / f"{run.name}.json" == results.path_of(folder, run)
    assert [p for p in folder.rglob("*") if p.is_file()] == [path]
    record = results.read(path)
    assert list(record) == ["run", "summary", "config", "history"]
    assert record["run"] == {
        "dataset": "digits8n_o",
        "cell": "symmetric-0.5",
        "method": "josrc",
        "recipe": "paper",
        "seed": 0,
        "overrides": {
            "data.train_size": 192,
            "epochs": 2,
            "threshold.warmup_epochs": 1,
        },
    }
    assert record["summary"] == json.loads((workdir / "summary.json").read_text())
    assert record["config"] == json.loads(json.dumps(run.config().to_dict()))
    assert results.read_all(folder) == [record]


def test_the_history_is_that_of_the_run(written, trained_run):
    """Every column and epoch of history.csv, to six decimals."""
    history = results.read(written[1])["history"]
    rows = rows_of(trained_run[1])
    assert list(history) == list(rows[0])
    assert history["epoch"] == [1, 2]
    assert len(history) >= 25  # Accuracies, losses, verdicts, thresholds.
    for name, values in history.items():
        assert values == pytest.approx([float(row[name]) for row in rows], abs=5.1e-7)
        assert all(value == round(value, 6) for value in values)


def test_json_with_a_column_a_line(written):
    """So that a change of one number is a change of one line."""
    text = written[1].read_text()
    assert text.endswith("}\n")
    history = json.loads(text)["history"]
    lines = [line.strip().rstrip(",") for line in text.splitlines()]
    for name, values in history.items():
        assert f'"{name}": {json.dumps(values)}' in lines


def test_an_absent_value_is_null(trained_run, tmp_path):
    """A column that begins late: null in the record, absent in the rows."""
    run, workdir = trained_run
    late = shutil.copytree(workdir, tmp_path / "late")
    rows = rows_of(workdir)
    rows[0]["val_teacher_accuracy"] = ""
    with open(late / "history.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    record = results.read(results.write(tmp_path / "digits", run, late))
    last = float(rows[1]["val_teacher_accuracy"])
    assert record["history"]["val_teacher_accuracy"] == [None, round(last, 6)]
    first, second = tables_page.rows_of(record)
    assert "val_teacher_accuracy" not in first
    assert second["val_teacher_accuracy"] == round(last, 6)
    assert len(first) == len(second) - 1 == len(rows[0]) - 1


def test_is_done_by_its_record(written, trained_run, tmp_path):
    (folder, _), (run, _) = written, trained_run
    config = run.config().to_dict()
    assert results.is_done(folder, run, config) is True
    assert results.is_done(tmp_path, run, config) is False
    other = dataclasses.replace(run, seed=1)
    assert results.is_done(folder, other, other.config().to_dict()) is False


def test_a_record_of_another_configuration_is_refused(written, trained_run):
    """What differs, and what to do; not the file's only word that it is done."""
    (folder, path), (run, _) = written, trained_run
    config = run.config()
    config.model.alpha = 0.25
    text = r"Received: .*\(model\.alpha: 0\.3 there, 0\.25 now\)\. Choose another"
    with pytest.raises(ValueError, match=text) as refused:
        results.is_done(folder, run, config.to_dict())
    assert str(path) in str(refused.value)
    assert "or delete the record" in str(refused.value)


@pytest.mark.parametrize("adaptive", [False, True])
def test_what_only_the_adaptive_recipe_reads_may_differ_elsewhere(
    adaptive, tmp_path, written, trained_run
):
    (_, path), (run, _) = written, trained_run
    record = json.loads(path.read_text(encoding="utf-8"))
    method = "josrc_adaptive" if adaptive else "josrc"
    record["config"]["method"] = method
    record["config"]["adaptive"]["mixup"] = 0.125
    copy = results.path_of(tmp_path, run)
    copy.parent.mkdir(parents=True)
    copy.write_text(json.dumps(record), encoding="utf-8")
    config = run.config().to_dict() | {"method": method}
    if not adaptive:
        assert results.is_done(tmp_path, run, config)
        return
    with pytest.raises(ValueError, match=r"adaptive\.mixup: 0\.125 there"):
        results.is_done(tmp_path, run, config)


def upgraded(record):
    """What is read of a record with a part of a configuration."""
    return record | {"config": configuration.upgrade(record["config"])}


BROKEN = {
    "empty": "",
    "cut off": '{"run": {"dataset": "digits8n_o"',
    "no object": "[1, 2]",
    "null": "null",
    "not text": b"\xff\xfe\x00",
    "no run": '{"config": {}, "history": {"epoch": []}, "summary": {}}',
    "no config": '{"run": {}, "history": {"epoch": []}, "summary": {}}',
    "no history": '{"run": {}, "config": {}, "summary": {}}',
    "no epochs": '{"run": {}, "config": {}, "history": {}, "summary": {}}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_is_refused(name, tmp_path):
    """With its path and what to do, alone and among others."""
    path = tmp_path / "digits8n_o" / "symmetric-0.5" / "josrc-paper-0.json"
    path.parent.mkdir(parents=True)
    content = BROKEN[name]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    text = r"Expected a record of `josrc-reproduce`\. Received: (.*) \(.*Delete it to"
    run = tables.Run("digits8n_o", "symmetric-0.5", "josrc")
    for read in (
        lambda: results.read(path),
        lambda: results.read_all(tmp_path),
        lambda: results.is_done(tmp_path, run, run.config().to_dict()),
    ):
        with pytest.raises(ValueError, match=text) as refused:
            read()
        assert str(path) in str(refused.value)


def without(record, *names):
    """A record that lacks a part."""
    *outer, last = names
    part = record
    for name in outer:
        part = part[name]
    del part[last]
    return record


def with_short_column(record):
    record["history"]["loss"].pop()
    return record


INCOMPLETE = {
    "no summary": lambda record: without(record, "summary"),
    "no time": lambda record: without(record, "summary", "wall_seconds"),
    "no seed": lambda record: without(record, "run", "seed"),
    "no accuracy": lambda record: without(record, "history", "val_accuracy"),
    "no epochs": lambda record: record | {"history": {"epoch": []}},
    "short column": with_short_column,
    "unknown cell": lambda r: r | {"run": r["run"] | {"cell": "symmetric-0.3"}},
    "unknown method": lambda r: r | {"run": r["run"] | {"method": "magic"}},
    "unknown dataset": lambda r: r | {"run": r["run"] | {"dataset": "mnist"}},
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_an_incomplete_record_is_refused(name, tmp_path):
    """By name, and not later by a KeyError of the page."""
    path = tmp_path / "record.json"
    path.write_text(json.dumps(INCOMPLETE[name](synthetic.make_record())))
    with pytest.raises(ValueError, match=r"Received: .*record\.json .*Delete it to"):
        results.read(path)


def test_the_incomplete_records_lack_only_that(tmp_path):
    """Whole, the same record is read."""
    record = synthetic.make_record()
    (tmp_path / "record.json").write_text(json.dumps(record))
    assert results.read(tmp_path / "record.json") == upgraded(record)


@pytest.mark.parametrize("lacking", ["summary.json", "history.csv", "config.json"])
def test_an_incomplete_run_leaves_no_record(lacking, trained_run, tmp_path):
    run, workdir = trained_run
    unfinished = shutil.copytree(workdir, tmp_path / "run")
    (unfinished / lacking).unlink()
    with pytest.raises(OSError, match=lacking.replace(".", r"\.")):
        results.write(tmp_path / "results", run, unfinished)
    assert not (tmp_path / "results").exists()


def test_only_records_are_read(written, tmp_path):
    """Not what lies beside them, nor what a killed process left half written."""
    folder = shutil.copytree(written[0], tmp_path / "digits")
    (path,) = folder.glob("*/*/*.json")
    (folder / "README.md").write_text("page")
    (folder / "other.json").write_text("{}")
    unfinished = path.parent / ".josrc-unfinished-x"
    unfinished.mkdir()
    (unfinished / path.name).write_text("{")
    assert results.read_all(folder) == [results.read(path)]
    assert results.read_all(tmp_path / "absent") == []


def test_records_are_in_the_order_of_their_names(tmp_path):
    made = [synthetic.make_record(seed=seed) for seed in (2, 0, 1)]
    synthetic.write_all(tmp_path, made)
    found = results.read_all(tmp_path)
    assert [record["run"]["seed"] for record in found] == [0, 1, 2]
    assert found == [upgraded(made[number]) for number in (1, 2, 0)]


def as_before(record, selection="threshold"):
    """The record of a run of before version 0.2, whose configuration was flatter."""
    config = json.loads(json.dumps(record["config"]))
    config["selection"] = selection
    config["method"] = "josrc"
    config["decay"] = config.pop("learning_rate_decay")
    rule = config.pop("adaptive")
    names = ("alpha", "hold", "mixup", "sharpness", "temperature")
    config["trust"] = {name: rule[name] for name in names}
    config["trust"]["decay"] = rule["teacher_decay"]
    return record | {"config": config}


@pytest.mark.parametrize("selection", ["threshold", "trust"])
def test_a_record_of_before_is_read_by_the_names_of_now(selection, written, tmp_path):
    """Its configuration; its history has the student's accuracy, as it had."""
    record = json.loads(written[1].read_text(encoding="utf-8"))
    before = as_before(record, selection)
    (tmp_path / "record.json").write_text(json.dumps(before))
    found = results.read(tmp_path / "record.json")
    method = {"threshold": "josrc", "trust": "josrc_adaptive"}[selection]
    assert found["config"] == record["config"] | {"method": method}
    assert found["history"] == record["history"] == before["history"]


def test_a_run_of_before_is_done(written, trained_run, tmp_path):
    """And its configuration is compared by the names of now."""
    run, _ = trained_run
    record = as_before(json.loads(written[1].read_text(encoding="utf-8")))
    path = results.path_of(tmp_path, run)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    config = run.config()
    assert results.is_done(tmp_path, run, config.to_dict())
    config.learning_rate_decay.start_epoch = 3
    with pytest.raises(
        ValueError, match=r"learning_rate_decay\.start_epoch: 20 there, 3"
    ):
        results.is_done(tmp_path, run, config.to_dict())


# What a run of the adaptive method calls its columns, and what records called them.
COLUMNS = {
    "epoch": "epoch",
    "loss": "loss",
    "accuracy": "accuracy",
    "val_accuracy": "val_teacher_accuracy",
    "val_loss": "val_teacher_loss",
    "val_student_accuracy": "val_accuracy",
    "val_student_loss": "val_loss",
    "held_out_accuracy": "held_out_teacher_accuracy",
    "held_out_student_accuracy": "held_out_accuracy",
    "noise_rate": "noise_rate",
}


def test_an_adaptive_runs_history_is_read_by_network(tmp_path):
    """As that of the records of before, whose `val_accuracy` is the student's."""
    record = synthetic.make_record(recipe="adaptive")
    epochs = len(record["history"]["epoch"])
    record["history"] = {
        name: [number + epoch / 100 for epoch in range(epochs)]
        for number, name in enumerate(COLUMNS)
    }
    (tmp_path / "record.json").write_text(json.dumps(record))
    found = results.read(tmp_path / "record.json")["history"]
    assert list(found) == list(COLUMNS.values())
    for name, values in record["history"].items():
        assert found[COLUMNS[name]] == values
