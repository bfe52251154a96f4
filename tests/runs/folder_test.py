"""Opening a run folder, and what its summary says."""

import json
import statistics
import types
from pathlib import Path

import numpy as np
import pytest

from josrc_keras import _files
from josrc_keras.configs import digits8n_o
from josrc_keras.data import Benchmark, Split
from josrc_keras.runs import configuration
from josrc_keras.runs import folder as run_folder
from josrc_keras.runs import summary as runs_summary


def config_of(**fields):
    """A configuration as a dict, as JSON holds it."""
    config = digits8n_o.get_config()
    config.update_from_flattened_dict({"epochs": 3, **fields})
    return json.loads(json.dumps(config.to_dict()))


CONFIG = config_of()
BEFORE = Path(__file__).parents[1] / "before"


def test_opens_and_reopens(tmp_path):
    """The configuration is written once, and the same one opens the folder again."""
    folder = run_folder.open_folder(tmp_path / "a" / "b", CONFIG)
    assert json.loads((folder / "config.json").read_text()) == CONFIG
    assert run_folder.read_config(folder) == CONFIG
    assert run_folder.open_folder(str(folder), dict(CONFIG)) == folder


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (config_of(epochs=4), "epochs: 3 there, 4 now"),
        (
            config_of(**{"data.train_size": 9}),
            "data.train_size: None there, 9 now",
        ),
        (config_of() | {"new": 1}, "new: None there, 1 now"),
    ],
)
def test_another_configuration_is_refused(tmp_path, now, text):
    """The error names what differs; the folder is as it was."""
    run_folder.open_folder(tmp_path, CONFIG)
    (tmp_path / "checkpoint" / "epoch-00001").mkdir(parents=True)  # It has trained.
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(ValueError, match=f"{text}.*Resume it with its own"):
        run_folder.open_folder(tmp_path, now)
    assert (tmp_path / "config.json").read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"config.json", "checkpoint"}


@pytest.mark.parametrize("left", ["model.keras", "summary.json"])
def test_a_trained_run_without_checkpoints_is_not_overwritten(tmp_path, left):
    """Neither by another configuration nor by its own, from the start."""
    config = config_of(batch_size=1)
    run_folder.open_folder(tmp_path, config)
    (tmp_path / left).write_text("kept")
    with pytest.raises(
        ValueError, match=r"Received: batch_size: 1 there, 2 now\. Resume it"
    ):
        run_folder.open_folder(tmp_path, config_of(batch_size=2))
    with pytest.raises(ValueError) as caught:
        run_folder.open_folder(tmp_path, config)
    assert "which holds a trained model whose checkpoints are gone" in str(caught.value)
    assert "or remove model.keras and summary.json" in str(caught.value)
    assert json.loads((tmp_path / "config.json").read_text()) == config


@pytest.mark.parametrize("recipe", ["adaptive", "paper"])
def test_a_folder_of_before_is_opened_by_the_names_of_now(tmp_path, recipe):
    """Read, and refused where it differs, by the fields of today; then upgraded."""
    before = (BEFORE / recipe / "config.json").read_bytes()
    (tmp_path / "config.json").write_bytes(before)
    now = run_folder.read_config(tmp_path)
    assert now == configuration.upgrade(json.loads(before))
    (tmp_path / "checkpoint" / "epoch-00002").mkdir(parents=True)
    other = json.loads(json.dumps(now))
    other["learning_rate_decay"]["start_epoch"] = 1
    message = r"Received: learning_rate_decay\.start_epoch: 2 there, 1 now\. Resume it"
    with pytest.raises(ValueError, match=message):
        run_folder.open_folder(tmp_path, other)
    assert (tmp_path / "config.json").read_bytes() == before
    run_folder.open_folder(tmp_path, now)
    assert json.loads((tmp_path / "config.json").read_text()) == now


def test_a_file_is_no_run_folder(tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(OSError, match=rf"--workdir={path} \(File exists\)\. Expected"):
        run_folder.open_folder(path, CONFIG)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_broken_config_file_is_named(tmp_path, text):
    """Both who opens and who reads are told which file, and what to do."""
    path = tmp_path / "config.json"
    path.write_text(text)
    for act in (
        run_folder.read_config,
        lambda folder: run_folder.open_folder(folder, CONFIG),
    ):
        with pytest.raises((OSError, ValueError), match=r"config\.json") as caught:
            act(tmp_path)
        assert str(tmp_path) in str(caught.value)
    assert path.read_text() == text


def test_reading_what_is_no_run(tmp_path):
    with pytest.raises(OSError, match=r"Expected a run folder .*Received: .*--workdir"):
        run_folder.read_config(tmp_path / "absent")


def summary_of(history, recipe="paper", **fields):
    labels = np.zeros(5, np.int64)
    split = Split(np.zeros((5, 2, 2, 1), np.uint8), labels, labels, labels)
    benchmark = Benchmark(split, split.head(3), ("a", "b"), "checksum")
    checkpoint = types.SimpleNamespace(
        history=history, seconds=12.34, cpu_seconds=45.67
    )
    config = digits8n_o.get_config(recipe)
    config.update_from_flattened_dict(fields)
    return runs_summary.summarise(config, benchmark, checkpoint, 1.25)


def test_summary_of_many_epochs():
    """Mean and deviation of the last ten of twelve, by hand; the best of all."""
    values = [0.99, 0.10, *[0.5, 0.6] * 5]
    history = [
        {"epoch": i + 1, "val_accuracy": v, "val_teacher_accuracy": v / 2}
        | {"clean_precision": i / 100, "loss": 1.0}
        for i, v in enumerate(values)
    ]
    summary = summary_of(history)
    assert summary["epochs"] == 12
    assert summary["student"] == {
        "last10_mean": pytest.approx(0.55),
        "last10_deviation": pytest.approx(statistics.stdev([0.5, 0.6] * 5)),
        "best": 0.99,
        "last": 0.6,
    }
    assert summary["teacher"]["last10_mean"] == pytest.approx(0.275)
    assert summary["verdicts_last_epoch"] == {"clean_precision": 0.11}
    assert (summary["wall_seconds"], summary["cpu_seconds"]) == (12.3, 45.7)
    assert (summary["petaflop"], summary["cores"] >= 1) == (1.25, True)
    assert (summary["train_images"], summary["test_images"]) == (5, 3)
    assert summary["noise_checksum"] == "checksum"
    assert summary["seed"] == summary["noise_seed"] == 0
    assert {"python", "keras", "tensorflow", "numpy", "josrc_keras", "backend"} == set(
        summary["versions"]
    )
    assert "CPU" in summary["device"] or summary["device"]


def test_summary_has_the_verdicts_of_the_best_epoch():
    """The first of equals, in the accuracy; and of an epoch the verdicts alone."""
    history = [
        {"epoch": i + 1, "val_accuracy": accuracy, "accuracy_clean": 0.9}
        | {"clean_f1": i / 10, "id_recall": i / 20, "ood_fraction": i / 40}
        for i, accuracy in enumerate([0.2, 0.7, 0.7, 0.6])
    ]
    summary = summary_of(history)
    assert summary["best_epoch"] == 2
    best = {"clean_f1": 0.1, "id_recall": 0.05, "ood_fraction": 0.025}
    assert summary["verdicts_best_epoch"] == best
    last = {name: pytest.approx(3 * value) for name, value in best.items()}
    assert summary["verdicts_last_epoch"] == last


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("/opt/bin/josrc-train", "josrc-train '--workdir=my run'"),
        (
            "/src/josrc_keras/train.py",
            "python -m josrc_keras.train '--workdir=my run'",
        ),
        ("/home/me/train.py", "train.py '--workdir=my run'"),
    ],
)
def test_the_command_can_be_pasted(program, expected, monkeypatch):
    monkeypatch.setattr(runs_summary.sys, "argv", [program, "--workdir=my run"])
    assert runs_summary.command() == expected


def test_differences_between_configurations():
    """A text for each field, in the order of their names."""
    now = config_of(**{"data.rate": 0.2}) | {"a": {"b": 1}}
    assert configuration.differences(CONFIG, now) == [
        "a.b: None there, 1 now",
        "data.rate: 0.5 there, 0.2 now",
    ]
    assert configuration.differences(CONFIG, dict(CONFIG)) == []


def test_reads_history_and_summary(tmp_path):
    """Numbers; what an epoch has not, its row has not; nothing where there is none."""
    for read in (run_folder.read_history, run_folder.read_summary):
        with pytest.raises(FileNotFoundError):
            read(tmp_path)
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-9, "more": 4}]
    _files.write_csv(tmp_path / "history.csv", rows)
    _files.write_json(tmp_path / "summary.json", {"epochs": 2})
    assert run_folder.read_history(str(tmp_path)) == rows
    assert run_folder.read_summary(str(tmp_path)) == {"epochs": 2}


def test_summary_of_the_teacher_alone():
    """With `teacher.evaluate = "teacher"`, `val_accuracy` is the teacher's."""
    history = [{"epoch": 1, "val_accuracy": 0.5}, {"epoch": 2, "val_accuracy": 0.7}]
    summary = summary_of(history, **{"teacher.evaluate": "teacher"})
    assert summary["student"] is None
    assert summary["teacher"]["last10_mean"] == pytest.approx(0.6)


COLUMNS = {
    "one network": (["accuracy", "val_accuracy"], {"student": "val_accuracy"}),
    "Jo-SRC": (
        ["val_accuracy", "val_teacher_accuracy", "val_teacher_loss"],
        {"student": "val_accuracy", "teacher": "val_teacher_accuracy"},
    ),
    "the adaptive method": (
        ["val_accuracy", "val_student_accuracy", "val_student_loss"],
        {"student": "val_student_accuracy", "teacher": "val_accuracy"},
    ),
    "nothing": (["epoch", "loss"], {}),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_which_column_is_which_networks(name):
    """`val_accuracy` is of the network that answers."""
    names, expected = COLUMNS[name]
    for kind in (list, tuple, set, dict.fromkeys):
        assert run_folder.network_columns(kind(names)) == expected


def test_summary_of_an_adaptive_run():
    """Its `val_accuracy` is the teacher's, by which the best epoch is chosen."""
    history = [
        {"epoch": 1, "val_accuracy": 0.6, "val_student_accuracy": 0.9},
        {"epoch": 2, "val_accuracy": 0.8, "val_student_accuracy": 0.5},
    ]
    summary = summary_of(history, "adaptive")
    assert summary["method"] == "josrc_adaptive"
    assert summary["teacher"]["last10_mean"] == pytest.approx(0.7)
    assert summary["student"]["last"] == 0.5
    assert summary["best_epoch"] == 2
    only = [{"epoch": 1, "val_accuracy": 0.6}]
    for network, other in (("student", "teacher"), ("teacher", "student")):
        summary = summary_of(only, "adaptive", **{"teacher.evaluate": network})
        assert summary[network]["last"] == 0.6 and summary[other] is None


def test_summary_of_one_epoch_is_json():
    """One value has no deviation; NaN is no JSON."""
    summary = summary_of([{"epoch": 1, "val_accuracy": 0.5}])
    assert summary["teacher"] is None
    assert summary["student"]["last10_mean"] == 0.5
    json.dumps(summary, allow_nan=False)


def test_draw_reads_the_histogram(tmp_path):
    history = [{"epoch": 1, "val_accuracy": 0.5}]
    assert [p.name for p in runs_summary.draw(tmp_path, history)] == ["accuracy.png"]
    counts = {"edges": [0, 0.5, 1], "clean": [1, 2], "id": [3, 4], "ood": [5, 6]}
    (tmp_path / "clean_likelihood.json").write_text(json.dumps(counts))
    names = {path.name for path in runs_summary.draw(tmp_path, history)}
    assert names == {"accuracy.png", "clean_likelihood.png"}


def test_draw_removes_what_a_killed_process_drew(tmp_path):
    unfinished = tmp_path / "plots" / f"{_files.PREFIX}accuracy.png-12345678"
    unfinished.mkdir(parents=True)
    runs_summary.draw(tmp_path, [{"epoch": 1, "val_accuracy": 0.5}])
    names = [path.name for path in (tmp_path / "plots").iterdir()]
    assert names == ["accuracy.png"]
