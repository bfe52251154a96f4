"""josrc-audit: what it writes of runs, prints, changes, and refuses."""

import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from josrc_keras.audit.table import COLUMNS
from josrc_keras.runs import train
from tests.support import photos
from tests.support.forks import ROOT, Forks, contents, error_line

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("PIL")

AUDIT = "josrc_keras.commands.audit"
TRAIN = "josrc_keras.train"
QUICK = [
    "--progress=none",
    "--config.epochs=2",
    "--config.learning_rate_decay.start_epoch=1",
    "--config.threshold.warmup_epochs=1",
]
DIGITS = [
    "--config=digits8n_o:paper",
    *QUICK,
    "--config.data.train_size=128",
    "--config.batch_size=32",
]
PHOTOS = [
    "--config=image_folder:paper",
    *QUICK,
    "--config.data.dir=photos",
    f"--config.data.image_size={photos.SIZE}",
    "--config.network.name=digits_cnn",
    "--config.batch_size=8",
    "--config.augmentation.padding=1",
]
CLASSES = {"01": 12, "NA": 11, 'été, "x"': 10}
FILES = {"audit.csv", "audit.parquet", "findings.json", "report.html"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with runs and photos, and a function that runs commands in it."""
    folder = tmp_path_factory.mktemp("audits")
    forks = Forks(TRAIN, folder, tmp_path_factory.mktemp("logs"))

    def run(*arguments, module=AUDIT):
        forks.module = module
        return forks.run(*arguments)

    yield types.SimpleNamespace(folder=folder, run=run)
    forks.close()


def good(outcome):
    status, out, err = outcome
    assert status == 0, err
    return out, err


def bad(outcome):
    """The one line on the standard error of a command that was refused."""
    status, out, err = outcome
    assert (status, out) == (2, ""), err
    last = error_line(err.splitlines()[-1])
    assert last.startswith("audit.py: error: ") and "Traceback" not in err
    return last


def read(folder):
    return pandas.read_csv(folder / "audit.csv", keep_default_na=False, na_values="")


@pytest.fixture(scope="module")
def digits(world):
    """A run on noisy digits with some held out, and what its audit printed."""
    share = "--config.data.validation_share=0.25"
    good(world.run(*DIGITS, share, "--workdir=digits", module=TRAIN))
    return world.folder / "digits", *good(world.run("--run=digits"))


@pytest.fixture(scope="module")
def pictures(world):
    """A run on photos, and what its audit printed; `photos` as they were."""
    greys = photos.fill(world.folder / "photos", **CLASSES)
    photos.save(world.folder / "photos/NA/again.png", greys["01/000.png"])
    (world.folder / "photos/01/broken.jpg").write_text("no image")
    good(world.run(*PHOTOS, "--workdir=pictures", module=TRAIN))
    return world.folder / "pictures", *good(world.run("--run=pictures"))


def test_what_is_written_of_digits(digits):
    """Files, columns, a row a sample by id, the held-out ones among them."""
    run, _, _ = digits
    assert {path.name for path in (run / "audit").iterdir()} == FILES
    table = read(run / "audit")
    assert list(table) == list(COLUMNS)
    benchmark = train.make_benchmark(config_of(run))
    splits = benchmark.train, benchmark.validation
    assert [len(split) for split in splits] == [96, 32]
    ids = np.concatenate([split.ids for split in splits])
    labels = np.concatenate([split.labels for split in splits])
    assert table["id"].tolist() == sorted(ids.tolist())
    assert table["given_label"].tolist() == labels[np.argsort(ids)].tolist()
    held = table["id"].isin(benchmark.validation.ids)
    assert table.loc[held, "clean_share"].isna().all()  # Not trained on.
    assert not table.loc[~held, "clean_share"].isna().any()


def config_of(run):
    import ml_collections

    return ml_collections.ConfigDict(json.loads((run / "config.json").read_text()))


@pytest.mark.parametrize(
    "name", ["digits", pytest.param("pictures", marks=pytest.mark.slow)]
)
def test_both_tables_are_equal(name, request):
    run = request.getfixturevalue(name)[0]
    texts = ("given_name", "predicted_name", "verdict")
    dtype = dict.fromkeys(texts, str)
    table = pandas.read_csv(run / "audit/audit.csv", dtype=dtype, na_filter=False)
    parquet = pandas.read_parquet(run / "audit/audit.parquet")
    assert list(table) == list(parquet)
    for column in table:
        values = table[column].replace("", np.nan).astype(parquet[column].dtype)
        assert values.equals(parquet[column]), column


def test_findings_of_digits(digits):
    run, out, _ = digits
    findings = json.loads((run / "audit/findings.json").read_text())
    assert set(findings) == {
        "images",
        "classes",
        "noise_rate",
        "in_distribution_rate",
        "out_of_distribution_rate",
        "undecided_rate",
        "by_class",
        "confused_pairs",
        "duplicates",
        "duplicate_images",
        "class_names",
        "skipped",
        "source",
        "quality",
    }
    table = read(run / "audit")
    assert findings["images"] == 128 and findings["classes"] == 8
    assert findings["noise_rate"] == pytest.approx(table["is_label_issue"].mean())
    benchmark = train.make_benchmark(config_of(run))
    wrong = [s.labels != s.true_labels for s in (benchmark.train, benchmark.validation)]
    share = np.concatenate(wrong).mean()
    assert findings["quality"]["noise_rate"] == pytest.approx(share)
    assert f"128 images of 8 classes: {findings['noise_rate']:.1%} of the labels" in out
    printed = json.loads(out[out.index("{") : out.rindex("}") + 1])
    assert printed == {"against_the_truth": findings["quality"]}
    assert out.endswith("Look at digits/audit/report.html\n")


def test_what_is_written_of_photos(pictures):
    """Validation photos, too; what was skipped; no truth, and thus no quality."""
    run, out, _ = pictures
    table = read(run / "audit")
    count = sum(CLASSES.values()) + 1
    assert table["id"].tolist() == sorted(table["id"]) and len(table) == count
    assert set(table["given_name"]) == set(CLASSES)
    assert (table["given_name"] == table["id"].str.partition("/")[0]).all()
    held = table["clean_share"].isna()
    benchmark = train.make_benchmark(config_of(run), run)
    assert set(table["id"][held]) >= set(benchmark.test.ids.tolist())
    assert len(benchmark.test) == 3
    findings = json.loads((run / "audit/findings.json").read_text())
    assert "quality" not in findings and "truth" not in out
    assert findings["class_names"] == list(CLASSES)
    (skipped,) = findings["skipped"]
    assert skipped["id"] == "01/broken.jpg"
    (twice,) = findings["duplicates"]
    assert twice["ids"] == ["01/000.png", "NA/again.png"]
    page = (run / "audit/report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= count
    assert str(run.parent / "photos") in page


def test_a_run_finds_its_photos_from_anywhere(pictures):
    """`photos` was relative to where the training was started."""
    run, _, _ = pictures
    assert config_of(run).data.dir == str(run.parent / "photos")


@pytest.fixture(scope="module")
def validated(world, pictures):
    """A run with a folder to validate on, of which some paths are those of photos."""
    photos.fill(world.folder / "held", **{"01": 2, "NA": 3})
    held = "--config.data.validation_dir=held"
    good(world.run(*PHOTOS, held, "--workdir=validated", module=TRAIN))
    good(world.run("--run=validated"))
    return world.folder / "validated"


def test_photos_in_a_validation_dir(world, validated):
    """They are audited by their whole paths, and left alone by a copy."""
    table = read(validated / "audit")
    held = table["id"].str.startswith(f"{world.folder}/held/")
    assert held.sum() == 5 and len(table) == sum(CLASSES.values()) + 1 + 5
    assert table["id"].is_unique
    assert table.loc[held, "clean_share"].isna().all()
    assert table.loc[held, "given_name"].tolist() == ["01"] * 2 + ["NA"] * 3
    page = (validated / "audit/report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(table)
    before = contents(world.folder / "held")
    _, err = good(world.run("--run=validated", "--apply=copy", "--all"))
    assert "5 photos of a validation_dir, outside of" in err
    assert contents(world.folder / "held") == before
    copies = [validated / "audit" / part for part in ("cleaned", "set_aside")]
    found = [path for each in copies for path in each.rglob("*") if path.is_file()]
    assert len(found) == len(table) - 5


@pytest.mark.slow
def test_photos_in_records(world, validated):
    """Those to report on are audited, too, with ids and thumbnails of their own."""
    size = f"--config.data.image_size={photos.SIZE}"
    write = ["--config=image_folder", "--config.data.dir=photos", size]
    write += ["--config.data.validation_dir=held", "--output=written"]
    good(world.run(*write, module="josrc_keras.commands.records"))
    data = ["--config.data.name=records", "--config.data.dir=written"]
    good(world.run(*PHOTOS, *data, "--workdir=recorded", module=TRAIN))
    good(world.run("--run=recorded"))
    table = read(world.folder / "recorded/audit")
    ids = set(read(validated / "audit")["id"])
    here = table["id"].str.replace("test/", f"{world.folder}/held/", regex=False)
    assert set(here) == ids and table["id"].is_unique
    held = table["id"].str.startswith("test/")
    assert held.sum() == 5 and table.loc[held, "clean_share"].isna().all()
    page = (world.folder / "recorded/audit/report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(table)
    out, _ = good(world.run("--run=recorded", "--apply=csv"))
    assert out.endswith("audit/relabel.csv\n")
    line = bad(world.run("--run=recorded", "--apply=copy"))
    assert "a run on records. Use --apply=csv" in line


@pytest.fixture
def copied(pictures, tmp_path):
    """A function that runs the command on a copy of the run and of its photos."""
    run, _, _ = pictures
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("images"))
    shutil.copytree(run.parent / "photos", tmp_path / "photos")
    config = json.loads((tmp_path / "run/config.json").read_text())
    config["data"]["dir"] = str(tmp_path / "photos")
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    return tmp_path


def edit(folder, *rows):
    """`ticked.csv`: rows of the audit with these verdicts and suggestions."""
    table = pandas.read_csv(folder / "run/audit/audit.csv", dtype=str, na_filter=False)
    table = table.set_index("id", drop=False)
    for name, verdict, new in rows:
        table.loc[name, ["verdict", "predicted_name"]] = verdict, new
    chosen = table.loc[[name for name, *_ in rows]]
    chosen.to_csv(folder / "ticked.csv", index=False)
    return f"--rows={folder / 'ticked.csv'}"


def test_apply_acts_on_the_audit_that_is_there(world, copied):
    """No model, no photo is opened for a table; a copy, and moves there and back."""
    run, rows = (
        f"--run={copied / 'run'}",
        edit(
            copied,
            ("01/000.png", "in_distribution_noise", "NA"),
            ("NA/001.png", "out_of_distribution", ""),
        ),
    )
    (copied / "run/model.keras").rename(copied / "model.keras")
    audit, before = contents(copied / "run/audit"), contents(copied / "photos")
    counts = "32 keep, 1 relabel, 1 set_aside"
    out, err = good(world.run(run, "--apply=csv", rows))
    assert out == f"{counts}: {copied}/run/audit/relabel.csv\n"
    assert f"Acting on the audit in {copied}/run/audit" in err
    written = pandas.read_csv(copied / "run/audit/relabel.csv", dtype=str)
    changed = written[written["action"] != "keep"].fillna("")
    assert changed[["id", "action", "new_name"]].values.tolist() == [
        ["01/000.png", "relabel", ""],  # "NA", as pandas reads it by default.
        ["NA/001.png", "set_aside", ""],
    ]
    out, _ = good(world.run(run, "--apply=copy", rows))
    assert out == f"{counts}: {copied}/run/audit/cleaned\n"
    assert contents(copied / "photos") == before
    cleaned = copied / "run/audit/cleaned"
    assert (cleaned / "NA/000-1.png").read_bytes() == before["01/000.png"]
    assert (cleaned / "NA/000.png").read_bytes() == before["NA/000.png"]
    assert len([p for p in cleaned.rglob("*") if p.is_file()]) == 33  # Not the broken.
    assert "no file or folder at" in bad(world.run(run, "--apply=copy", rows))
    out, _ = good(world.run(run, "--apply=move", rows))
    assert out.splitlines() == [
        f"{counts}: {copied}/run/audit/moved.csv",
        "--apply=undo moves them back.",
    ]
    assert not (copied / "photos/01/000.png").exists()
    assert "--apply=undo first" in bad(world.run(run, "--apply=move", rows))
    out, _ = good(world.run(run, "--apply=undo"))
    assert out == "2 photos moved back.\n"
    assert contents(copied / "photos") == before
    assert audit.items() <= contents(copied / "run/audit").items()
    assert "does not exist" in bad(world.run(run, "--apply=undo"))


def test_undecided_rows_are_counted_and_stay(world, copied):
    rows = edit(
        copied,
        ("01/000.png", "in_distribution_noise", "NA"),
        ("NA/001.png", "undecided", "01"),
    )
    out, err = good(world.run(f"--run={copied / 'run'}", "--apply=csv", rows))
    counts = "32 keep, 1 relabel, 0 set_aside, 1 look"
    assert out == f"{counts}: {copied}/run/audit/relabel.csv\n"
    assert "1 of the chosen rows are called undecided, and stay" in err


def test_undecided_is_said_only_where_there_is_any():
    program = (
        f"from {AUDIT} import _parts\n"
        "names = ('in_distribution_rate', 'out_of_distribution_rate')\n"
        "for rate in (0, 0.02):\n"
        "    findings = {**dict.fromkeys(names, 0.125), 'undecided_rate': rate}\n"
        "    print(_parts(findings))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert done.stdout.decode().splitlines() == [
        "12.5% in-distribution noise and 12.5% out-of-distribution",
        "12.5% in-distribution noise, 12.5% out-of-distribution and 2.0% undecided",
    ]


def test_rows_that_lead_out_of_the_folder_are_refused(world, copied):
    rows = edit(copied, ("01/000.png", "in_distribution_noise", "../../x"))
    before = contents(copied)
    for action in ("csv", "copy", "move"):
        line = bad(world.run(f"--run={copied / 'run'}", f"--apply={action}", rows))
        assert "Expected classes of the audit in `predicted_name`" in line
        assert "Received: '../../x' for '01/000.png'" in line
    assert contents(copied) == before


CHANGES = {
    "added": lambda photos_: photos.save(photos_ / "NA/new.png"),
    "removed": lambda photos_: (photos_ / "NA/001.png").unlink(),
    "relabelled": lambda photos_: (photos_ / "NA/001.png").rename(
        photos_ / "01/001x.png"
    ),
    "renamed": lambda photos_: (photos_ / "NA/001.png").rename(photos_ / "NA/001x.png"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_photos_that_changed_since_training_are_refused(world, copied, change):
    audit = contents(copied / "run/audit")
    CHANGES[change](copied / "photos")
    line = bad(world.run(f"--run={copied / 'run'}"))
    assert f"that {copied / 'run'} was trained on" in line
    assert "in another --workdir" in line
    assert contents(copied / "run/audit") == audit


def test_a_missing_photo_is_named(world, copied):
    rows = edit(copied, ("01/000.png", "in_distribution_noise", "NA"))
    (copied / "photos/01/000.png").unlink()
    for action in ("copy", "move"):
        line = bad(world.run(f"--run={copied / 'run'}", f"--apply={action}", rows))
        assert "1 missing, such as" in line and "01/000.png" in line


def prepare(world, digits):
    """Folders of runs that can't be audited."""
    run, folder = digits[0], world.folder
    (folder / "empty").mkdir()
    (folder / "file").write_text("mine")
    shutil.copytree(run, folder / "unfinished")
    (folder / "unfinished/model.keras").unlink()
    shutil.copytree(run, folder / "broken history")
    (folder / "broken history/sample_history.npz").write_bytes(b"PK no archive")
    shutil.copytree(run, folder / "standard")
    config = json.loads((run / "config.json").read_text()) | {"method": "standard"}
    (folder / "standard/config.json").write_text(json.dumps(config))
    (folder / "other.csv").write_text("a,b\n1,2\n")


# Name: arguments, what the error line says.
REFUSED = {
    "no run": (["--run=absent"], "Expected a run folder that `josrc-train` made"),
    "empty": (["--run=empty"], "whose config.json can't be read"),
    "unfinished": (["--run=unfinished"], "which has no model.keras. Run josrc-train"),
    "standard": (["--run=standard"], "Received: config.method=standard. Train with"),
    "history": (["--run=broken history"], "broken history/sample_history.npz, which"),
    "no flag": ([], "--run"),
    "argument": (["--run=digits", "extra"], "Expected flags only"),
    "view pairs": (["--run=digits", "--view_pairs=0"], "view_pairs"),
    "thumbnails": (["--run=digits", "--max_thumbnails=-1"], "max_thumbnails"),
    "apply": (["--run=digits", "--apply=delete"], "none, csv, copy, move, undo"),
    "rows alone": (["--run=digits", "--rows=other.csv"], "--rows without --apply=csv"),
    "rows to undo": (
        ["--run=digits", "--apply=undo", "--rows=other.csv"],
        "--rows without --apply=csv",
    ),
    "no rows": (
        ["--run=digits", "--apply=csv", "--rows=absent.csv"],
        "Expected the CSV file of an audit. Received: absent.csv",
    ),
    "other rows": (
        ["--run=digits", "--apply=csv", "--rows=other.csv"],
        "other.csv, wi",
    ),
    "copy": (["--run=digits", "--apply=copy"], "a run on digits8n_o. Use --apply=csv"),
    "move": (["--run=digits", "--apply=move"], "a run on digits8n_o. Use --apply=csv"),
    "undo": (["--run=digits", "--apply=undo"], "Expected a list of moves to undo"),
    "output is a file": (["--run=digits", "--output=file"], "--output=file (File ex"),
    "not writable": (["--run=digits", "--output=/proc/a"], "--output=/proc/a (No such"),
}


@pytest.fixture(scope="module")
def refused(world, digits):
    """Name to outcome, and what the folder held before."""
    prepare(world, digits)
    before = contents(world.folder)
    return {name: world.run(*a) for name, (a, _) in REFUSED.items()}, before


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_clear_line(refused, name):
    assert REFUSED[name][1] in bad(refused[0][name])


def test_bad_input_changes_nothing(world, refused):
    """Not a byte, but for the folder of an audit that was begun."""
    after = contents(world.folder)
    begun = {"broken history/audit"}
    assert {k: v for k, v in after.items() if k not in begun} == {
        k: v for k, v in refused[1].items() if k not in begun
    }


def test_a_run_without_a_history(world, digits):
    """It warns, and says what the trained model thinks; elsewhere, with few images."""
    shutil.copytree(digits[0], world.folder / "old")
    (world.folder / "old/sample_history.npz").unlink()
    flags = ["--output=elsewhere/audit", "--max_thumbnails=5", "--view_pairs=1"]
    before = contents(world.folder / "old")
    out, err = good(world.run("--run=old", *flags))
    assert "old has no sample_history.npz" in err
    assert out.endswith("Look at elsewhere/audit/report.html\n")
    assert contents(world.folder / "old") == before
    output = world.folder / "elsewhere/audit"
    assert {path.name for path in output.iterdir()} == FILES
    table = read(output)
    assert len(table) == 128 and table["clean_share"].isna().all()
    assert 0 < table["label_score"].min() < table["label_score"].max() < 1
    page = (output / "report.html").read_text(encoding="utf-8")
    # A history's mean is another score.
    assert not np.allclose(table["label_score"], read(digits[0] / "audit").label_score)
    assert page.count("data:image/png;base64,") == 5


def test_records(world):
    """Images that are streamed are audited too, with thumbnails of their own."""
    small = ["--config=digits8n_o", "--config.data.train_size=96"]
    write = "josrc_keras.commands.records"
    good(world.run(*small, "--output=records", module=write))
    data = ["--config.data.name=records", "--config.data.dir=records"]
    few = [*DIGITS, "--config.data.train_size=96", *data, "--workdir=streamed"]
    good(world.run(*few, module=TRAIN))
    good(world.run("--run=streamed"))
    table = read(world.folder / "streamed/audit")
    benchmark = train.make_benchmark(small_digits())
    assert table["id"].tolist() == benchmark.train.ids.tolist()
    assert table["given_label"].tolist() == benchmark.train.labels.tolist()
    assert not table["clean_share"].isna().any()
    page = (world.folder / "streamed/audit/report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 96
    findings = json.loads((world.folder / "streamed/audit/findings.json").read_text())
    assert findings["quality"]["noise_rate"] > 0.3


def small_digits():
    from josrc_keras.configs import digits8n_o

    config = digits8n_o.get_config()
    config.data.train_size = 96
    return config


def test_help(world):
    status, out, _ = world.run("--help")
    assert status == 0
    for text in ("--run", "--apply", "--rows", "--output", "No photo is ever", "undo"):
        assert text in out


@pytest.mark.slow
def test_on_jax(digits, tmp_path):
    """A run of TensorFlow, audited on JAX: the same verdicts but for a few."""
    pytest.importorskip("jax")
    command = [sys.executable, "-m", AUDIT, f"--run={digits[0]}", "--output=audit"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=300)
    ours, theirs = (read(Path(folder) / "audit") for folder in (tmp_path, digits[0]))
    assert ours["id"].tolist() == theirs["id"].tolist()
    trained = ~theirs["clean_share"].isna()
    scores = [table.loc[trained, "clean_share"] for table in (ours, theirs)]
    np.testing.assert_allclose(*scores)  # Of the history, which is the same.
    assert (ours["verdict"] == theirs["verdict"]).mean() > 0.8
