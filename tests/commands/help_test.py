"""What a command says before it works: without TensorFlow, within half a second."""

import json
import os
import re
import subprocess
import sys

import pytest

from josrc_keras.commands import arguments, fields
from josrc_keras.configs import base, digits8n_o
from tests.support.forks import ROOT

COMMANDS = sorted(arguments.of_commands())
# Runs a command, and says last which heavy modules were imported.
SCRIPT = """
import atexit, importlib, json, sys
name = sys.argv[1]
sys.argv = [f"josrc-{name}", *sys.argv[2:]]
heavy = ("tensorflow", "keras", "jax", "numpy", "onnxruntime")
atexit.register(lambda: print(json.dumps([m for m in heavy if m in sys.modules])))
importlib.import_module(f"josrc_keras.commands.{name}").main()
"""
DIGITS = ["--config=digits8n_o", "--workdir=new"]
# Command, arguments, and what the one line says (a regular expression).
BAD = {
    "value": (
        "train",
        [*DIGITS, "--config.epochs=abc"],
        r"^Expected --config\.epochs as a whole number, such as 40\. Received: 'abc'\. "
        r"Number of epochs\.$",
    ),
    "value of a field that is None": (
        "train",
        [*DIGITS, "--config.data.train_size=x"],
        r"^Expected --config\.data\.train_size as a whole number, such as 10\. ",
    ),
    "misspelt field": (
        "train",
        [*DIGITS, "--config.data.raet=0.5"],
        r"Received: --config\.data\.raet=0\.5\. .*mean --config\.data\.rate\?$",
    ),
    "field without its section": (
        "train",
        [*DIGITS, "--config.learning_rate=0.1"],
        r"Did you mean --config\.optimizer\.arguments\.learning_rate\?$",
    ),
    "field of a recipe": (
        "train",
        [
            "--config=clothing1m_resnet50:published_code",
            "--workdir=n",
            "--config.optimizer.momentun=1",
        ],
        r"Did you mean --config\.optimizer\.arguments\.momentum\?$",
    ),
    "field as a flag": (
        "train",
        [*DIGITS, "--epochs=3"],
        r"^Unknown flag\. Received: --epochs=3\. Expected one of --config, .*"
        r"Did you mean --config\.epochs\? --epochs is a flag of josrc-reproduce\. ",
    ),
    "flag of another command": (
        "train",
        ["--photos=x"],
        r"--photos is a flag of josrc-audit",
    ),
    "misspelt flag": ("audit", ["--photo=x"], r"Did you mean --photos\?"),
    "no value": (
        "train",
        ["--config"],
        r"^Expected a value for --config\. ",
    ),
    "no value of a field": (
        "train",
        [*DIGITS, "--config.epochs"],
        r"^Expected a value for --config\.epochs\. .* Write --config\.epochs=40\.$",
    ),
    "choice": (
        "train",
        [*DIGITS, "--progress=lines"],
        r"^Expected --progress as one of whole, bar, line, none\. Received: 'lines'\. "
        r"Did you mean line\?$",
    ),
    "number": ("reproduce", ["--seeds=few"], r"--seeds as a whole number.*'few'"),
    "bound": (
        "reproduce",
        ["--seeds=0"],
        r"number \(a positive integer\).*'0'",
    ),
    "nothing": (
        "train",
        [],
        r"^Expected --config=VALUE and --workdir=VALUE\. Received: no --config and no ",
    ),
    "config": ("train", ["--config=digit8n_o"], r"Did you mean --config=digits8n_o\?$"),
    "audit of nothing": ("audit", [], r"^Expected what to audit"),
    "word": ("evaluate", ["runs/digits"], r"^Expected flags only.*'runs/digits'"),
}


def outcome(command, *given):
    """`(status, output, error, heavy modules, CPU seconds)` of a command."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, command, *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    after = os.times()
    seconds = sum(after[i] - before[i] for i in (2, 3))
    out, _, heavy = done.stdout.rstrip("\n").rpartition("\n")
    return done.returncode, out, done.stderr, json.loads(heavy), seconds


@pytest.fixture(scope="module")
def helps():
    return {name: outcome(name.removeprefix("josrc-"), "--help") for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_needs_no_tensorflow(name, helps):
    """Half a second of CPU is the bound of the issue; this takes about 0.15."""
    status, out, err, heavy, seconds = helps[name]
    assert (status, err, heavy) == (0, "", [])
    assert out.startswith(f"{name}: ")
    assert re.search(rf"^  (python|{name})", out, re.MULTILINE), "an example"
    assert seconds < 0.5


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_every_flag_with_its_default(name, helps):
    out = helps[name][1]
    entry = r"^  --(?:\[no\])?(\w+)(?:=.*)?\n((?:      .*\n?)+)"
    entries = dict(re.findall(entry, out, re.MULTILINE))
    for flag in arguments.of_commands()[name]:
        if flag in ("workdir",) and flag not in entries:
            continue  # An alias of --run.
        assert re.search(r"Default: .+\.|Required\.", " ".join(entries[flag].split()))


def test_help_has_every_field_and_every_page(helps):
    out = helps["josrc-train"][1]
    for name, value in fields.flat(base.get_config()).items():
        meant = re.search(rf"^  --config\.{name}=(.*)\n      (.+)", out, re.M)
        assert meant and meant[1] == str(value) and meant[2] != "A field of this"
    for name, about in fields.pages().items():
        assert re.search(rf"^  {name}\n      {about[:40]}", out, re.M)
    assert "--config.seed" not in helps["josrc-audit"][1]


def test_help_has_the_values_of_a_configuration_that_is_named():
    status, out, _, heavy, _ = outcome("train", "--config=digits8n_o", "--help")
    assert (status, heavy) == (0, [])
    epochs = digits8n_o.get_config().epochs
    assert f"--config.epochs={epochs}\n" in out and epochs != base.get_config().epochs


def test_configurations_are_listed_and_printed():
    status, out, err, heavy, _ = outcome("train", "--list_configs")
    assert (status, err, heavy) == (0, "", [])
    assert "digits8n_o" in [line.split()[0] for line in out.splitlines()]
    status, out, err, heavy, _ = outcome(
        "records", "--config=digits8n_o:paper", "--print_config", "--config.epochs=3"
    )
    assert (status, err, heavy) == (0, "", [])
    expected = digits8n_o.get_config("paper")
    expected.epochs = 3
    printed = dict(line.split("=", 1) for line in out.splitlines())
    for name, value in fields.flat(expected).items():
        assert printed[f"--config.{name}"] == str(value)


@pytest.mark.parametrize("name", BAD)
def test_errors_of_arguments_need_no_tensorflow(name):
    """One line that says what was received, what was expected, and the fix."""
    command, given, text = BAD[name]
    status, out, err, heavy, seconds = outcome(command, *given)
    assert (status, out, heavy) == (2, "", [])
    (line,) = err.splitlines()
    assert line.startswith(f"josrc-{command}: error: ")
    assert re.search(text, line.partition(": error: ")[2]), line
    assert "Received: " in line and seconds < 0.5


def test_a_command_says_what_it_computes_with_and_no_log():
    """One line of its own and the error; nothing of TensorFlow's or Keras's."""
    status, out, err, heavy, _ = outcome("evaluate", "--run=absent")
    assert (status, out) == (2, "") and "keras" in heavy
    device, error = err.splitlines()
    assert re.match(r"josrc-evaluate: \w.* Keras \d+\.\d+", device)
    assert error.startswith("josrc-evaluate: error: Expected a run folder")


def test_the_meaning_of_a_field_is_its_comment_or_its_docstring():
    assert fields.meaning("epochs") == "Number of epochs."
    assert fields.meaning("adaptive.doubt").startswith("A label whose trust is at most")
    assert fields.in_order(["epochs", "own.field", "method"])[-1] == "own.field"


def test_the_fields_of_a_file_of_one_s_own(tmp_path):
    """A field that configs/base.py lacks is shown, too."""
    path = tmp_path / "own.py"
    path.write_text(
        "from josrc_keras.configs import base\n"
        "def get_config(recipe='adaptive'):\n"
        "    config = base.get_config(recipe).unlock()\n"
        "    config.optimizer.arguments.rho = 0.875\n"
        "    return config\n"
    )
    assert arguments.load(f"{path}:paper").optimizer.arguments.rho == 0.875
    assert fields.flat(arguments.load("digits8n_o"))["epochs"] == 40
    status, out, _, heavy, _ = outcome("train", f"--config={path}", "--help")
    assert (status, heavy) == (0, [])
    assert "--config.optimizer.arguments.rho=0.875" in out
