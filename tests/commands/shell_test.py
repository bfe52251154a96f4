"""What every command does: its version, errors that are meant and bugs, old names."""

import json
import os
import subprocess
import sys

import pytest

import josrc_keras
from josrc_keras.commands import arguments
from tests.support.forks import LOG, QUICK, ROOT, TRAIN, error_line, run_all

DOORS = ("train", "evaluate", "reproduce")
COMMANDS = ("audit", "demo", "evaluate", "export", "predict", "records", "reproduce")
COMMANDS += ("train",)
MODULES = [f"josrc_keras.{name}" for name in DOORS]
MODULES += [f"josrc_keras.commands.{name}" for name in COMMANDS]
SHARED = {"__init__", "acting", "arguments", "audit_flags", "explained", "fields"}
SHARED.add("shell")
FAILING = "tests.support.failing"
# How `failing` ends, and what its one line says.
MEANT = {
    "meant": "`smoothing` must be at least 0 and below",
    "install": "`pip install josrc-keras[report]`",
    "own class": "The artefact differs.",
    "damaged": "damaged.tfrecord, with a corrupted record at 12, which was damaged",
    "file": "No such file or directory: 'absent.txt'",
}
# How it ends, and the last line of the traceback.
BUGS = {
    "bug": "TypeError: object of type 'int' has no len()",
    "attribute": "AttributeError: module 'josrc_keras.schedules' has no attribute",
    "key": "KeyError: 'absent'",
    "numpy": "TypeError: '<=' not supported between instances of",
    "outside": "TypeError: Received: this, from outside of the package.",
}
DIGITS = ["--config=digits8n_o", *QUICK[1:], "--config.batch_size=64"]
OLD = {
    "old judge": [*DIGITS, "--workdir=new", "--config.trust.judge=both"],
    "old selection": [*DIGITS, "--workdir=new", "--config.selection=history"],
    "idle": [*DIGITS, "--workdir=new", "--config.selection=threshold"],
    "old names": [
        *DIGITS,
        "--workdir=old names",
        "--config.selection=trust",
        "--config.trust.decay=0.9",
        "--config.trust.mixup=0.25",
        "--config.decay.start_epoch=7",
    ],
}
OLD["idle"].append("--config.trust.mixup=0.25")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="module")
def outcomes(folder, tmp_path_factory):
    """Name to `(exit status, standard output, standard error)`."""
    cases = {name: {"module": name, "arguments": ["--version"]} for name in MODULES}
    cases["beside"] = {"module": TRAIN, "arguments": [*QUICK, "--version", "--no"]}
    for name in [*MEANT, *BUGS, "well"]:
        cases[name] = {"module": FAILING, "arguments": [f"--as={name}"]}
    for name, given in OLD.items():
        cases[name] = {"module": TRAIN, "arguments": given}
    return run_all(cases, folder, tmp_path_factory.mktemp("logs"))


@pytest.mark.parametrize("module", MODULES)
def test_every_command_says_its_version(module, outcomes):
    """And does nothing else, whatever flags it needs."""
    status, out, err = outcomes[module]
    program = f"{module.rpartition('.')[2]}.py"
    assert (status, out) == (0, f"{program} {josrc_keras.__version__}\n"), err


def test_a_version_is_asked_for_beside_other_flags(outcomes):
    status, out, _ = outcomes["beside"]
    assert (status, out) == (0, f"train.py {josrc_keras.__version__}\n")


def test_every_command_is_listed():
    """Here, so that a new one is asked for its version, too."""
    files = {path.stem for path in (ROOT / "josrc_keras" / "commands").glob("*.py")}
    assert files - SHARED == set(COMMANDS)


@pytest.mark.parametrize("name", MEANT)
def test_an_error_that_is_meant_is_one_line(name, outcomes):
    status, out, err = outcomes[name]
    assert (status, out) == (2, ""), err
    line = error_line(err)
    assert line.startswith("failing.py: error: ") and MEANT[name] in line


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_keeps_its_traceback(name, outcomes):
    """70 is what `commands.py` makes of an exception."""
    status, out, err = outcomes[name]
    assert (status, out) == (70, ""), err
    assert "Traceback (most recent call last):" in err and ": error: " not in err
    assert err.strip().splitlines()[-1].startswith(BUGS[name])


def test_a_command_that_ends_well(outcomes):
    status, out, _ = outcomes["well"]
    assert (status, out) == (0, "done\n")


def test_the_exit_status_of_a_bug_is_1(tmp_path):
    """In a process of its own, as the user has it."""
    done = subprocess.run(
        [sys.executable, "-m", FAILING, "--as=bug"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.strip().splitlines()[-1] == BUGS["bug"]
    assert "registry.py" in done.stderr or "build_model.py" in done.stderr


# Names of before version 0.2.


def test_fields_by_their_names_of_before(outcomes, folder):
    """The run is that of the fields of now, and each old name is warned of."""
    status, _, err = outcomes["old names"]
    assert status == 0, err
    config = json.loads((folder / "old names" / "config.json").read_text())
    assert config["method"] == "josrc_adaptive"
    assert config["adaptive"]["teacher_decay"] == 0.9
    assert config["adaptive"]["mixup"] == 0.25
    assert config["learning_rate_decay"]["start_epoch"] == 7
    assert "trust" not in config and "selection" not in config
    for before, now in (
        ("selection=trust", "method=josrc_adaptive"),
        ("trust.decay=0.9", "adaptive.teacher_decay=0.9"),
        ("trust.mixup=0.25", "adaptive.mixup=0.25"),
        ("decay.start_epoch=7", "learning_rate_decay.start_epoch=7"),
    ):
        (line,) = (line for line in err.splitlines() if f"--config.{before}" in line)
        assert LOG.match(line) and "ersion 0.2" in line
        assert f"Use --config.{now} " in line


def test_a_bad_value_of_an_old_name_is_refused(outcomes):
    """As that of the new one."""
    status, out, err = outcomes["old judge"]
    assert (status, out) == (2, ""), err
    message = "judge as one of ('teacher', 'student'). Received: 'both'."
    assert message in error_line(err)
    status, out, err = outcomes["old selection"]
    assert (status, out) == (2, ""), err
    assert "config.method. Received: 'history'." in error_line(err)


def test_an_old_name_that_nothing_reads_is_refused(outcomes):
    status, out, err = outcomes["idle"]
    assert (status, out) == (2, ""), err
    line = error_line(err)
    assert "Received: adaptive.mixup, of another." in line
    assert "Set config.method=josrc_adaptive" in line


def test_names_of_now_are_left_alone(caplog):
    argv = ["josrc-train", "--config=digits8n_o", "--config.adaptive.mixup=0.25"]
    argv += ["--config.seed", "3", "--workdir=trust.decay", "--config.teacher.decay=1"]
    with caplog.at_level("WARNING"):
        assert arguments.with_names_of_now(argv) == argv
    assert not caplog.text
