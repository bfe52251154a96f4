"""josrc-reproduce as a command: run, skip, kill, go on, stop in time, refuse."""

import json
import re
import shutil
import signal

import pytest

from tests.support import synthetic
from tests.support.forks import Forks, contents, error_line, rows_of
from tests.support.pictures import check_picture

EPOCHS = 10
DIGITS = ["--table=2", "--protocol=digits", "--cell=symmetric-0.5"]
TINY = [
    *DIGITS,
    "--override=checkpoint_every=1",
    "--override=data.train_size=192",
    f"--override=epochs={EPOCHS}",
    "--override=threshold.warmup_epochs=1",
]
NAME = (
    "digits8n_o/symmetric-0.5/josrc-paper+checkpoint_every=1+data.train_size=192"
    f"+epochs={EPOCHS}+threshold.warmup_epochs=1-0"
)

# Name: arguments, what the error line says (a regular expression).
BAD = {
    "table": (["--table=7"], r"table as one of \(1, 2, 3, 4, 5, 6\)\. Received: 7\."),
    "table of the protocol": (
        ["--table=1", "--protocol=digits"],
        r"digits protocol, one of \[2, 5, 6\]\. Received: 1\.",
    ),
    "no number": (["--table=two"], "--table .*Received: 'two'"),
    "no table": (
        ["--protocol=digits"],
        r"Expected --table=N, one of \(1, 2, 3, 4, 5, 6\)\. Received: none\.",
    ),
    "cell": (
        ["--table=2", "--cell=foo"],
        r"Expected the cell of table 2 as one of .*'symmetric-0\.5'.*Received: 'foo'\.",
    ),
    "method": (
        ["--table=2", "--method=foo"],
        r"Expected the method as one of .*'josrc-c'.*Received: 'foo'\.",
    ),
    "recipe": (["--table=2", "--recipe=foo"], "--recipe=foo.*one of <paper|published"),
    "protocol": (["--table=2", "--protocol=foo"], "--protocol=foo.*one of <full|redu"),
    "no field": (
        ["--table=2", "--override=nonsense"],
        r"Expected --override=FIELD=VALUE\. Received: 'nonsense'\.",
    ),
    "unknown field": (
        [*DIGITS, "--override=model.nonsense=1"],
        r"overrides that configs/base\.py lists\. Received: \{'model\.nonsense': 1\}",
    ),
    "wrong type": (
        [*DIGITS, "--override=epochs=many"],
        r"Received: \{'epochs': 'many'\}.*int",
    ),
    "no epochs": ([*DIGITS, "--epochs=0"], r"--epochs as .*Received: '0'"),
    "no seeds": ([*DIGITS, "--seeds=0"], r"--seeds as .*Received: '0'"),
    "argument": ([*DIGITS, "2"], r"Expected flags only\. Received: \['2'\]"),
    "many machines": (
        [*DIGITS, "--strategy=multi_worker"],
        r"Received: --strategy=multi_worker\. Use --strategy=mirrored",
    ),
    "page without records": (
        ["--page", "--protocol=digits"],
        r"Expected records of `josrc-reproduce`\. Received: new/.*/digits, without any",
    ),
}
# What is refused in a line that does not say so.
UNCLEAR = {
    "group of fields": (
        [*DIGITS, "--override=model={}"],
        r"Expected .*Received: .*model",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reproduce")


@pytest.fixture(scope="module")
def commands(folder, tmp_path_factory):
    commands = Forks("josrc_keras.reproduce", folder, tmp_path_factory.mktemp("logs"))
    yield commands
    commands.close()


def record_in(workdir):
    (path,) = (workdir / "results").rglob("*.json")
    return json.loads(path.read_text())


def times(folder):
    """When each file and folder was changed."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def whole(commands, folder):
    """Two tables that share their run, uninterrupted: work folder and outcome."""
    arguments = [*TINY, "--table=5", "--workdir=whole"]
    outcome = commands.run(*arguments)
    assert outcome[0] == 0, outcome[2]
    return folder / "whole", arguments, outcome


def test_two_tables_that_share_a_run_train_it_once(whole):
    workdir, _, (_, out, _) = whole
    lines = out.splitlines()
    assert lines[:3] == [
        f"  left  {NAME}",
        "0 of 1 runs done, the rest will take: unknown until a run like it is done",
        f"Training {NAME} ...",
    ]
    student = record_in(workdir)["summary"]["student"]["last10_mean"]
    assert lines[3:] == [
        f"Epoch 3 of {EPOCHS}; this run should end in 1 min.",
        f"{NAME}: student {student:.1%} in 1 min",
        "Wrote whole/results/digits/README.md.",
    ]
    assert len(list(workdir.rglob("history.csv"))) == 1


def test_it_writes_under_its_workdir_only(whole, folder):
    """The run folder, the record and the page; no figure of a changed run."""
    workdir, _, _ = whole
    assert {path.name for path in folder.iterdir()} == {"whole"}
    assert {path.name for path in workdir.iterdir()} == {"runs", "results"}
    results = [p for p in (workdir / "results").rglob("*") if p.is_file()]
    assert {str(p.relative_to(workdir / "results")) for p in results} == {
        "digits/README.md",
        f"digits/{NAME}.json",
    }
    assert (workdir / "runs" / NAME / "summary.json").exists()


def test_the_record_and_the_page_are_those_of_the_run(whole):
    workdir, arguments, _ = whole
    record = record_in(workdir)
    rows = rows_of(workdir / "runs" / NAME / "history.csv")
    assert record["history"]["epoch"] == list(range(1, EPOCHS + 1))
    values = [float(row["val_accuracy"]) for row in rows]
    assert record["history"]["val_accuracy"] == pytest.approx(values, abs=5.1e-7)
    assert record["config"]["threshold"]["warmup_epochs"] == 1
    assert (record["summary"]["train_images"], record["config"]["data"]["rate"]) == (
        192,
        0.5,
    )
    command = ["python", "-m", "josrc_keras.reproduce", *arguments]
    assert record["summary"]["command"] == " ".join(command)
    page = (workdir / "results" / "digits" / "README.md").read_text()
    (row,) = synthetic.table(page, "As Table 2")
    assert row["student"] == f"**{100 * sum(values) / EPOCHS:.1f}**"
    assert row["recipe"] == (
        f"paper, checkpoint_every=1, data.train_size=192, epochs={EPOCHS}, "
        "threshold.warmup_epochs=1"
    )


def test_a_second_call_trains_nothing(whole, commands):
    """Neither run folder nor record is touched; the page is written as it was."""
    workdir, arguments, _ = whole
    page = workdir / "results" / "digits" / "README.md"
    before, text = times(workdir), page.read_text()
    status, out, err = commands.run(*arguments)
    assert status == 0, err
    assert out.splitlines() == [
        f"  done  {NAME}",
        "1 of 1 runs done",
        "Wrote whole/results/digits/README.md.",
    ]
    assert page.read_text() == text
    after = times(workdir)
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert changed <= {page, page.parent}  # The page is replaced in its folder.


def test_a_lost_record_is_written_again_from_the_run(whole, commands, folder):
    """As if killed between the run's end and its record: nothing is trained."""
    workdir, arguments, _ = whole
    copy = shutil.copytree(workdir, folder / "copy")
    shutil.rmtree(copy / "results")
    arguments = [*arguments[:-1], "--workdir=copy"]
    status, out, err = commands.run(*arguments)
    assert status == 0, err
    assert f"  left  {NAME} (after epoch {EPOCHS} of {EPOCHS})" in out.splitlines()
    ours, theirs = record_in(copy), record_in(workdir)
    assert ours["summary"].pop("command").endswith("--workdir=copy")
    assert theirs["summary"].pop("command").endswith("--workdir=whole")
    assert ours == theirs
    shutil.rmtree(copy)


def test_a_dry_run_writes_nothing(whole, commands, folder):
    """Neither in a new folder, nor in one with runs; of any protocol."""
    status, out, err = commands.run(
        "--table=6", "--seeds=2", "--dry_run", "--workdir=new/dry"
    )
    assert status == 0, err
    lines = out.splitlines()
    assert len(lines) == 4 * 2 + 1
    assert lines[0] == "  left  cifar80n_o/symmetric-0.2/josrc-c-paper-0"
    assert lines[-1].startswith("0 of 8 runs done, the rest will take: unknown")
    status, out, err = commands.run(*DIGITS, "--epochs=7", "--dry_run", "--workdir=new")
    assert (status, out.splitlines()[0]) == (
        0,
        "  left  digits8n_o/symmetric-0.5/josrc-paper+epochs=7-0",
    ), err
    assert not (folder / "new").exists()
    workdir, arguments, _ = whole
    before = times(workdir)
    status, out, err = commands.run(*arguments, "--seeds=3", "--dry_run")
    assert status == 0, err
    assert [line[:7] for line in out.splitlines()] == [
        "  done ",
        "  left ",
        "  left ",
        "1 of 3 ",
    ]
    said = re.fullmatch(
        r"1 of 3 runs done, the rest should take (\d+) min", out.splitlines()[-1]
    )
    assert said and int(said[1]) >= 1  # A busy machine takes longer than one.
    assert times(workdir) == before


def test_page_rewrites_the_page_alone(commands, folder):
    """From the records that are there, with the figures; whatever stood there."""
    results = folder / "paged" / "results" / "digits"
    made = [synthetic.make_record(method) for method in ("josrc", "standard")]
    synthetic.write_all(results, made)
    (results / "README.md").write_text("old")
    before = contents(folder / "paged")
    status, out, err = commands.run("--page", "--protocol=digits", "--workdir=paged")
    assert (status, out) == (0, "Wrote paged/results/digits/README.md.\n"), err
    after = contents(folder / "paged")
    pictures = {f"figure{number}_digits8n_o.png" for number in (3, 4, 5)}
    new = {f"results/digits/{name}" for name in pictures}
    assert after.keys() - before.keys() == new
    text = after["results/digits/README.md"].decode()
    assert {name for name in before if before[name] != after[name]} == {
        "results/digits/README.md"
    }
    rows = synthetic.table(text, "As Table 2")
    assert [row["method"] for row in rows] == ["ordinary training", "Jo-SRC"]
    assert set(re.findall(r"\]\((.*)\)", text)) == pictures
    for name in pictures:
        check_picture(results / name)
    shutil.rmtree(folder / "paged")


@pytest.fixture(scope="module")
def interrupted(commands, folder):
    """A run that is killed, terminated, stopped by the time limit, and finished.

    Returns:
        The work folder; the outcome of each part; the number of epochs in the newest
        checkpoint before the part with the time limit, and of rows after it.
    """
    workdir = folder / "interrupted"
    history = workdir / "runs" / NAME / "history.csv"
    arguments = [*TINY, "--workdir=interrupted"]
    killed = commands.stop(history, 1, signal.SIGKILL, *arguments)
    rows = len(rows_of(history))
    terminated = commands.stop(history, rows + 1, signal.SIGTERM, *arguments)
    saved = max(int(p.name[-5:]) for p in history.parent.glob("checkpoint/epoch-*"))
    assert saved < EPOCHS - 1, "it ended before the signal"
    limited = commands.run(*arguments, "--time_limit=0.0001")
    rows = len(rows_of(history))
    left = list((workdir / "results").rglob("*")), commands.run(*arguments, "--dry_run")
    finished = commands.run(*arguments)
    parts = [killed, terminated, limited, finished]
    yield workdir, parts, (saved, rows), left
    shutil.rmtree(workdir)


def test_a_killed_run_goes_on_to_the_same_numbers(whole, interrupted):
    """History to the last digit, record and page, after three interruptions."""
    (workdir, _, _), (other, parts, _, _) = whole, interrupted
    assert [parts[0][0], parts[1][0], parts[3][0]] == [-signal.SIGKILL, 143, 0]
    ours, theirs = (
        (folder / "runs" / NAME / "history.csv").read_bytes()
        for folder in (workdir, other)
    )
    assert theirs == ours
    assert len(ours.splitlines()) == EPOCHS + 1
    records = [record_in(folder) for folder in (workdir, other)]
    assert records[0]["history"] == records[1]["history"]
    assert records[0]["config"] == records[1]["config"]
    for name in ("student", "teacher", "verdicts_last_epoch", "noise_checksum"):
        assert records[0]["summary"][name] == records[1]["summary"][name]


def test_sigterm_says_how_to_go_on(interrupted):
    _, (_, (status, out, err), _, _), _, _ = interrupted
    assert status == 143
    assert "Stopped. The same command goes on from the last saved epoch." in err
    assert "Traceback" not in err
    assert f"  left  {NAME} (after epoch " in out
    assert "Wrote" not in out


def test_the_time_limit_ends_after_one_epoch(interrupted):
    """One epoch more than was saved; no record of what is not done."""
    _, (_, _, (_, out, _), finished), (saved, rows), (results, dry) = interrupted
    assert rows == saved + 1
    assert "The time is up. The same command goes on from here." in out.splitlines()
    assert [path for path in results if path.suffix == ".json"] == []
    assert f"  left  {NAME} (after epoch {rows} of {EPOCHS})" in dry[1].splitlines()
    assert finished[1].splitlines()[-1] == (
        "Wrote interrupted/results/digits/README.md."
    )


def test_the_time_limit_is_no_error(interrupted):
    """Not even before the first record, of which there is no page."""
    _, (_, _, (status, _, err), _), _, (results, _) = interrupted
    assert status == 0, err
    assert "reproduce.py: error" not in err
    assert results == []


@pytest.fixture(scope="module")
def refused(commands):
    return {
        name: commands.run(*arguments, f"--workdir=new/{name.replace(' ', '-')}")
        for name, (arguments, _) in (BAD | UNCLEAR).items()
    }


def check_refused(name, refused, folder):
    status, out, err = refused[name]
    assert (status, out) == (2, ""), err
    line = error_line(err)
    assert line.startswith("reproduce.py: error: ")
    assert re.search((BAD | UNCLEAR)[name][1], line), line
    assert not (folder / "new").exists()


@pytest.mark.parametrize("name", BAD)
def test_bad_flags_are_one_clear_line(name, refused, folder):
    """Exit status 2, what was received and expected, and nothing written."""
    check_refused(name, refused, folder)


@pytest.mark.parametrize("name", UNCLEAR)
def test_these_should_be_clear_too(name, refused, folder):
    check_refused(name, refused, folder)


def test_no_workdir(commands, folder):
    status, out, err = commands.run(*DIGITS)
    assert (status, out) == (2, "")
    assert "Expected --workdir=VALUE" in error_line(err)
    assert not (folder / "results").exists() and not (folder / "runs").exists()


def test_help(commands):
    """What it does, and each of its flags."""
    status, out, err = commands.run("--help")
    assert (status, "Traceback" in err) == (0, False)
    assert "Runs the cells of the paper's tables" in out
    for flag in ("table", "cell", "method", "seeds", "override", "time_limit", "page"):
        assert f"--{flag}" in out or f"--[no]{flag}" in out
