"""One real run, small, for every test that reads a run folder."""

import pytest

from josrc_keras.reproduction import tables
from josrc_keras.runs import train


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory):
    """`(tables.Run, run folder)` of two epochs on 192 digits."""
    from tensorflow.python.framework import config as determinism

    overrides = (
        ("data.train_size", 192),
        ("epochs", 2),
        ("threshold.warmup_epochs", 1),
    )
    run = tables.Run("digits8n_o", "symmetric-0.5", "josrc", overrides=overrides)
    workdir = tmp_path_factory.mktemp("trained") / "run"
    train.train(run.config(), workdir, verbose=0)
    determinism.disable_op_determinism()
    return run, workdir
