"""The demo's tables, and (slow) its claims on the digits."""

import statistics

import pytest

from josrc_keras.commands import demo


def accuracy(value):
    return {"last10_mean": value, "last10_deviation": 0.0, "best": 0.987, "last": 0.0}


def summaries():
    """Two seeds of both methods; every number another one."""
    return {
        "standard": [{"seed": s, "student": accuracy(0.71 + s / 10)} for s in (0, 1)],
        "josrc": [
            {
                "seed": s,
                "student": accuracy(0.9123 + s / 100),
                "teacher": accuracy(0.9321 + s / 100),
            }
            for s in (0, 1)
        ],
    }


def test_table_has_each_seed_and_method():
    """Seed, ordinary training, its best epoch, the adaptive method, its teacher."""
    lines = demo._table(summaries()).splitlines()
    assert [line.split() for line in lines[-2:]] == [
        ["0", "71.0%", "98.7%", "91.2%", "93.2%"],
        ["1", "81.0%", "98.7%", "92.2%", "94.2%"],
    ]
    heading = lines[-3]
    assert heading.index("Ordinary") < heading.index("Adaptive")
    # Right-aligned: each number ends where its heading does.
    names = ("Ordinary training", "its best epoch", "Adaptive", "its teacher")
    for column, name in enumerate(names, start=1):
        end = heading.index(name) + len(name)
        for line in lines[-2:]:
            assert line[:end].endswith(line.split()[column])


def test_verdicts_are_those_of_the_audit():
    """Precision, recall and share of each verdict, and the noise rates."""
    kinds = ("clean", "in_distribution_noise", "out_of_distribution")
    scores = ("precision", "recall", "share")
    quality = {
        "verdicts": {
            kind: {s: (index * 3 + n + 1) / 100 for n, s in enumerate(scores)}
            for index, kind in enumerate(kinds)
        },
        "noise_rate_estimated": 0.571,
        "noise_rate": 0.602,
    }
    *lines, rates = demo._verdicts(quality).strip().splitlines()
    assert rates == "Wrong labels in all: 57.1% by its estimate, 60.2% in truth."
    assert lines[0].split()[-3:] == ["precision", "recall", "share"]
    assert [line.split()[-3:] for line in lines[1:]] == [
        ["0.01", "0.02", "0.03"],
        ["0.04", "0.05", "0.06"],
        ["0.07", "0.08", "0.09"],
    ]
    assert [line[:21].strip() for line in lines[1:]] == [
        "label is right",
        "label is wrong",
        "out-of-distribution",
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("deterministic")
def test_josrc_beats_ordinary_training(tmp_path):
    """Three seeds: the student's last-10 mean at least 0.985, and 0.04 better."""
    from josrc_keras.configs import digits8n_o
    from josrc_keras.runs import train

    means = {}
    for method in demo.METHODS:
        values = []
        for seed in range(3):
            config = digits8n_o.get_config("paper")
            config.method, config.seed = method, seed
            workdir = tmp_path / f"{method}-{seed}"
            summary = train.train(config, workdir, verbose=0)
            values.append(summary["student"]["last10_mean"])
        means[method] = statistics.fmean(values)
    print(means)
    assert means["josrc"] >= 0.985
    assert means["josrc"] - means["standard"] >= 0.04
