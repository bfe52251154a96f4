"""What the commands say and leave behind on bad input, a full disk, and --help."""

import json
import re
import shutil

import pytest

from josrc_keras.runs import train
from tests.support.forks import QUICK, TRAIN, contents, error_line, run_all

EVALUATE = "josrc_keras.evaluate"
NEW = "--workdir=new"

# Name: module, arguments, what the error line says (a regular expression).
BAD = {
    "misspelt key": (TRAIN, [*QUICK, NEW, "--config.epohcs=3"], "epohcs.*epochs"),
    "wrong type": (TRAIN, [*QUICK, NEW, "--config.epochs=many"], "epochs.*many"),
    "unknown flag": (TRAIN, [*QUICK, NEW, "--nonsense"], "nonsense"),
    "no workdir": (TRAIN, QUICK, "workdir"),
    "unknown config": (
        TRAIN,
        ["--config=digits9", NEW],
        r"Received: --config=digits9\. Expected.*cifar80n_o.*digits8n_o",
    ),
    "unknown recipe": (
        TRAIN,
        ["--config=cifar80n_o:foo", NEW],
        r"cifar80n_o\.py:foo: Error whilst parsing config file: ValueError: Unknown "
        r"recipe\. Received: 'foo'\. Expected one of \('adaptive', 'lean', "
        r"'paper', 'published_code', 'paper_text'\)\.$",
    ),
    "precision": (
        TRAIN,
        [*QUICK, NEW, "--config.precision=half"],
        r"config\.precision as one of \('float32', 'mixed_b.*Received: 'half'\.",
    ),
    "steps an execution": (
        TRAIN,
        [*QUICK, NEW, "--config.steps_per_execution=4"],
        r"divisor of the 2 steps of an epoch\. Received: 4\. Use one of \[1, 2\]\.",
    ),
    "what to re-label": (
        TRAIN,
        [*QUICK, NEW, "--config.model.relabel=clean"],
        r"`relabel` as a tuple of any of .*Received: relabel=\('clean',\)\.",
    ),
    "how to judge": (
        TRAIN,
        ["--config=digits8n_o", *QUICK[1:], NEW, "--config.adaptive.judge=both"],
        r"judge as one of \('teacher', 'student'\)\. Received: 'both'\.",
    ),
    "checkpoints": (
        TRAIN,
        [*QUICK, NEW, "--config.checkpoint_every=0"],
        r"at least 1\. Received: keep=2, every=0\.",
    ),
    "no config file": (TRAIN, ["--config=absent.py", NEW], r"absent\.py"),
    "argument": (TRAIN, [*QUICK, NEW, "extra"], r"Expected flags only.*'extra'"),
    "method": (TRAIN, [*QUICK, NEW, "--config.method=magic"], "josrc.*'magic'"),
    "network": (TRAIN, [*QUICK, NEW, "--config.network.name=vgg"], "cnn7.*'vgg'"),
    "data": (TRAIN, [*QUICK, NEW, "--config.data.name=mnist"], "digits8n_o.*'mnist'"),
    "optimizer": (TRAIN, [*QUICK, NEW, "--config.optimizer.name=magic"], "magic"),
    "noise rate": (
        TRAIN,
        [*QUICK, NEW, "--config.data.rate=1.5"],
        r"must be in \[0, 1\]\. Received: rate=1\.5",
    ),
    "batch size": (
        TRAIN,
        [*QUICK, NEW, "--config.batch_size=0"],
        r"between 1 and .* 128\. Received: batch_size=0",
    ),
    "no epochs": (TRAIN, [*QUICK, NEW, "--config.epochs=0"], "epochs.*0"),
    "workdir is a file": (
        TRAIN,
        [*QUICK, "--workdir=file"],
        r"Received: --workdir=file \(File exists\)\. Expected a folder",
    ),
    "other configuration": (
        TRAIN,
        [*QUICK, "--workdir=run", "--config.model.alpha=0.25"],
        r"Received: model\.alpha: 0\.3 there, 0\.25 now\. Resume it with its own",
    ),
    "evaluate no run": (EVALUATE, ["--workdir=empty"], r"Expected a run folder.*empty"),
    "evaluate unfinished": (EVALUATE, ["--workdir=started"], "no model.keras. Run"),
}
DISK = {
    # A checkpoint of this network takes more than a megabyte.
    "full disk": {"arguments": [*QUICK, "--workdir=full"], "file_limit": 200_000},
    "full disk at the end": {
        "arguments": [*QUICK, "--workdir=trained"],
        "file_limit": 200_000,
    },
    # Not even root makes a folder there.
    "not writable": {"arguments": [*QUICK, "--workdir=/proc/run"]},
}
GOOD = {
    "help train": (TRAIN, ["--help"]),
    "help evaluate": (EVALUATE, ["--help"]),
    "help demo": ("josrc_keras.commands.demo", ["--help"]),
    "evaluate": (EVALUATE, ["--workdir=run"]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, quick_config_of_a_module):
    """A folder with a finished run, a started one, a file, and so on."""
    folder = tmp_path_factory.mktemp("commands")
    train.train(quick_config_of_a_module(), folder / "run", verbose=0)
    (folder / "file").write_text("mine")
    (folder / "empty").mkdir()
    (folder / "started").mkdir()
    shutil.copy(folder / "run" / "config.json", folder / "started")
    shutil.copytree(folder / "run", folder / "trained")
    (folder / "trained" / "model.keras").unlink()
    (folder / "trained" / "summary.json").unlink()
    return folder


@pytest.fixture(scope="module")
def quick_config_of_a_module():
    """What the flags `QUICK` make, as `quick_config` for a module's fixtures."""
    from tensorflow.python.framework import config as determinism

    from josrc_keras.configs import digits8n_o

    def make():
        config = digits8n_o.get_config("paper")
        config.epochs = 1
        config.data.train_size = 128
        return config

    yield make
    determinism.disable_op_determinism()


@pytest.fixture(scope="module")
def outcomes(folder, tmp_path_factory):
    """Name to `(exit status, standard output, standard error, is there a new/)`."""
    logs = tmp_path_factory.mktemp("logs")
    cases = {name: {"module": m, "arguments": a} for name, (m, a, _) in BAD.items()}
    for name, case in cases.items():
        case["arguments"] = [a.replace(NEW, f"{NEW}/{name}") for a in case["arguments"]]
    cases |= {name: {"module": TRAIN, **case} for name, case in DISK.items()}
    cases |= {name: {"module": m, "arguments": a} for name, (m, a) in GOOD.items()}
    before = {name: contents(folder / name) for name in ("run", "started", "trained")}
    return run_all(cases, folder, logs), before


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_line(name, outcomes):
    """Exit status 2 and one line that names what was received."""
    module, _, text = BAD[name]
    status, out, err = outcomes[0][name]
    assert (status, out) == (2, ""), err
    line = error_line(err)
    assert line.startswith(f"{module.split('.')[1]}.py: error: ")
    assert re.search(text, line), line


def test_bad_input_changes_no_run(folder, outcomes):
    _, before = outcomes
    after = contents(folder / "run")
    after.pop("evaluation.json", None)
    assert after == before["run"]
    assert contents(folder / "started") == before["started"]
    assert (folder / "file").read_text() == "mine"


@pytest.mark.parametrize("name", DISK)
def test_unwritable_folder_is_one_clear_line(name, outcomes):
    """Exit status 2, and what can't be written, why, and what to do."""
    status, out, err = outcomes[0][name]
    assert (status, out) == (2, ""), err
    workdir = DISK[name]["arguments"][-1]
    text = rf"Received: {workdir} \(.+\)\. Expected a folder with write permission"
    assert re.search(text, error_line(err)), err


def test_full_disk_leaves_nothing_half_written(folder, outcomes):
    """Whole files only, in a new folder and in a trained one."""
    left = contents(folder / "full")
    logs = {name for name in left if name.startswith("tensorboard")}
    whole = {"config.json", "clean_likelihood.json"}
    written = {"checkpoint", "history.csv", "sample_history.npz"}
    assert set(left) - logs <= whole | written
    for name in whole & set(left):
        json.loads(left[name])
    rows = left["history.csv"].decode().splitlines()  # Written before the checkpoint.
    assert len(rows) == 2 and rows[1].startswith("1,")
    assert rows[0].count(",") == rows[1].count(",") > 20
    assert contents(folder / "trained") == outcomes[1]["trained"]


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("help train", ["--config", "--workdir", "--progress", "resumes the run"]),
        ("help evaluate", ["--workdir", "Evaluates the student"]),
        ("help demo", ["--workdir", "--seeds", "The whole way on real images"]),
    ],
)
def test_help(name, texts, outcomes):
    """What the command does and its flags, on the standard output; status 0."""
    status, out, err = outcomes[0][name]
    assert all(text in out for text in texts), out
    assert "Traceback" not in err
    assert status == 0


def test_evaluate_repeats_the_last_epoch(folder, outcomes):
    """The saved model has the accuracy of the summary's last epoch."""
    status, out, err = outcomes[0]["evaluate"]
    assert status == 0, err
    results = json.loads(out)
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert results["accuracy"] == pytest.approx(summary["student"]["last"], abs=1e-6)
    assert results["teacher_accuracy"] == pytest.approx(
        summary["teacher"]["last"], abs=1e-6
    )
    assert results["test_images"] == summary["test_images"] == 356
    written = json.loads((folder / "run" / "evaluation.json").read_text())
    assert written == results
