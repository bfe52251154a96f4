"""How far work is: a bar on a terminal, elsewhere a line now and then."""

import io
import sys
import types

import keras
import numpy as np
import pytest

from josrc_keras.runs.progress import Evaluation, WholeRun
from josrc_keras.training import progress


@pytest.fixture
def clock(monkeypatch):
    """A time that tests set, and the lines that are logged."""
    now = types.SimpleNamespace(seconds=0.0, lines=[])
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.seconds)
    monkeypatch.setattr(
        progress.logging, "info", lambda form, text: now.lines.append(form % text)
    )
    return now


def test_lines_come_now_and_then_with_the_time_that_is_left(clock):
    """A step a second: after two of them 98 s are left, in words 2 minutes."""
    told = progress.Progress(100, "steps")
    for done in range(1, 101):
        clock.seconds = 3.0 + done
        told.go_to(done, "epoch 1 of 2", lambda: "loss 2.5")
    assert clock.lines == [
        "epoch 1 of 2, 2 of 100 steps, about 2 min left, loss 2.5",
        "epoch 1 of 2, 32 of 100 steps, about 68 s left, loss 2.5",
        "epoch 1 of 2, 62 of 100 steps, about 38 s left, loss 2.5",
        "epoch 1 of 2, 92 of 100 steps, about 8 s left, loss 2.5",
    ]


def test_the_first_guess_comes_within_ten_seconds(clock):
    """Of 1,000 photos of 0.5 s each the first line comes after five seconds."""
    items = []
    for item in progress.follow(range(1000), 1000, "photos"):
        items.append(item)
        clock.seconds += 0.5
        if clock.lines:
            break
    assert clock.lines == ["10 of 1000 photos, about 8 min left"]
    assert clock.seconds <= 10 and items == list(range(11))


def test_a_terminal_has_a_bar(monkeypatch, clock):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    list(progress.follow(range(5), 5, "photos"))
    assert "0/5" in terminal.getvalue()
    assert clock.lines == []


def test_an_evaluation_is_followed(clock):
    """Three batches of three seconds: after the second, 3 s are left."""
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    network.compile(loss="mse")
    told = Evaluation(3)
    plain = told.on_test_batch_end

    def slowly(batch, logs=None):
        clock.seconds += 3
        plain(batch, logs)

    told.on_test_batch_end = slowly
    x = np.zeros((12, 2))
    network.evaluate(x, x[:, :1], batch_size=4, verbose=0, callbacks=[told])
    assert clock.lines == ["2 of 3 batches, about 3 s left"]


def test_a_run_is_followed_as_a_whole(monkeypatch, clock):
    """Three epochs of four steps, the first of which was done before."""
    seen = []

    class Told(progress.Progress):
        def go_to(self, done, about="", more=""):
            seen.append((done, self.total, about, more()))

    monkeypatch.setattr(progress, "Progress", Told)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((8, 2)), np.zeros((8, 1))
    options = {"batch_size": 2, "epochs": 3, "initial_epoch": 1, "verbose": 0}
    model.fit(x, y, callbacks=[WholeRun()], **options)
    assert [done for done, *_ in seen] == list(range(1, 9))
    assert {total for _, total, *_ in seen} == {8}
    assert seen[0][2:] == ("epoch 2 of 3", "loss 0")
    assert seen[-1][2] == "epoch 3 of 3"
