"""The pictures exist, show something, and leave nothing else behind."""

import sys

import numpy as np
import pytest

from josrc_keras import metrics
from josrc_keras.runs import plots
from tests.support.pictures import check_picture

KINDS = ("clean", "id", "ood")


def histories(epochs):
    """A history as JoSRC's, and one as Standard's."""
    draw = np.random.default_rng(0)
    quality = [f"{k}_{s}" for k in KINDS for s in ("precision", "recall", "fraction")]
    both = ["accuracy", "loss", "val_accuracy", "val_loss"]
    names = [*both, "val_teacher_accuracy", "tau_clean", *quality]

    def make(columns):
        return [
            {"epoch": epoch + 1, **{name: draw.random() for name in columns}}
            for epoch in range(epochs)
        ]

    return make(names), make(both)


def histogram():
    counts = np.random.default_rng(0).integers(0, 50, (3, metrics.BINS)).tolist()
    edges = [index / metrics.BINS for index in range(metrics.BINS + 1)]
    return {"edges": edges, **dict(zip(KINDS, counts, strict=True))}


@pytest.mark.parametrize("epochs", [1, 12])
def test_every_picture_of_a_run(tmp_path, epochs):
    josrc, _ = histories(epochs)
    paths = plots.draw_all(tmp_path / "plots", josrc, histogram())
    names = ["accuracy", "fractions", "precision", "clean_likelihood"]
    assert [path.name for path in paths] == [f"{name}.png" for name in names]
    for path in paths:
        check_picture(path)
    assert sorted(paths) == sorted((tmp_path / "plots").iterdir())


@pytest.mark.parametrize("epochs", [1, 12])
def test_standard_has_only_accuracies(tmp_path, epochs):
    _, standard = histories(epochs)
    (path,) = plots.draw_all(tmp_path, standard)
    assert path.name == "accuracy.png"
    check_picture(path)


def test_the_numbers_reach_the_picture(tmp_path):
    """Another history, another picture."""
    first, second = histories(5)[0], histories(5)[0]
    second[2]["val_accuracy"] = 0.0
    (one, *_), (two, *_) = (
        plots.draw_all(tmp_path / name, history)
        for name, history in (("a", first), ("b", second))
    )
    assert one.read_bytes() != two.read_bytes()


def test_nothing_to_draw(tmp_path):
    assert plots.draw_all(tmp_path / "plots", []) == []
    assert plots.draw_all(tmp_path / "plots", [{"epoch": 1, "loss": 1.0}]) == []
    assert not (tmp_path / "plots").exists()


def test_figures_are_closed(tmp_path):
    from matplotlib import pyplot

    plots.draw_all(tmp_path, histories(3)[0], histogram())
    assert pyplot.get_fignums() == []


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install josrc-keras\[report\]"):
        plots.draw_all(tmp_path, histories(1)[0])
