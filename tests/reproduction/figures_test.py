"""One picture a figure and dataset, of the numbers that there are."""

import copy
import sys

import numpy as np
import pytest

from josrc_keras.reproduction import figures
from tests.support.pictures import check_picture
from tests.support.synthetic import make_record

CAPTIONS = {
    3: "Figure 3: test accuracy of the student",
    4: "Figure 4: precision of the clean verdict",
    5: "Figure 5: training accuracy by what the samples are",
}


def listed(dataset, *numbers):
    return [(f"{CAPTIONS[n]}, {dataset}", f"figure{n}_{dataset}.png") for n in numbers]


@pytest.fixture
def made():
    """Both methods, two cells and seeds, on the digits."""
    return [
        make_record(method, cell, seed)
        for method in ("josrc", "standard")
        for cell in ("symmetric-0.2", "asymmetric-0.4")
        for seed in (0, 1)
    ]


def test_every_figure_of_every_dataset(made, tmp_path):
    """Valid pictures, a panel for each cell, and nothing else in the folder."""
    from matplotlib import pyplot

    made.append(make_record(dataset="cifar80n_o"))
    drawn = figures.draw(made, tmp_path)
    assert drawn == [*listed("cifar80n_o", 3, 4, 5), *listed("digits8n_o", 3, 4, 5)]
    names = [name for _, name in drawn]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    for name in names:
        check_picture(tmp_path / name)
        assert 5_000 < (tmp_path / name).stat().st_size < 500_000
    # At 110 dots an inch: 4 inches a cell, at least 6.4; 2.7 a row of panels and 1.2.
    assert size(tmp_path / "figure3_cifar80n_o.png") == (704, 429)
    assert size(tmp_path / "figure3_digits8n_o.png") == (880, 429)
    assert size(tmp_path / "figure5_digits8n_o.png") == (880, 726)  # Two methods.
    assert pyplot.get_fignums() == []  # They are closed.


def size(path):
    from matplotlib import image

    height, width = image.imread(path).shape[:2]
    return width, height


def test_no_figure_without_its_numbers(made, tmp_path):
    """Ordinary training has no verdicts; old histories have no kinds either."""
    standard = [record for record in made if record["run"]["method"] == "standard"]
    assert figures.draw(standard, tmp_path / "a") == listed("digits8n_o", 3, 5)
    for record in standard:
        for column in [c for c in record["history"] if c.startswith("accuracy_")]:
            del record["history"][column]
    assert figures.draw(standard, tmp_path / "b") == listed("digits8n_o", 3)
    for folder, count in (("a", 2), ("b", 1)):
        assert len(list((tmp_path / folder).iterdir())) == count


def test_parts_of_the_method_are_in_figures_3_and_4(tmp_path):
    """Figure 5 sets Jo-SRC against ordinary training only."""
    made = [make_record(method) for method in ("josrc-c", "josrc-ci", "josrc-cio")]
    assert figures.draw(made, tmp_path) == listed("digits8n_o", 3, 4)


@pytest.mark.parametrize(
    "run", [{"recipe": "paper_text"}, {"overrides": {"epochs": 3}}]
)
def test_other_runs_are_not_drawn(run, tmp_path):
    """Neither alone nor among the runs of the protocol itself."""
    other = make_record(**run)
    assert figures.draw([other], tmp_path / "a") == []
    assert not (tmp_path / "a").exists()
    plain = make_record()
    figures.draw([plain], tmp_path / "b")
    figures.draw([plain, other], tmp_path / "c")
    assert contents(tmp_path / "b") == contents(tmp_path / "c")
    assert len(contents(tmp_path / "b")) == 3


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_nothing_to_draw(tmp_path):
    assert figures.draw([], tmp_path / "new") == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("column", "number"),
    [("val_accuracy", 3), ("clean_precision", 4), ("accuracy_id_true", 5)],
)
def test_the_numbers_reach_their_picture(made, tmp_path, column, number):
    """One number of one seed changes its picture, and no other."""
    made = [record for record in made if record["run"]["cell"] == "asymmetric-0.4"]
    changed = copy.deepcopy(made)
    changed[1]["history"][column][5] += 0.5
    for name, found in (("before", made), ("after", changed)):
        figures.draw(found, tmp_path / name)
    before, after = contents(tmp_path / "before"), contents(tmp_path / "after")
    differing = [name for name in before if before[name] != after[name]]
    assert differing == [f"figure{number}_digits8n_o.png"]


def test_the_line_is_the_mean_and_the_band_the_range(made):
    """In percent, over the seeds of a cell."""
    from matplotlib import pyplot

    pair = made[:2]
    figure, ax = pyplot.subplots()
    line = figures._band(ax, pair, "val_accuracy", color="red")
    values = 100 * np.array([record["history"]["val_accuracy"] for record in pair])
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 15))
    np.testing.assert_allclose(line.get_ydata(), values.mean(axis=0))
    (band,) = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(values.max())
    assert heights.min() == pytest.approx(values.min())
    assert set(np.round(values.min(axis=0), 9)) <= set(np.round(heights, 9))
    pyplot.close(figure)


def test_without_matplotlib_the_error_says_what_to_install(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install josrc-keras\[report\]"):
        figures.draw(made, tmp_path / "new")
    assert not (tmp_path / "new").exists()
