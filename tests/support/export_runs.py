"""Runs of the digits, and `josrc-export` on them: what the command's tests share.

One process imports the package, and one fork of it does each command.
"""

import json
import os
import shutil
import subprocess
import sys
import types

import pytest

from tests.support.forks import ROOT, Forks, contents

SERVER = """
import onnxruntime, sklearn.datasets, tf2onnx
from tests.support import commands
commands.main()
"""
# As the scripts that pip installs.
ENTRY = """
import sys
sys.argv[0] = "josrc-{name}"
from josrc_keras.{module} import main
main()
"""
ENTRIES = {name: f"commands.{name}" for name in ("train", "export", "evaluate")}
TRAIN = [
    "--config=digits8n_o:paper",
    "--config.epochs=3",
    "--config.data.rate=0.2",
    "--config.threshold.warmup_epochs=1",
    "--config.learning_rate_decay.start_epoch=2",
    "--progress=none",
]
SHARES = {"plain": 0.0, "held": 0.2}  # Of the training images that are held out.


class Shell(Forks):
    """Installed commands, one after the other, in a folder of its own."""

    def __init__(self, folder, logs):
        self.folder = folder
        self.logs = logs
        self.count = 0
        for name, module in ENTRIES.items():
            text = ENTRY.format(name=name, module=module)
            (logs / f"josrc_{name}.py").write_text(text)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{logs}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, name, *arguments):
        """Exit status, standard output and standard error of `josrc-NAME`."""
        self.module = f"josrc_{name}"
        status, out, err = self.run(*map(str, arguments))
        return types.SimpleNamespace(status=status, out=out, err=err)


@pytest.fixture(scope="session")
def shell(tmp_path_factory):
    pytest.importorskip("onnxruntime", reason="needs josrc-keras[onnx]")
    pytest.importorskip("tf2onnx", reason="needs josrc-keras[onnx]")
    pytest.importorskip("sklearn", reason="needs josrc-keras[digits]")
    shell = Shell(tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("shell"))
    yield shell
    if shell.process.poll() is None:
        shell.close()


@pytest.fixture(scope="session")
def trained_as(shell):
    """A function from a name to a run folder: `plain`, or `held` with held-out data."""

    def train(name):
        if not (shell.folder / name).exists():
            share = f"--config.data.validation_share={SHARES[name]}"
            done = shell("train", *TRAIN, share, f"--workdir={name}")
            assert done.status == 0, done.err
        return shell.folder / name

    return train


@pytest.fixture
def copy_of(trained_as, tmp_path):
    """A function from a name to a copy of that run of which nothing is exported."""

    def copy(name):
        ignore = shutil.ignore_patterns("export", "checkpoint", "tensorboard")
        return shutil.copytree(trained_as(name), tmp_path / name, ignore=ignore)

    return copy


@pytest.fixture(scope="session")
def exported(shell, trained_as):
    """All formats of the plain run in float32 and int8; files before and after."""
    run = trained_as("plain")
    before = contents(shell.folder)
    done = shell(
        "export",
        "--run=plain",
        "--format=saved_model,onnx,litert,keras",
        "--precision=float32,int8",
    )
    assert done.status == 0, done.err
    return types.SimpleNamespace(
        run=run,
        folder=run / "export",
        lines=done.out.splitlines(),
        reports=json.loads((run / "export" / "exports.json").read_text()),
        card=(run / "export" / "README.md").read_text(),
        before=before,
        after=contents(shell.folder),
    )


@pytest.fixture(scope="session")
def digits_test():
    from josrc_keras import data

    return data.digits8n_o().test
