"""What `--strategy` says to bad input: one clear line, and no run folder."""

import importlib.util
import json
import re

import pytest

from josrc_keras.devices import strategies
from tests.support.forks import QUICK, TRAIN, error_line, run_all

MIRRORED = ["--strategy=mirrored", "--logical_devices=2"]
WORKERS = ["--strategy=multi_worker"]
ADDRESSES = ["127.0.0.1:2222", "127.0.0.1:2223"]


def tf_config(index=0, kind="worker", workers=ADDRESSES):
    return json.dumps(
        {"cluster": {"worker": workers}, "task": {"type": kind, "index": index}}
    )


NEEDS = r"needs the environment variable TF_CONFIG.*Received: "
EXPECTED = r".*Expected for example TF_CONFIG='\{\"cluster\""
# Name: flags, TF_CONFIG or None, what the error line says.
BAD = {
    "unknown": (["--strategy=magic"], None, "none, mirrored, multi_worker, tpu.*magic"),
    "split for one": (
        ["--logical_devices=2"],
        None,
        r"with --strategy=mirrored\. Received: --logical_devices=2, --strategy=none\.",
    ),
    "split for workers": (
        [*WORKERS, "--logical_devices=2"],
        tf_config(),
        "Received: --logical_devices=2, --strategy=multi_worker",
    ),
    "split into none": (
        ["--strategy=mirrored", "--logical_devices=0"],
        None,
        "at least 1, .*Received: --logical_devices=0",
    ),
    "split into a half": (
        ["--strategy=mirrored", "--logical_devices=0.5"],
        None,
        "logical_devices.*0.5",
    ),
    "batch size": (
        [*MIRRORED, "--config.batch_size=63"],
        None,
        r"config\.batch_size as a multiple of the 2 devices .*batch_size=63",
    ),
    "no config": (WORKERS, "", f"{NEEDS}''{EXPECTED}"),
    "no JSON": (WORKERS, "localhost:1", f"{NEEDS}'localhost:1'{EXPECTED}"),
    "a list": (WORKERS, "[1]", NEEDS + r"'\[1\]'" + EXPECTED),
    "no task": (WORKERS, '{"cluster": {"worker": ["a:1"]}}', NEEDS + ".*a:1"),
    "index": (WORKERS, tf_config(2), f'{NEEDS}.*"index": 2{EXPECTED}'),
    "negative index": (WORKERS, tf_config(-1), f'{NEEDS}.*"index": -1{EXPECTED}'),
    "kind": (WORKERS, tf_config(0, "ps"), f'{NEEDS}.*"type": "ps"{EXPECTED}'),
    "no port": (
        WORKERS,
        tf_config(workers=["127.0.0.1"]),
        NEEDS + r".*\[\"127.0.0.1\"\]" + EXPECTED,
    ),
    "no number": (
        WORKERS,
        tf_config(workers=["127.0.0.1:", "127.0.0.1:port"]),
        NEEDS + ".*127.0.0.1:port" + EXPECTED,
    ),
    "cluster is a text": (
        WORKERS,
        '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
        NEEDS + ".*a:1.*" + EXPECTED,
    ),
    "cluster is a list": (
        WORKERS,
        '{"cluster": [], "task": {"type": "worker", "index": 0}}',
        NEEDS + r".*\[\], .*" + EXPECTED,
    ),
    "no TPU": (["--strategy=tpu"], None, r"Expected a TPU .*Received: --strategy=tpu"),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """From a backend to the outcome of each case and the folder they ran in."""
    kept = {}

    def run(backend):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        if backend in kept:
            return kept[backend]
        folder, logs = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("logs")
        cases = {
            name: {
                "module": TRAIN,
                "arguments": [*QUICK, f"--workdir={name}", *arguments],
                "environment": {} if config is None else {"TF_CONFIG": config},
            }
            for name, (arguments, config, _) in BAD.items()
        }
        found = run_all(cases, folder, logs, timeout=120, KERAS_BACKEND=backend)
        kept[backend] = {
            name: (*outcome, (folder / name).exists())
            for name, outcome in found.items()
        }
        return kept[backend]

    return run


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("name", BAD)
def test_bad_strategy_is_one_clear_line(name, backend, outcomes):
    """Exit status 2, what was received, what was expected; nothing is made."""
    status, out, err, made = outcomes(backend)[name]
    assert (status, out, made) == (2, "", False), err
    line = error_line(re.sub("INFO:tensorflow:.*", "", err))
    assert line.startswith("train.py: error: ")
    assert re.search(BAD[name][2], line), line


@pytest.mark.parametrize(
    ("task", "expected"),
    [({"type": "chief", "index": 0}, 0), ({"type": "worker", "index": 1}, 2)],
)
def test_chief_counts_before_the_workers(task, expected, monkeypatch):
    cluster = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}
    config = json.dumps({"cluster": cluster, "task": task})
    monkeypatch.setenv("TF_CONFIG", config)
    assert strategies.read_tf_config() == (["a:1", "b:2", "c:3"], expected)


def test_cpu_in_use_is_not_split():
    """A process whose TensorFlow runs already gets an error with the fix."""
    import tensorflow as tf

    tf.zeros(1)
    with (
        pytest.raises(ValueError, match=r"only before it is used.*logical_devices=2"),
        strategies.scope("mirrored", 2),
    ):
        pass


def test_none_opens_nothing():
    import tensorflow as tf

    with strategies.scope("none"):
        assert not tf.distribute.has_strategy()


def test_unknown_name_is_refused():
    with (
        pytest.raises(ValueError, match=r"--strategy as one of .*Received: 'all'"),
        strategies.scope("all"),
    ):
        pass
