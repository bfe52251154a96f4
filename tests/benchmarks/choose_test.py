"""The choice of the recipe's values: its rule, its record, and what ships."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import pytest

from josrc_keras import TrustRule, recipes
from josrc_keras.adaptive import values as adaptive_values
from josrc_keras.configs import base
from josrc_keras.runs import methods

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def choose():
    """The script, which is no part of the package."""
    spec = importlib.util.spec_from_file_location(
        "choose", ROOT / "benchmarks" / "choose.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recorded():
    return json.loads((ROOT / "results" / "choose.json").read_text(encoding="utf-8"))


def write_runs(folder, values):
    """Files of runs: held-out accuracies by candidate and row, seed 0."""
    for candidate, found in values.items():
        for number, (row, value) in enumerate(found.items()):
            run = {"row": row, "candidate": candidate, "seed": 0, "held_out": value}
            path = folder / f"{candidate}-{number}.json"
            path.write_text(json.dumps(run), encoding="utf-8")


def test_a_candidate_is_ahead_by_the_mean_of_its_rows(choose, tmp_path):
    rows = choose.FIRST[:3]
    base_values = dict(zip(rows, (50.0, 60.0, 70.0), strict=True))
    better = dict(zip(rows, (51.0, 61.0, 74.0), strict=True))
    write_runs(tmp_path, {choose.AS_IT_WAS: base_values, "hold-off": better})
    first, second = choose.summarise(tmp_path)["candidates"]
    assert (first["candidate"], first["ahead"]) == (choose.AS_IT_WAS, 0.0)
    assert second["held_out"] == pytest.approx(62.0)
    assert second["ahead"] == pytest.approx(2.0)  # Of 1, 1 and 4.
    assert second["standard_error"] == pytest.approx(1.0)
    assert (second["rows"], second["runs"]) == (3, 3)


def test_all_rows_are_a_line_of_their_own(choose, tmp_path):
    rows = tuple(choose.ROWS)
    assert len(rows) == 12 and len(choose.FIRST) == 7
    values = dict.fromkeys(rows, 40.0)
    changed = {row: 41.0 if row in choose.FIRST else 35.0 for row in rows}
    write_runs(tmp_path, {choose.AS_IT_WAS: values, "cosine": changed})
    lines = choose.summarise(tmp_path)["candidates"]
    of_cosine = [(line["rows"], line["ahead"]) for line in lines[2:]]
    assert of_cosine == [(7, pytest.approx(1.0)), (12, pytest.approx((7 - 25) / 12))]


def test_every_run_says_the_recipe_in_full(choose):
    """So that a later default changes none of them."""
    row = choose.ROWS["cifar8/image-0.3"]
    config = choose.config_of(row, "temperature-0.25", 3)
    assert config.adaptive.temperature == 0.25 and config.seed == 3
    assert config.adaptive.mixup is None and config.adaptive.memory_epochs is None
    before = choose.config_of(row, choose.AS_IT_WAS, 0)
    assert before.adaptive.temperature == 1.0 and before.adaptive.hold is True
    assert choose.config_of(row, "mixup-0", 0).adaptive.mixup == 0.0


def test_a_constant_is_changed_for_its_run_alone(choose):
    row = choose.ROWS["cifar8/image-0.3"]
    config = choose.config_of(row, "memory-0.5", 0)
    assert config.adaptive.temperature == 0.5 and config.adaptive.memory_epochs is None
    rule = methods.METHODS["josrc_adaptive"].arguments(config)["rule"]
    assert rule.memory(40) == 20 and rule.warmup(40) == 4
    assert TrustRule().memory(40) == 10
    for candidate, decay, images in (
        ("teacher-8", 1 - 1 / 200, 2500),
        ("mixed-5000", 1 - 1 / 100, 5000),
        ("memory-0.5", 1 - 1 / 100, 2500),
    ):
        config = choose.config_of(row, candidate, 0)
        config = choose.with_constants(config, candidate, 50, 800)
        assert config.batch_size == 32 and config.epochs == 40
        assert config.adaptive.teacher_decay == pytest.approx(decay)
        assert config.adaptive.mixup == pytest.approx(40 * 800 / (50 * images))
    assert adaptive_values.teacher_decay(800, 32) == pytest.approx(1 - 1 / 100)


def test_a_recorded_run_is_not_done_again(choose, recorded, tmp_path):
    choose.take_known(tmp_path, ROOT / "results" / "choose.json")
    found = choose.summarise(tmp_path)
    assert found == {name: recorded[name] for name in ("runs", "candidates")}
    row = "cifar50/clean"
    before = choose.path_of(tmp_path, row, choose.CHOSEN, 0).read_text()
    choose.run(tmp_path, row, choose.CHOSEN, 0)
    assert choose.path_of(tmp_path, row, choose.CHOSEN, 0).read_text() == before
    choose.run(tmp_path, "digits10/clean", "mixed-1250", 0)  # Changes nothing there.
    assert not choose.path_of(tmp_path, "digits10/clean", "mixed-1250", 0).exists()


def test_what_ships_is_what_was_ahead(choose, recorded):
    """The highest mean over all twelve rows, of the rule's second step."""
    lines = [line for line in recorded["candidates"] if line["rows"] == 12]
    assert {line["candidate"] for line in lines} == {
        choose.AS_IT_WAS,
        "temperature-0.5",
        "together",
    }
    best = max(lines, key=lambda line: line["held_out"])
    config = base.get_config("adaptive").to_dict()
    changed = choose.CANDIDATES[best["candidate"]]
    assert {choose.recorded_name(k): v for k, v in changed.items()} == best["changed"]
    shipped = choose.BEFORE | changed
    for name, value in shipped.items():
        group, field = name.split(".")
        if choose.is_constant(name):
            assert group == "values"
            assert getattr(adaptive_values, field) == value, name
        else:
            assert config[group][field] == value, name
    rule = recipes.adaptive(num_classes=10, num_samples=1000).model["rule"]
    for field in dataclasses.fields(TrustRule):
        if f"adaptive.{field.name}" in shipped:
            value = shipped[f"adaptive.{field.name}"]
            assert getattr(rule, field.name) == value, field.name


def test_the_first_step_took_what_was_ahead_by_a_standard_error(choose, recorded):
    lines = [line for line in recorded["candidates"] if line["rows"] == 7]
    ahead = {
        line["candidate"]: line["ahead"]
        for line in lines
        if line["ahead"] > line["standard_error"]
        and line["candidate"] not in ("together", *choose.CONSTANTS)
    }
    exclusive = ("temperature-0.5", "unclean-zero")
    weaker = min(exclusive, key=ahead.__getitem__)
    taken = {
        k: v for c in ahead if c != weaker for k, v in choose.CANDIDATES[c].items()
    }
    assert taken == choose.CANDIDATES["together"]


def test_no_constant_was_ahead_by_a_standard_error(choose, recorded):
    """Of all, each on the rows that the rule names; so what ships has none changed."""
    found = {}
    for line in recorded["candidates"]:
        if line["candidate"] in choose.CONSTANTS:
            assert line["ahead"] <= line["standard_error"], line
            found.setdefault(line["candidate"], []).append(line["rows"])
    expected = {name: [7] for name in choose.CONSTANTS}
    assert found == expected | {"mixed-1250": [2], "mixed-5000": [7, 9]}


def test_constants_are_compared_with_the_chosen_recipe(choose, tmp_path):
    values = {
        choose.AS_IT_WAS: 10.0,
        choose.CHOSEN: 40.0,
        "hold-off": 12.0,
        "teacher-8": 41.0,
    }
    rows = choose.FIRST[:2]
    write_runs(tmp_path, {name: dict.fromkeys(rows, v) for name, v in values.items()})
    lines = choose.summarise(tmp_path)["candidates"]
    ahead = {line["candidate"]: line["ahead"] for line in lines}
    assert ahead == {
        choose.AS_IT_WAS: 0.0,
        choose.CHOSEN: 30.0,
        "hold-off": 2.0,
        "teacher-8": 1.0,
    }


def test_the_page_says_what_was_recorded(choose, recorded):
    page = ROOT / "docs" / "explanation" / "how_it_was_chosen.md"
    text = page.read_text(encoding="utf-8")
    for line in recorded["candidates"]:
        fields = ", ".join(f"`{k}={v}`" for k, v in line["changed"].items())
        cells = [fields or "the recipe as it was", str(line["rows"])]
        cells += [f"{line['held_out']:.1f}"]
        cells += [f"{line['ahead']:+.1f} ± {line['standard_error']:.1f}"]
        if not line["changed"]:
            cells[-1] = ""
        assert "| " + " | ".join(cells) + " |" in text
