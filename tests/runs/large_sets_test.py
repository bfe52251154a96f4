"""Clothing1M and Food-101N, tiny, from downloads to tables, audit and export."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from josrc_keras.cleaning import audit_of_run
from josrc_keras.configs import clothing1m_resnet18, food101n_resnet50
from josrc_keras.data import records
from josrc_keras.data.benchmarks import encoded
from josrc_keras.data.records import writing
from josrc_keras.export import run_exports
from josrc_keras.runs import (
    build_data,
    configuration,
    large_sets,
    methods,
    verification,
)
from josrc_keras.runs import train as experiment
from tests.support import manual_data
from tests.support.forks import Forks, rows_of
from tests.support.runs import StopAfter, without_plots

pytest.importorskip("PIL")
SMALL = {
    "augmentation.size": 16,
    "batch_size": 4,
    "checkpoint_every": 1,
    "data.image_size": 20,
    "epochs": 2,
    "network.name": "digits_cnn",
    "network.weights": "random",
    "threshold.warmup_epochs": 1,
}
SKIPPED = {2, 3, 4, 5, 9}  # See `manual_data.clothing1m`.


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """Both sets as they are downloaded, and TFDS's folder."""
    folder = tmp_path_factory.mktemp("downloads")
    manual_data.clothing1m(folder)
    manual_data.food101n(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tfds")))
        yield folder


def make_config(downloads, folder, page=clothing1m_resnet18, **fields):
    config = page.get_config("paper")
    config.data.manual_dir = str(downloads)
    config.data.dir = str(folder)
    config.deterministic = "always"
    config.update_from_flattened_dict(SMALL | fields)
    return config


@pytest.fixture
def stored(downloads, tmp_path):
    """Records of Clothing1M."""
    config = make_config(downloads, tmp_path / "records")
    large_sets.write(config, tmp_path / "records")
    return tmp_path / "records"


def test_labels_validation_and_what_was_skipped(stored):
    """The validation set's labels were checked, so it is not audited."""
    benchmark = records.read(stored)
    kept = [n for n in range(20) if n not in SKIPPED]
    train, held, test = benchmark.train, benchmark.validation, benchmark.test
    order = np.argsort([int(i.rsplit("/")[-1].split(",")[0]) for i in train.ids])
    assert train.labels[order].tolist() == [n % 14 for n in kept]
    assert train.true_labels is None
    for split, numbers in ((held, range(26, 29)), (test, range(29, 33))):
        assert sorted(split.labels) == sorted((n + 1) % 14 for n in numbers)
        np.testing.assert_array_equal(split.labels, split.true_labels)
    assert {name for name, _ in benchmark.skipped} == {
        manual_data.clothing_key(n) for n in SKIPPED
    }
    assert benchmark.train.images.shape == (15, 20, 20, 3)
    assert audit_of_run._held_out(clothing1m_resnet18.get_config(), benchmark) == []


def test_verification_labels(downloads, tmp_path):
    """Food-101N has some; Clothing1M where a photo has both kinds of labels."""
    config = make_config(downloads, tmp_path / "records", food101n_resnet50)
    train = build_data.make_benchmark(config).train
    numbers = [int(name.rpartition("/")[2][:-4], 16) for name in train.ids]
    known = {0: 1, 1: 0, 2: 1, 3: 0, 5: 0}
    assert train.verified.tolist() == [known.get(n, -1) for n in numbers]
    found = verification.verified_labels(config, train)
    np.testing.assert_array_equal(found, train.verified)
    for clean, noisy, expected in ((3, 3, 1), (3, 4, 0), (3, -1, -1), (-1, 4, -1)):
        labels = {"clean_label": clean, "noisy_label": noisy}
        labels = {name: tf.constant(each, "int64") for name, each in labels.items()}
        assert int(large_sets._with_verified(labels)["verified"]) == expected


def test_more_is_set_aside_where_it_is_asked_for(downloads, stored):
    config = make_config(downloads, stored, **{"data.validation_share": 0.2})
    benchmark = build_data.make_benchmark(config)
    assert (len(benchmark.train), len(benchmark.validation)) == (12, 3)
    assert benchmark.validation.true_labels is None


@pytest.mark.parametrize(
    ("field", "value"), [("data.use_clean_train", True), ("data.image_size", 48)]
)
def test_records_of_other_settings_are_refused(downloads, stored, field, value):
    config = make_config(downloads, stored, **{field: value})
    with pytest.raises(
        ValueError, match=rf"{field[5:]}': {value}.*Received: .*records"
    ):
        build_data.make_benchmark(config)


def test_records_of_another_set_are_refused(downloads, stored):
    config = make_config(downloads, stored, food101n_resnet50)
    with pytest.raises(ValueError, match=r"food101n.*Received: .*'clothing1m'"):
        build_data.make_benchmark(config)


def test_only_one_process_writes(downloads, tmp_path, monkeypatch):
    monkeypatch.setattr(large_sets.replicas, "process_count", lambda: 2)
    config = make_config(downloads, tmp_path / "records")
    with pytest.raises(ValueError, match=r"Received: 2 processes.*`josrc-records`"):
        build_data.make_benchmark(config)
    assert not (tmp_path / "records").exists()


def test_a_write_that_was_interrupted_begins_anew(downloads, tmp_path, monkeypatch):
    config = make_config(downloads, tmp_path / "records")

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_index", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build_data.make_benchmark(config)
    assert not (tmp_path / "records").exists()
    assert len(build_data.make_benchmark(config).train) == 15


@pytest.mark.slow
def test_a_stopped_run_equals_the_whole(
    downloads, stored, tmp_path, monkeypatch, deterministic, equal_arrays
):
    """Moved records are the same ones; others are refused; then it is audited."""
    without_plots(monkeypatch)
    part = {"data.train_size": 14}
    config = make_config(downloads, stored, **part)
    summary = experiment.train(config, tmp_path / "whole", verbose=0)
    assert (summary["train_images"], summary["skipped_images"]) == (14, 5)
    assert (summary["test_images"], summary["test_labels"]) == (4, "right")
    run = tmp_path / "run"
    stopped = experiment.train(config, run, verbose=0, callbacks=[StopAfter(1)])
    assert stopped is None
    moved = stored.rename(tmp_path / "moved")
    experiment.train(make_config(tmp_path, moved, **part), run, verbose=0)
    assert rows_of(run / "history.csv") == rows_of(tmp_path / "whole/history.csv")
    models = [
        keras.saving.load_model(tmp_path / name / "model.keras")
        for name in ("whole", "run")
    ]
    equal_arrays(*(model.get_weights() for model in models))

    findings = audit_of_run.write(run, tmp_path / "audit", max_thumbnails=5)
    assert findings["images"] == 14
    assert len(findings["skipped"]) == 5
    assert (tmp_path / "audit/report.html").exists()

    # Exported by its own validation set, whose labels are right.
    found, _ = run_exports.prepare_run(run, serving={"resize": "crop"})
    assert found.serving.resize_to == (20, 20)
    assert found.serving.image_size == (16, 16)
    assert found.findings["validation"]["label_noise"] == 0
    assert found.findings["validation"]["images"] == 3
    assert found.findings["test"]["images"] == 4
    accuracy = found.findings["test"]["accuracy"]
    assert accuracy == summary[found.findings["source"]]["last"]

    index = json.loads((moved / "index.json").read_text())
    arrays = dict(np.load(moved / "labels.npz"))
    arrays["train_labels"] = (arrays["train_labels"] + 1) % 14
    np.savez(moved / "labels.npz", **arrays)
    assert index["origin"] == large_sets.origin(config)
    with pytest.raises(ValueError, match=r"that .*run was trained on"):
        experiment.train(make_config(downloads, moved, **part), run, verbose=0)


@pytest.mark.slow
def test_tables_3_and_4_stop_and_go_on(downloads, tmp_path, tmp_path_factory):
    """One command: three runs, two sets of records, which are written once."""
    forks = Forks("josrc_keras.reproduce", tmp_path, tmp_path_factory.mktemp("logs"))
    overrides = [f"--override={name}={value}" for name, value in SMALL.items()]
    arguments = ["--table=3", "--table=4", "--workdir=full", *overrides]
    try:
        begun = forks.run(*arguments, f"--manual_dir={downloads}", "--time_limit=0")
        assert begun[0] == 0, begun[2]
        assert "The time is up" in begun[1]
        (history,) = (tmp_path / "full").rglob("history.csv")
        assert len(rows_of(history)) == 1
        written = (tmp_path / "full/data/clothing1m-20/index.json").stat().st_mtime_ns
        done = forks.run(*arguments, f"--manual_dir={downloads}")
        assert done[0] == 0, done[2]
        (tmp_path / "full").rename(tmp_path / "elsewhere")
        again = forks.run(*arguments[:2], "--workdir=elsewhere", *overrides)
        assert "3 of 3 runs done" in again[1], again[2]
    finally:
        forks.close()
    data = tmp_path / "elsewhere/data"
    assert {path.name for path in data.iterdir()} == {"clothing1m-20", "food101n-20"}
    assert (data / "clothing1m-20/index.json").stat().st_mtime_ns == written
    found = {p.parts[-3]: p for p in (tmp_path / "elsewhere").rglob("as-given/*.json")}
    assert set(found) == {
        "clothing1m_resnet18",
        "clothing1m_resnet50",
        "food101n_resnet50",
    }
    for path in found.values():
        assert len(json.loads(path.read_text())["history"]["epoch"]) == 2
    page = (tmp_path / "elsewhere/results/full/README.md").read_text()
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings[:3] == [
        "## Table 3: Clothing1M, ResNet-18",
        "## Table 3: Clothing1M, ResNet-50",
        "## Table 4: Food-101N, ResNet-50",
    ]
    assert "Table 5" not in page


def test_a_wrong_folder_is_one_line_and_leaves_nothing(
    tmp_path, tmp_path_factory, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    forks = Forks("josrc_keras.train", tmp_path, tmp_path_factory.mktemp("logs"))
    (tmp_path / "empty").mkdir()
    try:
        status, _, error = forks.run(
            "--config=food101n_resnet50",
            "--workdir=run",
            "--config.data.manual_dir=empty",
            "--progress=none",
        )
    finally:
        forks.close()
    assert status == 2
    line = error.splitlines()[-1]  # What TFDS says of an empty folder is in it.
    assert "Food101n can't be read" in line and "Food-101N_release/meta/" in line
    assert "Traceback" not in error
    assert not (tmp_path / "run/records").exists()


@pytest.mark.slow
def test_balanced_epochs_by_configuration(quick_config, tmp_path):
    """Each epoch has as many samples of every given class, and fewer steps."""
    config = quick_config(**{"data.train_size": 400, "batch_size": 16})
    whole = build_data.steps_per_epoch(build_data.make_benchmark(config).train, config)
    config.data.balanced = True
    benchmark = build_data.make_benchmark(config)
    counts = np.bincount(benchmark.train.labels)
    steps = build_data.steps_per_epoch(benchmark.train, config)
    assert steps == counts.min() * len(counts) // config.batch_size < whole
    experiment.train(config, tmp_path / "run", verbose=0)
    with np.load(tmp_path / "run/sample_history.npz") as found:
        seen = found["epochs"]
    assert seen.sum() == steps * config.batch_size * config.epochs
    config.data.samples_per_class = 5
    assert (
        build_data.steps_per_epoch(benchmark.train, config)
        == 5 * len(counts) // config.batch_size
    )


def test_a_run_of_before_balanced_epochs(quick_config):
    before = quick_config().to_dict()
    del before["data"]["balanced"], before["data"]["samples_per_class"]
    config = quick_config()
    config.update(configuration.upgrade(before))
    assert methods.balance_of(config) is False


def test_names_of_records_tell_settings_apart():
    plain, clean = clothing1m_resnet18.get_config(), clothing1m_resnet18.get_config()
    clean.data.use_clean_train = True
    food = food101n_resnet50.get_config("published_code")
    names = [large_sets.folder_name(config) for config in (plain, clean, food)]
    assert names == ["clothing1m-256", "clothing1m+clean_train-256", "food101n-256"]
    assert set(encoded.NAMES) == {plain.data.name, food.data.name}


def test_where_data_are_is_no_other_configuration():
    config = json.loads(json.dumps(clothing1m_resnet18.get_config().to_dict()))
    other = json.loads(json.dumps(config))
    other["data"] |= {"dir": "/b", "manual_dir": "/c"}
    assert configuration.differences(config, other) == []
    for name, expected in (
        ("records", []),  # `data.json` and their index say what they are.
        ("image_folder", ["data.dir: None there, '/b' now"]),
    ):
        for each in (config, other):
            each["data"]["name"] = name
        assert configuration.differences(config, other) == expected
